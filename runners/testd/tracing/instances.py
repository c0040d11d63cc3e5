"""Instances of classes without their constructors, and what stands for them. Runs in the user's process."""

from __future__ import annotations

import builtins
from types import BuiltinFunctionType, MemberDescriptorType, MethodDescriptorType, WrapperDescriptorType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Placeholder", "named", "native", "new", "put_state"]

#: Classes that are known without an import.
_KNOWN = ("collections:Counter", "collections:OrderedDict", "collections:defaultdict")
_NATIVE = (BuiltinFunctionType, MethodDescriptorType, WrapperDescriptorType)


class Placeholder:
    """What stands for a recorded value that cannot be had back, or whose class was not to be imported."""

    __slots__ = ("document", "state")

    def __init__(self, document: dict[str, Any]) -> None:
        """Stand for what the document describes; `state` are the attributes of an object, as values."""
        self.document = document
        self.state: dict[str, Any] = {}

    def __repr__(self) -> str:
        """Say what it stands for."""
        return f"<{self.document['$type']} {self.document.get('class') or self.document.get('name') or ''}>"

    def __eq__(self, other: object) -> bool:
        """Be equal to what stands for the same."""
        return isinstance(other, Placeholder) and self.document == other.document

    def __hash__(self) -> int:
        """Follow equality."""
        return hash(repr(self))


def named(name: str) -> Any:
    """Return what `module:name.inner` names; without a module, a built-in, or the module itself.

    Raises:
        ValueError: it cannot be imported, or is not there.

    """
    from importlib import import_module

    module, _, path = name.partition(":")
    if not path and hasattr(builtins, module):
        return getattr(builtins, module)
    try:
        found = import_module(module)
        for part in path.split(".") if path else ():
            found = getattr(found, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{name} cannot be found: {error}") from error
    return found


def native(kind: type, name: str) -> Any:
    """Return the method that the nearest base written in C has: it runs no user's code, and knows the layout."""
    base = next(base for base in kind.__mro__ if type(base.__dict__.get(name)) in _NATIVE)
    return getattr(base, name)


def new(base: type, document: dict[str, Any], classes: bool, *content: Any) -> Any:
    """Make an instance of the document's class where that may be imported or is known, else of the base.

    Its constructor is not called. An object or exception whose class is not imported is a `Placeholder`.
    """
    name = document.get("class")
    if name is not None and (classes or ":" not in name or name in _KNOWN):
        kind = named(name)
        if not (isinstance(kind, type) and issubclass(kind, base)):
            raise ValueError(f"{name} is no class that is derived from {base.__name__}")
    elif base in (object, BaseException):
        return Placeholder(document)
    else:
        kind = base
    return native(kind, "__new__")(kind, *content)


def put_state(made: Any, state: dict[str, Any]) -> None:
    """Set attributes where an instance holds them, past what its class makes of it."""
    if type(made) is Placeholder:  # (isinstance would ask the object)
        made.state.update(state)
        return
    slots = {
        name: slot
        for base in reversed(type(made).__mro__)
        for name, slot in base.__dict__.items()
        if type(slot) is MemberDescriptorType
    }
    for name, value in state.items():
        if name in slots:
            slots[name].__set__(made, value)
        else:
            object.__getattribute__(made, "__dict__")[name] = value
