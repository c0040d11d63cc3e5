"""A recorded value as JSON without types: what most programs would have written. Runs in the user's process."""

from __future__ import annotations

import json

from testd.tracing.names import pointer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["untyped"]

_VALUES = {
    "bigint", "bool", "complex", "date", "datetime", "decimal", "float", "fraction", "int", "path", "str", "time",
    "uuid",
}  # fmt: skip
_ITEMS = {"list", "tuple", "set", "frozenset", "deque", "generator"}


def untyped(document: Any) -> Any:
    """Return a recorded value as plain JSON.

    Tuples and sets are lists, objects their attributes, dates and numbers of other kinds their text, keys text. A value
    that stands in two places is there twice; one that contains itself is null there, as is what has no content.
    """
    return _Untyping().value(document, ())


class _Untyping:
    """One document on its way."""

    def __init__(self) -> None:
        self._open: set[str] = set()  # places of what is being written
        self._made: dict[str, Any] = {}

    def value(self, document: Any, trail: tuple[object, ...]) -> Any:
        if not isinstance(document, (list, dict)):
            return document
        place = pointer(trail)
        self._open.add(place)
        made = self._made[place] = self._content(document, trail)
        self._open.discard(place)
        return made

    def _content(self, document: Any, trail: tuple[object, ...]) -> Any:
        if isinstance(document, list):
            return self._items(document, trail)
        tag = document.get("$type")
        if tag is None:
            return self._fields(document, trail)
        if tag in _VALUES:
            return document.get("value")
        if tag in _ITEMS:
            return self._items(document.get("items", []), trail)
        if tag == "dict":
            return {**self._fields(document.get("fields", {}), trail), **self._pairs(document, trail)}
        if tag == "object":
            return self._fields(document.get("state", {}), trail)
        if tag == "ref":
            path = document["path"]
            return None if path in self._open else self._made.get(path)
        return self._rest(tag, document)

    def _rest(self, tag: str, document: dict[str, Any]) -> Any:
        if tag in ("bytes", "bytearray", "memoryview"):
            return document["base64"]
        if tag in ("timedelta", "range"):
            return document["value"]
        return document.get("name") if tag == "enum" else None

    def _items(self, items: list[Any], trail: tuple[object, ...]) -> list[Any]:
        return [self.value(item, (*trail, index)) for index, item in enumerate(items)]

    def _fields(self, fields: dict[str, Any], trail: tuple[object, ...]) -> dict[str, Any]:
        return {key: self.value(member, (*trail, key)) for key, member in fields.items()}

    def _pairs(self, document: dict[str, Any], trail: tuple[object, ...]) -> dict[str, Any]:
        pairs = self._items(document.get("items", []), trail)
        return {key if isinstance(key, str) else json.dumps(key): member for key, member in pairs}
