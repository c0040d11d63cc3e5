"""What a call was given and what it gave, as JSON. Runs in the user's process."""

from __future__ import annotations

from testd.tracing.context import current
from testd.tracing.kinds import REDACTED
from testd.tracing.simple import weight
from testd.tracing.snapshots import Snapshot, secrets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from testd.tracing.calls import Call

__all__ = ["add_item", "copy_input", "copy_output"]

#: What is not looked at more closely is no more than this.
_LIGHT = 4096


def copy_input(call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Record the arguments as they are now: `[*positional, {keyword}]`."""
    subject, options = call.subject, call.options
    if subject.constructs and args:
        call.instance, args = args[0], args[1:]
    if subject.settings.input_serializer is not None:
        shot = Snapshot(options)
        call.input = _quietly(call, _serialized, shot, subject.settings.input_serializer, *args, **kwargs)
    else:
        secret = secrets(options.redact)
        positions = subject.secret_positions(secret)
        if not positions and options.roomy and _simple(args) and (not kwargs or _simple_map(kwargs, secret)):
            call.input = [*args, kwargs]
            return
        shot = Snapshot(options if subject.settings.deep_copy_input else options._replace(depth=2))
        first = 1 if subject.constructs else 0
        given = [REDACTED if index + first in positions else value for index, value in enumerate(args)]
        call.input = _quietly(call, shot.arguments, given, kwargs)
    call.input_reasons = shot.reasons
    call.input_cut = shot.cut


def copy_output(call: Call, result: Any) -> None:
    """Record what a call returned: of a constructor the instance, of a generator also what it gave before."""
    if call.items is None:
        call.output = _output(call, result if call.instance is None or result is not None else call.instance)
        return
    call.output = {"$type": "generator", "items": call.items}
    if call.items_cut:
        call.output["cut"] = call.items_cut
    if result is not None:
        call.output["returned"] = _output(call, result)


def add_item(call: Call, items: list[Any], value: Any) -> None:
    """Record what a generator gives."""
    if len(items) < call.options.items:
        items.append(_output(call, value))
    else:
        call.items_cut += 1
        call.output_cut = True


def _output(call: Call, value: Any) -> Any:
    settings, options = call.subject.settings, call.options
    if settings.output_serializer is None and options.roomy and _simple((value,)):
        return value
    shot = Snapshot(options if settings.deep_copy_output else options._replace(depth=1))
    if settings.output_serializer is not None:
        made = _quietly(call, _serialized, shot, settings.output_serializer, value)
    else:
        made = _quietly(call, shot.take, value)
    call.output_reasons += shot.reasons
    call.output_cut = call.output_cut or shot.cut
    return made


def _simple(values: Iterable[Any]) -> bool:
    return 0 <= weight(values) <= _LIGHT


def _simple_map(values: dict[str, Any], secret: Callable[[str], bool]) -> bool:
    return _simple(values) and _simple(values.values()) and not any(key == "$type" or secret(key) for key in values)


def _quietly(call: Call, take: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what this returns. Traced functions that it leads to are not recorded: they are no part of the program."""
    outside = current.get()
    current.set(call.silence)
    try:
        return take(*args, **kwargs)
    finally:
        current.set(outside)


def _serialized(shot: Snapshot, serializer: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        return shot.take(serializer(*args, **kwargs))
    except Exception as error:  # (the user's)
        shot.fail(error, "the serializer")
        return None
