"""Whether an object that is still there can be reached by anybody, or only waits for the garbage collector.

A framework's request and what it was made from refer to each other, and so they outlive their test until the collector
runs. To run it is not for us: finalizers would come in other places. This looks only, as the collector does: what
refers to an object but objects to which that one leads itself? Whatever is not sure counts as reachable.

Runs in workers. Standard library only.
"""

import gc
import sys
import weakref
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, Dict, Iterable, List, Set

__all__ = ["Reference", "is_namespace", "is_reachable"]

#: So many objects are looked at.
_MOST = 2000
#: What leads to the whole program. A reference from such a one counts as one from outside.
_BORDER = (type, ModuleType, CodeType, FrameType)

_identity = object.__hash__
_referents, _is_tracked, _getrefcount = gc.get_referents, gc.is_tracked, sys.getrefcount
_getweakrefs = weakref.getweakrefs


class Reference(weakref.ref):  # type: ignore[type-arg]  # no subscripts before Python 3.9
    """A weak reference of ours: one that others have made is told from it."""

    __slots__ = ()


def is_reachable(reference: "Reference") -> bool:
    """Tell whether anybody but us can get at this object. No other thread may change anything meanwhile.

    Takes about a microsecond for each object that it leads to.
    """
    found: List[Any] = [reference()]
    if found[0] is None:
        return False
    known: Dict[int, int] = {_identity(found[0]): 0}  # identity → how many of the objects found refer to it
    for one in found:  # grows meanwhile
        for part in _parts(one):
            identity = _identity(part)
            if identity in known:
                known[identity] += 1
            elif _is_tracked(part) and not issubclass(type(part), _BORDER):
                if len(found) >= _MOST:
                    return True
                known[identity] = 1
                found.append(part)
    part = one = None
    counts = [_getrefcount(one) for one in found]
    outside = [n for n, count in enumerate(counts) if count - _OURS > known[_identity(found[n])]]
    outside += [n for n, one in enumerate(found) if any(type(ref) is not Reference for ref in _getweakrefs(one))]
    return _leads(found, outside, known)


def _leads(found: "List[Any]", start: "Iterable[int]", known: "Dict[int, int]") -> bool:
    """Tell whether one of these leads to the first."""
    target = _identity(found[0])
    left = [found[n] for n in start]
    seen: Set[int] = set()
    while left:
        one = left.pop()
        identity = _identity(one)
        if identity == target:
            return True
        if identity not in seen:
            seen.add(identity)
            left += [part for part in _parts(one) if _identity(part) in known]
    return False


def is_namespace(names: "Dict[str, Any]") -> bool:
    """Tell whether these are the names of a module that is loaded."""
    module = sys.modules.get(names.get("__name__", ""))
    return module is not None and getattr(module, "__dict__", names) is names


def _parts(one: Any) -> "Iterable[Any]":
    """Return what an object refers to; of a function not the module that it is in."""
    if type(one) is FunctionType:
        names = None if is_namespace(one.__globals__) else one.__globals__
        parts = (one.__closure__, one.__defaults__, one.__kwdefaults__, names)
        return [part for part in parts if part is not None]
    return _referents(one)


#: References to an object in a list that come from looking at it.
(_OURS,) = [_getrefcount(one) for one in [object()]]
