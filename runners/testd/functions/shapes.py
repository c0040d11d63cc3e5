"""Recorded values in a form that compares part by part: an object is one of a class that only has its name. Pure.

The classes themselves are not imported, so that what a class makes of `==` decides nothing.
"""

from __future__ import annotations

from testd.functions.places import IGNORED, Shaped
from testd.tracing.values import Placeholder, restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Tuple

__all__ = ["shape", "tagged"]

_classes: Dict[Tuple[str, str], type] = {}


def shape(document: Any) -> Any:
    """Return the value of a recorded one. What was left out as a secret is not compared.

    Raises:
        ValueError: it is no recorded value.
    """
    return _shaped(restore(document), {})


def tagged(document: Any) -> bool:
    """Whether a document says of any part which type it is."""
    if isinstance(document, list):
        return any(map(tagged, document))
    return isinstance(document, dict) and ("$type" in document or any(map(tagged, document.values())))


def _shaped(value: Any, known: Dict[int, Any]) -> Any:
    """Return a value with objects in the place of placeholders. Lists and maps are changed: they are nobody else's."""
    if id(value) in known:
        return known[id(value)]
    if isinstance(value, Placeholder):
        return _object(value, known)
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(_shaped(item, known) for item in value)
    if isinstance(value, list):
        known[id(value)] = value
        for index, item in enumerate(value):
            value[index] = _shaped(item, known)
    elif isinstance(value, dict):
        known[id(value)] = value
        for key, item in value.items():
            value[key] = _shaped(item, known)
    return value


def _object(value: Placeholder, known: Dict[int, Any]) -> Any:
    kind = value.document["$type"]
    if kind == "redacted":
        return IGNORED
    if kind not in ("object", "exception"):
        return value
    made = known[id(value)] = _class(kind, value.document.get("class") or kind)()
    made.__dict__.update({name: _shaped(item, known) for name, item in value.state.items()})
    if "args" in value.document:
        made.__dict__["args"] = _shaped(restore(value.document["args"]), known)
    return made


def _class(kind: str, name: str) -> type:
    if (kind, name) not in _classes:
        module, _, path = name.rpartition(":")
        members = {"__module__": module or "builtins", "__qualname__": path, "__repr__": _shown}
        _classes[kind, name] = type(path.rpartition(".")[2], (Shaped,), members)
    return _classes[kind, name]


def _shown(self: Any) -> str:
    fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
    return f"{type(self).__qualname__}({fields})"
