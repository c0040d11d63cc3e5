"""What a value is made of: its items, keys or fields. Shared by the assertions that look inside values."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Parts", "parts_of"]


class Parts:
    """The parts of one value: key → part, and how a key is written in a path."""

    __slots__ = ("counted", "frozen", "items", "ordered", "place", "rest")

    def __init__(
        self,
        items: dict[Any, Any],
        place: Callable[[Any], str],
        *,
        counted: bool = False,
        ordered: bool = False,
        frozen: bool = False,
        rest: Any = None,
    ) -> None:
        """Keep the parts.

        `counted`: the number of items is worth a line of its own. `ordered`: the order of the keys matters. `frozen`:
        the value cannot be changed. `rest`: what else is to be compared, by equality.
        """
        self.items = items
        self.place = place
        self.counted = counted
        self.ordered = ordered
        self.frozen = frozen
        self.rest = rest


def parts_of(value: Any) -> Parts | None:
    """Return what a value is made of, or None for one that is compared as a whole, by its own equality."""
    kind = type(value)
    if isinstance(value, tuple) and hasattr(kind, "_fields"):
        return Parts({name: getattr(value, name) for name in kind._fields}, _attribute)
    if isinstance(value, (list, tuple)) or _is_deque(kind):
        rest = getattr(value, "maxlen", None)
        return Parts(dict(enumerate(value)), _index, counted=True, rest=_with_state(value, rest))
    if isinstance(value, dict):
        return Parts(dict(value), _index, ordered=_is_ordered(kind))
    if isinstance(value, BaseException):
        return Parts({"args": value.args, **_fields(value)}, _attribute)
    return _object_parts(value, kind)


def _object_parts(value: Any, kind: type) -> Parts | None:
    """Return the fields of a dataclass, an attrs class, or an object without an equality of its own."""
    declared = getattr(kind, "__dataclass_fields__", None)
    if declared is not None and not isinstance(value, type):
        names = [name for name, field in declared.items() if field.compare and _is_field(field)]
        frozen = bool(getattr(getattr(kind, "__dataclass_params__", None), "frozen", False))
        return Parts({name: getattr(value, name, None) for name in names}, _attribute, frozen=frozen)
    declared = getattr(kind, "__attrs_attrs__", None)
    if declared is not None and not isinstance(value, type):
        return Parts({field.name: getattr(value, field.name, None) for field in declared if field.eq}, _attribute)
    own: Any = kind.__eq__
    if own is not object.__eq__ or isinstance(value, type) or _is_opaque(kind):
        return None
    fields = _fields(value)
    if not fields and _instance_dictionary(value) is None:
        return None
    return Parts(fields, _attribute)


def _fields(value: Any) -> dict[str, Any]:
    """Return an instance's attributes: those of its slots and of its dictionary."""
    fields: dict[str, Any] = {}
    for base in reversed(type(value).__mro__):
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name in ("__dict__", "__weakref__"):
                continue
            if name.startswith("__") and not name.endswith("__"):
                name = f"_{base.__name__.lstrip('_')}{name}"
            try:
                fields[name] = object.__getattribute__(value, name)
            except AttributeError:
                continue  # a slot that was never filled
    fields.update(_instance_dictionary(value) or {})
    return fields


def _instance_dictionary(value: Any) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None
    return found


def _is_opaque(kind: type) -> bool:
    """Whether instances keep what they are worth where Python cannot see it: then only identity tells them apart."""
    made: Any = kind.__new__
    if kind.__flags__ & (1 << 9) == 0:  # Py_TPFLAGS_HEAPTYPE is set for whatever a class statement made
        return True
    return made is not object.__new__ and not hasattr(made, "__code__")  # C code makes it, and may hide state in it


def _is_field(field: Any) -> bool:
    return getattr(field._field_type, "name", "_FIELD") == "_FIELD"  # no ClassVar, no InitVar


def _is_deque(kind: type) -> bool:
    return kind.__module__ == "collections" and kind.__name__ == "deque"


def _is_ordered(kind: type) -> bool:
    return kind.__module__ == "collections" and kind.__name__ == "OrderedDict"


def _with_state(value: Any, rest: Any) -> Any:
    """Return what a subclass of list or tuple holds beside its items."""
    state = getattr(value, "__dict__", None)
    return (rest, state) if state else rest


def _index(key: Any) -> str:
    from testd.assertions.report import show

    return f"[{show(key, 60)}]"


def _attribute(name: Any) -> str:
    return f".{name}"
