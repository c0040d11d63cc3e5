"""Which objects that are still there can be reached by anybody, and which only wait for the garbage collector.

A framework's request and what it was made from refer to each other, and so they outlive their test until the collector
runs. To run it is not for us: finalizers would come in other places. This looks only, as the collector does: what
refers to them but what they themselves lead to? Whatever is not sure counts as reachable.

Runs in workers. Standard library only.
"""

import builtins
import gc
import sys
import weakref
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Dict, Iterable, List, Sequence, Set

__all__ = ["Reference", "is_namespace", "reachable"]

#: So many objects are looked at.
_MOST = 2000
#: What leads to the whole program.
_PROGRAM = (type, ModuleType, CodeType, FrameType)

#: Every piece of code that was compiled for itself, as templates are, refers to them.
_BUILTINS = vars(builtins)

_identity = object.__hash__
_referents, _is_tracked, _getrefcount = gc.get_referents, gc.is_tracked, sys.getrefcount
_getweakrefs = weakref.getweakrefs


class Reference(weakref.ref):  # type: ignore[type-arg]  # no subscripts before Python 3.9
    """A weak reference of ours: one that others have made is told from it."""

    __slots__ = ()


def reachable(references: "Sequence[Reference]") -> "List[bool]":
    """Tell of each of these objects whether anybody but us can get at it; of one that is gone nobody can.

    No other thread may change anything meanwhile. Takes about a microsecond for each object that they lead to.
    """
    places: Dict[int, int] = {}  # identity → place among those found
    found: List[Any] = []
    for one in (reference() for reference in references):
        if one is not None and _identity(one) not in places:
            places[_identity(one)] = len(found)
            found.append(one)
    objects = (reference() for reference in references)
    there = [None if one is None else places[_identity(one)] for one in objects]
    counts = [0] * len(found)  # how many of the objects found refer to it
    for one in found:  # grows meanwhile
        for part in _parts(one):
            place = places.get(_identity(part))
            if place is not None:
                counts[place] += 1
            elif _is_tracked(part) and not _is_border(part):
                if len(found) >= _MOST:
                    return [place is not None for place in there]
                places[_identity(part)] = len(found)
                found.append(part)
                counts.append(1)
    part = one = None
    held = [_getrefcount(one) for one in found]
    outside = {n for n, count in enumerate(held) if count - _OURS > counts[n]}
    outside.update(n for n, one in enumerate(found) if any(type(ref) is not Reference for ref in _getweakrefs(one)))
    reached = _led_to(found, outside, places)
    return [place in reached for place in there]


def _led_to(found: "List[Any]", start: "Iterable[int]", places: "Dict[int, int]") -> "Set[int]":
    """Return the places of what these lead to, themselves included."""
    seen: Set[int] = set()
    left = list(start)
    while left:
        place = left.pop()
        if place not in seen:
            seen.add(place)
            parts = (places.get(_identity(part)) for part in _parts(found[place]))
            left += [place for place in parts if place is not None]
    return seen


def _is_border(one: Any) -> bool:
    """Tell whether a reference from an object counts as one from outside: it stays, or leads to the whole program."""
    if type(one) is FunctionType:
        names = one.__globals__
        return dict.get(names, one.__name__) is one and is_namespace(names)
    return one is _BUILTINS or issubclass(type(one), _PROGRAM)


def is_namespace(names: "Dict[str, Any]") -> bool:
    """Tell whether these are the names of a module that is loaded."""
    name = dict.get(names, "__name__")  # what a program put there may be anything, and so may a module
    module = sys.modules.get(name) if isinstance(name, str) else None
    try:
        return module is not None and object.__getattribute__(module, "__dict__") is names
    except AttributeError:
        return False


def _parts(one: Any) -> "Iterable[Any]":
    """Return what an object refers to; of a function not the module that it is in."""
    if type(one) is FunctionType:
        names = None if is_namespace(one.__globals__) else one.__globals__
        parts = (one.__closure__, one.__defaults__, one.__kwdefaults__, names)
        return [part for part in parts if part is not None]
    return _referents(one)


#: References to an object in a list that come from looking at it.
(_OURS,) = [_getrefcount(one) for one in [object()]]
