"""`similar`: whether what a function gives, run after run, stays within the variation that was accepted.

Runs in the user's process. What is stored beside the snapshots is not a value but its *range*: what was the same in
every run, between which bounds numbers were, which keys came and went, how long lists became.
"""

from __future__ import annotations

from testd.assertions.rendering import render
from testd.assertions.report import DIFFERENCES, fail, path_text, show
from testd.assertions.snapshots import Place, updating

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Path = tuple[Any, ...] | None

__all__ = ["observe", "similar", "strays"]

RUNS = 5
#: Lists up to this length keep a range for each item, where every run gave the same length.
_ITEMWISE = 50


def similar(function: Callable[[], Any], name: str | None = None, *, runs: int = RUNS, message: str = "") -> Any:
    """Assert that every one of `runs` calls gives a value within the range that is stored for this test.

    When snapshots are updated, the range that the calls span is stored instead. A coroutine function gives an
    awaitable: `await similar(fetch)`. Raises AssertionError with each place outside the range.
    """
    __tracebackhide__ = True
    if not callable(function):
        raise TypeError(f"similar runs a function several times; {show(function)} is none: write similar(lambda: ...)")
    if runs < 1:
        raise ValueError(f"similar needs at least one run, not {runs}")
    place = Place.here("similar", name)
    first = function()
    if hasattr(first, "__await__"):
        return _awaiting(first, function, runs, place, message)
    _judge([first, *(function() for _ in range(runs - 1))], place, message)
    return None


async def _awaiting(first: Any, function: Callable[[], Any], runs: int, place: Place, message: str) -> None:
    __tracebackhide__ = True
    _judge([await first, *[await function() for _ in range(runs - 1)]], place, message)


def _judge(values: list[Any], place: Place, message: str) -> None:
    __tracebackhide__ = True
    if updating():
        place.store(observe(values))
        return
    stored = place.stored()
    if not isinstance(stored, dict):
        fail(f"no range is stored for {place}", [f"first value: {show(values[0])}", "", place.hint()], message)
    for number, value in enumerate(values, 1):
        found = list(strays(value, stored))
        if found:
            more = ["... and more"] if len(found) > DIFFERENCES else []
            fail(f"run {number} of {len(values)} is outside the range of {place}",
                 [*found[:DIFFERENCES], *more, "", place.hint()], message)


def observe(values: list[Any]) -> dict[str, Any]:
    """Return the range that values span, as a document of JSON types."""
    texts = [render(value) for value in values]
    if all(text == texts[0] for text in texts):
        return {"same": texts[0]}
    kinds = {_kind(value) for value in values}
    if len(kinds) > 1:
        groups = [[value for value in values if _kind(value) == kind] for kind in sorted(kinds)]
        return {"any": [{**observe(group), "kind": _kind(group[0])} for group in groups]}
    kind = kinds.pop()
    if kind in ("int", "float"):
        return {"kind": kind, "from": min(values), "to": max(values)}
    if kind == "dict":
        return _observe_dicts(values)
    if kind in ("list", "tuple"):
        return _observe_sequences(values, kind)
    return {"kind": kind}


def _observe_dicts(values: list[Any]) -> dict[str, Any]:
    keys: dict[str, list[Any]] = {}
    for value in values:
        for key, inner in value.items():
            keys.setdefault(show(key), []).append(inner)
    optional = sorted(key for key, found in keys.items() if len(found) < len(values))
    return {"kind": "dict", "keys": {key: observe(found) for key, found in keys.items()}, "optional": optional}


def _observe_sequences(values: list[Any], kind: str) -> dict[str, Any]:
    lengths = [len(value) for value in values]
    if min(lengths) == max(lengths) <= _ITEMWISE:
        return {"kind": kind, "items": [observe(list(column)) for column in zip(*values)]}
    items = [item for value in values for item in value]
    return {"kind": kind, "each": observe(items), "from": min(lengths), "to": max(lengths)}


def strays(value: Any, span: dict[str, Any], path: Path = None) -> Iterator[str]:
    """Yield a line for each place in which a value leaves a range."""
    if "same" in span:
        if render(value) != span["same"]:
            yield f"{path_text(path)}: expected {' '.join(span['same'])}, is {show(value)}"
        return
    if "any" in span:
        matching = [inner for inner in span["any"] if inner["kind"] == _kind(value)]
        if not matching:
            yield f"{path_text(path)}: expected one of {', '.join(i['kind'] for i in span['any'])}, is {show(value)}"
        for inner in matching[:1]:
            yield from strays(value, inner, path)
        return
    if _kind(value) != span["kind"]:
        yield f"{path_text(path)}: expected {span['kind']}, is {show(value)} ({_kind(value)})"
    elif "keys" in span:
        yield from _key_strays(value, span, path)
    elif "items" in span or "each" in span:
        yield from _item_strays(value, span, path)
    elif "from" in span and not span["from"] <= value <= span["to"]:
        yield f"{path_text(path)}: expected {span['from']!r} to {span['to']!r}, is {show(value)}"


def _key_strays(value: Any, span: dict[str, Any], path: Path) -> Iterator[str]:
    shown = {show(key): inner for key, inner in value.items()}
    for key, inner in span["keys"].items():
        place = (path, f"[{key}]")
        if key in shown:
            yield from strays(shown[key], inner, place)
        elif key not in span["optional"]:
            yield f"{path_text(place)}: missing"
    for key, inner in shown.items():
        if key not in span["keys"]:
            yield f"{path_text((path, f'[{key}]'))}: not expected, is {show(inner)}"


def _item_strays(value: Any, span: dict[str, Any], path: Path) -> Iterator[str]:
    if "items" in span:
        least = most = len(span["items"])
    else:
        least, most = span["from"], span["to"]
    if not least <= len(value) <= most:
        expected = least if least == most else f"{least} to {most}"
        yield f"{path_text(path)}: {len(value)} items, expected {expected}"
    for index, item in enumerate(value):
        inner = span["each"] if "each" in span else span["items"][index] if index < least else None
        if inner is not None:
            yield from strays(item, inner, (path, f"[{index}]"))


def _kind(value: Any) -> str:
    """Return the name under which a range knows values of this type."""
    if type(value) is float and (value != value or value in (float("inf"), float("-inf"))):
        return "float without a place"  # NaN and the infinities have no bounds that JSON can hold
    return type(value).__name__
