"""One maker for each kind of value that JSON has no word for. Runs in the user's process.

A maker is `maker(shot, value) -> JSON`, where `shot` is the snapshot that it is a part of. Reads what the interpreter
itself keeps of a value, and calls nothing that a user's class defines.
"""

from __future__ import annotations

import sys
from collections import OrderedDict, defaultdict
from types import (
    AsyncGeneratorType,
    BuiltinFunctionType,
    CoroutineType,
    FunctionType,
    GeneratorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
)
from weakref import WeakKeyDictionary

from testd.tracing.library import WHOLE, foreign
from testd.tracing.names import class_name, clean, short_name
from testd.tracing.simple import EXACT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from testd.tracing.snapshots import Snapshot

    Maker = Callable[[Snapshot, Any], Any]

__all__ = ["MAKERS", "REDACTED", "items_of", "maker"]

_LARGE = 4096  # bits
#: Stands for an argument that is not recorded.
REDACTED = type("Redacted", (), {})()

_chosen: WeakKeyDictionary[type, Maker] = WeakKeyDictionary()


def maker(kind: type) -> Maker:
    """Return what writes down a value of a type that is not in `MAKERS`."""
    made = _chosen.get(kind)
    if made is None:
        made = _chosen[kind] = _choose(kind)
    return made


def _choose(kind: type) -> Maker:
    """Return the maker for a type that is met for the first time: by what it is derived from."""
    if "enum" in sys.modules and isinstance(kind, sys.modules["enum"].EnumMeta):
        return _enum
    for base in kind.__mro__:
        made = MAKERS.get(base) or foreign(base)
        if made is not None:
            return made if base is kind or made in _OPAQUE else _derived(made)
    if issubclass(kind, type):
        return _class
    return _object


def _derived(made: Maker) -> Maker:
    """Return a maker for subclasses: what the base is, with the class and what instances hold beside it."""

    def derived(shot: Snapshot, value: Any) -> Any:
        document = made(shot, value)
        if not (isinstance(document, dict) and "$type" in document):
            name = type(document).__name__
            document = {"$type": name, {"list": "items", "dict": "fields"}.get(name, "value"): document}
        elif document["$type"] == "ref":
            return document
        document["class"] = class_name(type(value))
        if issubclass(type(value), defaultdict):
            document["default"] = shot.take(value.default_factory)
        state = _state(value)
        if state:
            document["state"], _ = shot.fields(state)
        return document

    return derived


# ---- what JSON has, where the limits allow


def _text(shot: Snapshot, value: str) -> Any:
    return shot.text(str.__str__(value))


def _int(shot: Snapshot, value: int) -> Any:
    exact = int.__add__(value, 0)  # of a subclass, whose own operators are not asked
    if -EXACT < exact < EXACT:
        return exact
    # Decimal digits of a very large number take time, and newer interpreters refuse to make them.
    return {"$type": "int", "value": repr(exact) if exact.bit_length() < _LARGE else hex(exact)}


def _float(shot: Snapshot, value: float) -> Any:
    exact = float.__mul__(value, 1.0)
    return exact if exact - exact == 0 else {"$type": "float", "value": repr(exact)}


def _list(shot: Snapshot, value: list[Any]) -> Any:
    known = shot.seen(value)
    if known is not None:
        return known
    size = list.__len__(value)
    if size and shot.too_deep:
        return shot.left_out({"$type": "list", "cut": size})
    if shot.copies(value):
        return value[:]
    items, cut = shot.members(list.__iter__(value), size)
    return {"$type": "list", "items": items, "cut": cut} if cut else items


def _dict(shot: Snapshot, value: dict[Any, Any]) -> Any:
    known = shot.seen(value)
    if known is not None:
        return known
    size = dict.__len__(value)
    if size and shot.too_deep:
        return shot.left_out({"$type": "dict", "cut": size})
    if shot.copies_map(value):
        return dict(value)
    if "$type" not in dict.keys(value) and all(type(key) is str and clean(key) for key in dict.keys(value)):
        fields, cut = shot.fields(value)
        return {"$type": "dict", "fields": fields, "cut": cut} if cut else fields
    return _sequence(shot, "dict", map(_Pair, items_of(value)), size)


def items_of(value: dict[Any, Any]) -> Iterable[tuple[Any, Any]]:
    """Return the pairs of a map in its own order, past what a user's class makes of `items`."""
    return OrderedDict.items(value) if issubclass(type(value), OrderedDict) else dict.items(value)  # type: ignore[arg-type]


class _Pair(tuple):  # type: ignore[type-arg]  # (3.8 has no tuple[Any, ...])
    """A key and its value in a map whose keys are not text."""

    __slots__ = ()


def _pair(shot: Snapshot, value: _Pair) -> Any:
    key = value[0]
    if isinstance(key, str) and shot.secret(key):
        return [shot.take(key), {"$type": "redacted"}]
    return shot.members(value, 2)[0]


# ---- containers that JSON does not have


def _tuple(shot: Snapshot, value: tuple[Any, ...]) -> Any:
    return _sequence(shot, "tuple", tuple.__iter__(value), tuple.__len__(value))


def _set(shot: Snapshot, value: set[Any]) -> Any:
    known = shot.seen(value)
    return known if known is not None else _unordered(shot, "set", value)


def _frozenset(shot: Snapshot, value: frozenset[Any]) -> Any:
    return _unordered(shot, "frozenset", value)


def _unordered(shot: Snapshot, tag: str, value: set[Any] | frozenset[Any]) -> Any:
    """Write members in an order that does not depend on their hashes."""
    before = shot.met
    base: Any = set if tag == "set" else frozenset
    document = _sequence(shot, tag, base.__iter__(value), base.__len__(value))
    if shot.met == before:  # nothing stands in it that a reference could lead to
        document.get("items", []).sort(key=_order)
    return document


