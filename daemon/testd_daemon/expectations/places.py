"""Where two recorded values differ, as places that an assertion can ignore. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

__all__ = ["Difference", "differing"]

_PLAIN = re.compile(r"[^.\[\]*\"']+")
#: The members of a value that has a type tag, by index or by name. Others are compared as a whole.
_MEMBERS = {
    "deque": "items", "dict": "fields", "exception": "state", "list": "items", "object": "state", "tuple": "items",
}  # fmt: skip


class Difference(NamedTuple):
    """A place, empty for the value itself, and what is there in both."""

    place: str
    one: Any
    other: Any


def differing(one: Any, other: Any) -> list[Difference]:
    """Return the innermost places at which two values are not the same."""
    return list(_differing(one, other, ()))


def _differing(one: Any, other: Any, place: tuple[Any, ...]) -> Iterator[Difference]:
    if repr(one) == repr(other):  # 1, 1.0 and true are three values
        return
    mine, others = _members(one), _members(other)
    if mine is None or others is None or _outside(one) != _outside(other) or mine.keys() != others.keys():
        yield Difference("".join(_steps(place)), one, other)
        return
    for key, value in mine.items():
        yield from _differing(value, others[key], (*place, key))


def _members(value: Any) -> dict[Any, Any] | None:
    if isinstance(value, dict) and "$type" in value:
        members = value.get(_MEMBERS.get(value["$type"], ""))
        return None if members is None else _members(members)
    if isinstance(value, dict):
        return value
    return dict(enumerate(value)) if isinstance(value, list) else None


def _outside(value: Any) -> Any:
    """Return what a value is apart from its members."""
    if isinstance(value, dict) and "$type" in value:
        return {key: part for key, part in value.items() if key != _MEMBERS.get(value["$type"])}
    return type(value)


def _steps(place: tuple[Any, ...]) -> Iterator[str]:
    for number, key in enumerate(place):
        if isinstance(key, int):
            yield f"[{key}]"
        elif _PLAIN.fullmatch(key):
            yield f".{key}" if number else key
        else:
            yield f'["{key}"]' if '"' not in key else f"['{key}']"
