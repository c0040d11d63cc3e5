"""How values, classes and places are named in a record. Runs in the user's process; calls no user code."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["class_name", "clean", "message", "pointer", "short_name"]


def class_name(kind: type) -> str:
    """Return `module:Class.Inner`; a built-in type is its name alone."""
    name = type.__dict__["__qualname__"].__get__(kind)
    module = type.__dict__["__module__"].__get__(kind)  # whatever a user's class made of it
    return name if module == "builtins" else f"{module}:{name}"


def short_name(function: Any) -> str:
    """Return a function's name with its classes, without the functions that it was defined in."""
    name = getattr(function, "__qualname__", None) or getattr(function, "__name__", None)
    return name.rpartition("<locals>.")[2] if isinstance(name, str) else class_name(type(function))


def pointer(trail: Iterable[object]) -> str:
    """Return keys and indexes as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in trail)


def clean(value: str) -> bool:
    """Tell whether a text can be written as UTF-8: it has no lone surrogates."""
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def message(error: BaseException) -> str:
    """Return what an exception says, whatever its class makes of that."""
    try:
        return str(error)
    except Exception as problem:
        return f"<its text could not be made: {class_name(type(problem))}>"
