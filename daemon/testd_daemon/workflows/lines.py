"""On which line of a JSON text each of its values stands. Pure."""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # a part of what json is made of

__all__ = ["line_of", "lines"]

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()
#: So deep is looked; nothing of a workflow is deeper.
_DEEPEST = 40


def line_of(places: dict[str, int], place: str) -> int:
    """Return the line of a place, or of what it is missing in; `places` is from `lines`."""
    while place and place not in places:
        place = place[: max(place.rfind("."), place.rfind("["), 0)]
    return places[place]


def lines(text: str) -> dict[str, int]:
    """Return the line, from 1, of each value of a text that is valid JSON, by its place: `a.b[0].c`."""
    offsets: dict[str, int] = {}
    _value(text, _skip(text, 0), "", offsets, 0)
    found: dict[str, int] = {}
    line, counted = 1, 0
    for place, offset in offsets.items():
        line, counted = line + text.count("\n", counted, offset), offset
        found[place] = line
    return found


def _value(text: str, at: int, place: str, offsets: dict[str, int], depth: int) -> int:
    """Note where a value and all in it stand; return where it ends."""
    offsets.setdefault(place, at)  # a map's member stands where its key does
    mark = text[at]
    if mark not in "{[" or depth == _DEEPEST:
        return _DECODER.raw_decode(text, at)[1]
    at = _skip(text, at + 1)
    number = 0
    while text[at] not in "}]":
        if mark == "{":
            begin = at
            key, at = scanstring(text, at + 1, True)
            inner = f"{place}.{key}" if place else key
            offsets[inner] = begin
            at = _skip(text, _skip(text, at) + 1)
        else:
            inner = f"{place}[{number}]"
        at = _skip(text, _value(text, at, inner, offsets, depth + 1))
        at = _skip(text, at + 1) if text[at] == "," else at
        number += 1
    return at + 1


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at
