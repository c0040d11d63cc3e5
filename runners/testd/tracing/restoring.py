"""From a recorded value back to a Python value. Runs in the user's process.

Nothing is unpickled. A class is imported only where that was asked for; then an instance is made without its
constructor, and its attributes are put into its `__dict__` and its slots, so no code of the class runs. Everything else
that cannot be had back is a `Placeholder`.
"""

from __future__ import annotations

from collections import defaultdict, deque
from contextlib import suppress

from testd.tracing.instances import Placeholder, named, native, new, put_state
from testd.tracing.names import pointer
from testd.tracing.scalars import SCALARS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

__all__ = ["Placeholder", "RestoreError", "restore"]

#: Containers inside of each other; a recorded value has fewer.
_DEPTH = 200


class RestoreError(ValueError):
    """A document that is no recorded value: where in it, what is wrong, and what would be right."""


def restore(document: Any, *, classes: bool = False) -> Any:
    """Return the value that was recorded.

    With `classes`, classes, functions and modules are imported by their names, and objects are instances again.

    Raises:
        RestoreError: the document has a `$type` that is not known, or lacks what goes with it.

    """
    return _Restoring(classes).value(document)


class _Restoring:
    """One document while its value is being made."""

    def __init__(self, classes: bool) -> None:
        self.classes = classes
        self._made: dict[str, Any] = {}  # where something stands in the value → what it is
        self._trail: list[object] = []

    def value(self, document: Any) -> Any:
        """Return the value of a part of the document."""
        if isinstance(document, list):
            return self.fill_list(self.note([]), document)
        if not isinstance(document, dict):
            return document
        tag = document.get("$type")
        if tag is None and "$type" not in document:
            return self.fill_dict(self.note({}), document)
        depth = len(self._trail)
        try:
            if isinstance(tag, str) and tag in SCALARS:
                return SCALARS[tag](document)
            if isinstance(tag, str) and tag in _MAKERS:
                return _MAKERS[tag](self, document)
        except RestoreError:
            raise
        except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, ImportError) as error:
            del self._trail[depth:]
            raise self._wrong(f"cannot be restored as {tag!r} ({type(error).__name__}: {error})") from error
        raise self._wrong(f"has the $type {tag!r}; known are {', '.join(sorted({*_MAKERS, *SCALARS}))}")

    def make(self, base: type, document: dict[str, Any], *content: Any) -> Any:
        """Make an empty instance, and keep it for references."""
        return self.note(new(base, document, self.classes, *content))

    def note(self, made: Any) -> Any:
        """Keep what a reference may lead to."""
        self._made[pointer(self._trail)] = made
        return made

    def fill_list(self, made: list[Any], items: Iterable[Any]) -> list[Any]:
        """Put the values of a list's members into it."""
        append = native(type(made), "append")
        for member in self.members(enumerate(items)):
            append(made, member)
        return made

    def fill_dict(self, made: dict[Any, Any], fields: dict[str, Any]) -> dict[Any, Any]:
        """Put the values of a map's members into it."""
        put = native(type(made), "__setitem__")
        for key, member in zip(fields, self.members(fields.items())):
            put(made, key, member)
        return made

    def members(self, documents: Iterable[tuple[object, Any]]) -> Iterable[Any]:
        """Give the values of members; each comes with its key or index."""
        if len(self._trail) >= _DEPTH:
            raise self._wrong(f"has more than {_DEPTH} containers inside of each other")
        self._trail.append("")
        for self._trail[-1], document in documents:
            yield self.value(document)
        self._trail.pop()

    def items(self, document: dict[str, Any]) -> list[Any]:
        """Return the values of a document's `items`."""
        return list(self.members(enumerate(document.get("items", ()))))

    def with_state(self, made: Any, document: dict[str, Any]) -> Any:
        """Set the attributes that the document has."""
        state = document.get("state")
        if state:
            put_state(made, dict(zip(state, self.members(state.items()))))
        return made

    def found(self, path: str) -> Any:
        """Return what was made at that place."""
        if path not in self._made:
            raise self._wrong(f"is a reference to {path or 'the value'!r}, where nothing stands that it could mean")
        return self._made[path]

    def _wrong(self, what: str) -> RestoreError:
        return RestoreError(f"{pointer(self._trail) or 'the value'} {what}")


def _list(part: _Restoring, document: dict[str, Any]) -> Any:
    return part.with_state(part.fill_list(part.make(list, document), document.get("items", ())), document)


def _dict(part: _Restoring, document: dict[str, Any]) -> Any:
    made: Any = part.fill_dict(part.make(dict, document), document.get("fields", {}))
    put = native(type(made), "__setitem__")
    for key, member in part.items(document):
        put(made, key, member)
    if "default" in document and issubclass(type(made), defaultdict):
        made.default_factory = part.value(document["default"])
    return part.with_state(made, document)


def _set(part: _Restoring, document: dict[str, Any]) -> Any:
    made = part.make(set, document)
    set.update(made, part.items(document))
    return part.with_state(made, document)


def _deque(part: _Restoring, document: dict[str, Any]) -> Any:
    made = part.note(deque(maxlen=document.get("maxlen")))
    made.extend(part.items(document))
    return made


def _bytearray(part: _Restoring, document: dict[str, Any]) -> Any:
    made = part.make(bytearray, document)
    made[:] = SCALARS["bytes"](document)
    return made


def _immutable(base: type) -> Callable[[_Restoring, dict[str, Any]], Any]:
    return lambda part, document: part.with_state(part.make(base, document, part.items(document)), document)


def _object(part: _Restoring, document: dict[str, Any]) -> Any:
    return part.with_state(part.make(object, document), document)


def _exception(part: _Restoring, document: dict[str, Any]) -> Any:
    made = part.make(BaseException, document)
    if type(made) is not Placeholder:
        made.args = tuple(part.members(enumerate(document.get("args", ()))))
    return part.with_state(made, document)


def _enum(part: _Restoring, document: dict[str, Any]) -> Any:
    if not part.classes:
        return Placeholder(document)
    kind = named(document["class"])
    if "name" in document:
        return kind.__dict__["_member_map_"][document["name"]]
    return next(member for member in kind if member.value == part.value(document["value"]))


def _name(part: _Restoring, document: dict[str, Any]) -> Any:
    with suppress(ValueError):  # functions without a name that leads to them
        if part.classes or ":" not in document["name"]:
            return named(document["name"])
    return Placeholder(document)


_MAKERS: dict[str, Callable[[_Restoring, dict[str, Any]], Any]] = {
    "list": _list,
    "dict": _dict,
    "set": _set,
    "deque": _deque,
    "bytearray": _bytearray,
    "tuple": _immutable(tuple),
    "frozenset": _immutable(frozenset),
    "object": _object,
    "exception": _exception,
    "enum": _enum,
    "class": _name,
    "function": _name,
    "module": lambda part, document: named(document["name"]) if part.classes else Placeholder(document),
    "range": lambda part, document: range(*part.members(enumerate(document["value"]))),
    "slice": lambda part, document: slice(*part.members(enumerate(document["value"]))),
    "ref": lambda part, document: part.found(document["path"]),
    **dict.fromkeys(
        ("method", "file", "generator", "coroutine", "async_generator", "opaque", "redacted", "cut",
         "undefined", "bigint", "symbol"),
        lambda part, document: Placeholder(document),
    ),
}
