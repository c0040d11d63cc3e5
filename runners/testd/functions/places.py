"""Places in a value that are not compared: `user.id`, `items[*].at`, `items[0]`, `**.id`. Pure.

A place is a path of keys and indexes from the top, joined by dots; `[…]` is another way to write one. `*` is any one
key or index, `**` any number of them. Fields of objects and keys of maps are written alike.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Iterable, List, Tuple

    Pattern = Tuple[str, ...]

__all__ = ["IGNORED", "PlaceError", "Shaped", "parse", "without"]

_STEP = re.compile(r"\.?(?:\[(?:\"([^\"]*)\"|'([^']*)'|([^\]\"']+))\]|([^.\[\]]+))")


class PlaceError(ValueError):
    """What is written is no place: says why, and what would be right."""


class Shaped:
    """An object of which the name of its class is known, and its attributes."""


class _Ignored:
    """Stands in both values where they are not compared."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<ignored>"


IGNORED = _Ignored()


def parse(written: str) -> Pattern:
    """Return the steps of a place.

    Raises:
        PlaceError: it cannot be read.
    """
    steps: List[str] = []
    at = 1 if written.startswith("$") else 0
    while at < len(written):
        found = _STEP.match(written, at)
        if found is None:
            raise PlaceError(f"{written!r} is no place in a value: write user.id, items[0].id, items[*].id or **.id")
        steps.append(next(part for part in found.groups() if part is not None))
        at = found.end()
    if not steps:
        raise PlaceError(f"{written!r} names no place in a value: write user.id, items[*].id or **.id")
    return tuple(steps)


def without(value: Any, patterns: Iterable[Pattern]) -> Any:
    """Return a value with `IGNORED` at these places; the value itself is not changed."""
    return _without(value, [pattern for pattern in patterns if pattern], frozenset())


def _without(value: Any, patterns: List[Pattern], above: frozenset[int]) -> Any:
    if not patterns or id(value) in above:
        return value
    inner = above | {id(value)}
    if type(value) is dict:
        return {key: _at(found, key, patterns, inner) for key, found in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_at(found, index, patterns, inner) for index, found in enumerate(value))
    if isinstance(value, Shaped):
        made = type(value)()
        made.__dict__.update({name: _at(found, name, patterns, inner) for name, found in vars(value).items()})
        return made
    return value


def _at(value: Any, key: Any, patterns: List[Pattern], above: frozenset[int]) -> Any:
    """Return what is at a key: `IGNORED`, or the value without what is ignored further in."""
    further: List[Pattern] = []
    for pattern in patterns:
        for rest in _step(pattern, str(key)):
            if not rest:
                return IGNORED
            further.append(rest)
    return _without(value, further, above)


def _step(pattern: Pattern, key: str) -> List[Pattern]:
    """Return what is left of a pattern behind a key, in all ways in which it can be read."""
    if pattern[0] == "**":
        return [pattern, *(_step(pattern[1:], key) if len(pattern) > 1 else [()])]
    return [pattern[1:]] if pattern[0] in ("*", key) else []