def _order(document: Any) -> tuple[str, Any]:
    """Return what the members of a set are sorted by: numbers as numbers, the rest as text."""
    if isinstance(document, (int, float)):
        return ("", document)
    return (type(document).__name__, repr(document))


def _sequence(shot: Snapshot, tag: str, values: Iterable[Any], size: int) -> dict[str, Any]:
    if size and shot.too_deep:
        return shot.left_out({"$type": tag, "cut": size})
    items, cut = shot.members(values, size)
    return {"$type": tag, "items": items, "cut": cut} if cut else {"$type": tag, "items": items}


# ---- scalars that JSON does not have


def _bytes(shot: Snapshot, value: Any) -> Any:
    from base64 import b64encode

    tag = next(base.__name__ for base in type(value).__mro__ if base in (bytes, bytearray, memoryview))
    if tag == "bytearray":
        known = shot.seen(value)
        if known is not None:
            return known
    kept, cut = shot.data(value.tobytes() if tag == "memoryview" else value, bytearray if tag == "bytearray" else bytes)
    document = {"$type": tag, "base64": b64encode(kept).decode()}
    return {**document, "cut": cut} if cut else document


def _complex(shot: Snapshot, value: complex) -> Any:
    return {"$type": "complex", "value": complex.__repr__(value).strip("()")}


def _range(shot: Snapshot, value: range) -> Any:
    return {"$type": "range", "value": [shot.take(part) for part in (value.start, value.stop, value.step)]}


def _slice(shot: Snapshot, value: slice) -> Any:
    return {"$type": "slice", "value": [shot.take(part) for part in (value.start, value.stop, value.step)]}


def _ellipsis(shot: Snapshot, value: Any) -> Any:
    return {"$type": "ellipsis"}


def _enum(shot: Snapshot, value: Any) -> Any:
    held = object.__getattribute__(value, "__dict__")
    name = held.get("_name_")
    document = {"$type": "enum", "class": class_name(type(value))}
    return {**document, "name": name} if name is not None else {**document, "value": shot.take(held.get("_value_"))}


# ---- what is named, because there is nothing in it to write down


def _function(shot: Snapshot, value: Any) -> Any:
    module = getattr(value, "__module__", None)
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", "")
    return {"$type": "function", "name": f"{module}:{name}" if module and module != "builtins" else str(name)}


def _method(shot: Snapshot, value: MethodType) -> Any:
    return {**_function(shot, value.__func__), "self": shot.take(value.__self__)}


def _module(shot: Snapshot, value: ModuleType) -> Any:
    return {"$type": "module", "name": str(ModuleType.__getattribute__(value, "__dict__").get("__name__"))}


def _class(shot: Snapshot, value: type) -> Any:
    return {"$type": "class", "name": class_name(value)}


def _generator(shot: Snapshot, value: Any) -> Any:
    """Name a generator, coroutine or asynchronous generator. It is not begun."""
    return {"$type": type(value).__name__, "name": short_name(value)}



# ---- objects


def _exception(shot: Snapshot, value: BaseException) -> Any:
    known = shot.seen(value)
    if known is not None:
        return known
    document: dict[str, Any] = {"$type": "exception", "class": class_name(type(value))}
    if shot.too_deep:
        return shot.left_out(document)
    arguments = BaseException.__dict__["args"].__get__(value)
    document["args"], _ = shot.members(arguments, len(arguments))
    state = _state(value)
    if state:
        document["state"], _ = shot.fields(state)
    return document


def _object(shot: Snapshot, value: Any) -> Any:
    known = shot.seen(value)
    if known is not None:
        return known
    kind = class_name(type(value))
    state = _state(value)
    if state is None:
        return {"$type": "opaque", "class": kind}
    if state and shot.too_deep:
        return shot.left_out({"$type": "object", "class": kind, "cut": len(state)})
    fields, cut = shot.fields(state)
    document = {"$type": "object", "class": kind, "state": fields}
    return {**document, "cut": cut} if cut else document


def _state(value: Any) -> dict[str, Any] | None:
    """Return the attributes that an object holds, None where the interpreter keeps none that can be read."""
    try:
        held = object.__getattribute__(value, "__dict__")
        state = {str(name): member for name, member in held.items()}
        found = True
    except AttributeError:
        state, found = {}, False
    for base in type(value).__mro__:
        if "__slots__" in base.__dict__:
            found = True
            for name, slot in list(base.__dict__.items()):
                if type(slot) is MemberDescriptorType and name not in state:
                    try:
                        state[name] = slot.__get__(value)
                    except AttributeError:  # not set
                        continue
    return state if found else None


#: Makers that tell the class themselves, for subclasses too.
_OPAQUE = (*WHOLE, _object, _exception, _function, _method, _class, _generator, _enum)
MAKERS: dict[type, Maker] = {
    str: _text,
    int: _int,
    bool: lambda shot, value: value,
    float: _float,
    list: _list,
    dict: _dict,
    tuple: _tuple,
    set: _set,
    frozenset: _frozenset,
    bytes: _bytes,
    bytearray: _bytes,
    memoryview: _bytes,
    complex: _complex,
    range: _range,
    slice: _slice,
    type(...): _ellipsis,
    _Pair: _pair,
    type(REDACTED): lambda shot, value: {"$type": "redacted"},
    FunctionType: _function,
    BuiltinFunctionType: _function,
    MethodType: _method,
    ModuleType: _module,
    type: _class,
    GeneratorType: _generator,
    CoroutineType: _generator,
    AsyncGeneratorType: _generator,
    BaseException: _exception,
}
