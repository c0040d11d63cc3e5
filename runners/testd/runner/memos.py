"""Which functions keep what they made, so that others find it: caches, lazily made globals, singletons.

Some keep it in objects that they are given, and what is kept goes with these: a property that is computed once. It is
told from compiled code, and from the names of decorators in the source, and it may be said of a function that keeps
nothing: then more is run again than need be. Runs in stems and workers; standard library only.
"""

import opcode
import re
from types import CodeType
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, Optional, Set, Tuple

from testd.runner.closures import Closures
from testd.runner.remembered import Remembered
from testd.runner.sources import Sources

__all__ = ["Memos"]

#: Not what is said to the caches of others (`Cache-Control`, `no_cache`), nor how much memory there is.
_TELLING = re.compile(r"(?<!no_)cache(?!_?control)|memo(?!ry)|once|lazy|singleton", re.IGNORECASE)
_DECORATOR = re.compile(rb"[ \t]*@[^#]*(?:cache|memo|once|lazy|singleton)", re.IGNORECASE)
#: A decorator that keeps what it made in the object, whose package it may come from.
_PROPERTY = re.compile(rb"[ \t]*@(?:\w+\.)*cached_property\b(?!\w)")
#: Methods that change what they are called on.
_CHANGING = {"add", "append", "appendleft", "extend", "insert", "push", "put", "register", "setdefault", "update"}
#: Modules that every test may change for itself, and puts back; and what stands for the object of the method.
_PASSING = {"os", "sys", "super"}
_CLASSES = {"cls", "klass"}
#: What is put into a class or an object while it is made is part of it.
_MAKING = {"__init__", "__init_subclass__", "__set_name__"}
_TEST_FILE = re.compile(r"(?:^|/)(?:test_[^/]*|[^/]*_test|conftest)\.py$")

_OPS = opcode.opmap
_NAMES = opcode.opname
_STORE_GLOBAL = {_OPS["STORE_GLOBAL"], _OPS["DELETE_GLOBAL"]}
_STORE_SUBSCR, _STORE_ATTR, _STORE_DEREF = _OPS["STORE_SUBSCR"], _OPS["STORE_ATTR"], _OPS["STORE_DEREF"]
_STORE_SLICE = _OPS.get("STORE_SLICE", _STORE_SUBSCR)
_STORES = {_STORE_SUBSCR, _STORE_SLICE, _STORE_ATTR, _STORE_DEREF}
_LOADS_NAME = {_OPS["LOAD_GLOBAL"], _OPS["LOAD_NAME"]}
#: From Python 3.12 on a method is loaded as an attribute is.
_LOADS_PART = {_OPS[name] for name in ("LOAD_ATTR", "LOAD_METHOD") if _OPS.get(name, 256) < 256}
#: Operations whose argument has a flag below the name's index.
_FLAGGED = {_OPS["LOAD_GLOBAL"]} | (_LOADS_PART if len(_LOADS_PART) == 1 else set())

_LOADS_VARIABLE = {
    number: "free" if name.endswith("DEREF") else "local"
    for name, number in _OPS.items()
    if name.startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF"))
}
_REBINDS = {number for name, number in _OPS.items() if re.match("(STORE|DELETE)_(FAST|DEREF)", name)}
#: From Python 3.13 on: two variables in one operation, the first in front; and those that load both, or the second.
_TWO = {number for name, number in _OPS.items() if re.search("FAST(_BORROW)?_(LOAD|STORE)_FAST", name)}
_LOADS_TWO = {number for number in _TWO if "_LOAD_FAST" in _NAMES[number]}
#: Operations on an object that was loaded last.
_USES = {*_LOADS_PART, _STORE_ATTR}

#: Tells code objects apart: they compare by their content, and `id` is slow once there is an audit hook.
_identity = object.__hash__

_Place = Tuple[Any, Any]  # line and column at which an expression begins
#: In which variables are the objects that keep what a function made; `_ANYWHERE` is none. None: it keeps nothing.
_Kept = Optional[FrozenSet[str]]
_ANYWHERE = ""


class Memos:
    """Looks at functions, and keeps what it found: to look at one takes as long as some hundred calls.

    It serves all processes that are forked from this one, and those that are forked from them; what is told from code
    alone also where a file was edited: most of its functions are what they were.
    """

    def __init__(self) -> None:
        """Have looked at nothing."""
        self._remembered = Remembered()
        self.load, self.save = self._remembered.load, self._remembered.save
        self._known: Dict[int, Tuple[CodeType, _Kept]] = {}  # with the code, so that an identity stays what it is
        self._sources = Sources()
        self._closures = Closures(self._sources)

    def keeps(self, code: CodeType) -> bool:
        """Tell whether what a function makes may outlive its call where others find it."""
        return self._kept(code) is not None

    def holders(self, code: CodeType) -> "FrozenSet[str]":
        """Return the variables in which, when a call begins, are all objects that keep what it makes; none: others do.

        They are parameters of the function, or variables of the ones around it.
        """
        kept = self._kept(code) or frozenset()
        return frozenset() if _ANYWHERE in kept else kept

    def forget(self, path: str) -> None:
        """Look at a file, and at the functions in it, again when they are next asked for."""
        self._known = {known: found for known, found in self._known.items() if found[0].co_filename != path}
        self._sources.forget(path)
        self._closures.forget(path)

    def _kept(self, code: CodeType) -> _Kept:
        identity = _identity(code)
        known = self._known.get(identity)
        if known is None:
            found = self._found(code)
            known = self._known[identity] = code, frozenset(found) if found else None
        return known[1]

    def _found(self, code: CodeType) -> "Tuple[str, ...]":
        """Return where a function keeps what it makes: as was found in the same file before, or for the same code."""
        names = code.co_name, code.co_names, code.co_varnames, code.co_cellvars
        counts = code.co_argcount, code.co_kwonlyargcount
        content = hash((code.co_filename, code.co_code, getattr(code, "co_linetable", b""), names, counts))
        moment = self._sources.moment(code.co_filename)
        whole = hash((content, code.co_firstlineno, moment))
        found: Optional[Tuple[str, ...]] = self._remembered.get(whole) if moment else None
        if found is None:
            stored = None if code.co_freevars else self._remembered.get(content)  # what is around it may have changed
            if stored is None:
                stored = tuple(_stores(code, self._is_confined))
                if not code.co_freevars:
                    self._remembered.put(content, stored)
            found = (*stored, *self._decorated(code))
            if moment:
                self._remembered.put(whole, found)
        return found

    def _is_confined(self, code: CodeType) -> bool:
        name = getattr(code, "co_qualname", code.co_name)
        return self._closures.is_confined(code.co_filename, name, code.co_firstlineno)

    def _decorated(self, code: CodeType) -> "Iterator[str]":
        """Yield where decorators above a function that have a telling name keep what it makes."""
        lines = self._sources.lines(code.co_filename)
        first = code.co_firstlineno
        if not lines[first - 1 : first] or not lines[first - 1].lstrip().startswith(b"@"):
            return
        body = min((line for line in _lines(code) if line > first), default=first + 1)
        for line in lines[first - 1 : body - 1]:
            if _DECORATOR.match(line):
                yield code.co_varnames[0] if _PROPERTY.match(line) and code.co_argcount else _ANYWHERE


def _lines(code: CodeType) -> "Iterator[int]":
    """Yield the lines on which a function has something to do."""
    if hasattr(code, "co_lines"):  # from Python 3.10
        yield from (line for _, _, line in code.co_lines() if line is not None)
    else:
        import dis

        yield from (line for _, line in dis.findlinestarts(code))


def _stores(code: CodeType, is_confined: "Callable[[CodeType], bool]") -> "Iterator[str]":
    """Yield where a function stores what outlives its call: in an object of these variables, or anywhere."""
    raw = code.co_code
    used = set(raw[::2])
    if used & _STORE_GLOBAL:
        yield _ANYWHERE
    elif not used & _STORES and _CHANGING.isdisjoint(code.co_names):
        return
    elif not hasattr(code, "co_positions"):  # before Python 3.11: what is stored into cannot be told so easily
        if code.co_name not in _MAKING:
            yield _ANYWHERE
    else:
        found = (_kept_in(code, is_confined, *target) for target in _targets(code, raw))
        kept = {place for place in found if place is not None}
        rebound = _rebound(code, raw) if kept - {_ANYWHERE} else ()
        yield from (_ANYWHERE if place in rebound else place for place in kept)


def _targets(code: CodeType, raw: bytes) -> "Iterator[Tuple[int, str, str, List[str]]]":
    """Yield what is stored into or changed: operation, kind and name of its first part, names of the following ones.

    An expression and its first part begin at the same place of the source. Where no place is known, all is one.
    """
    first: Dict[_Place, Tuple[str, str]] = {}
    parts: Dict[_Place, List[str]] = {}
    extended = before = 0
    for offset, (line, _, column, _) in zip(range(0, len(raw), 2), code.co_positions()):  # type: ignore[attr-defined]
        operation = raw[offset]
        argument = raw[offset + 1] | extended
        extended = argument << 8 if operation == opcode.EXTENDED_ARG else 0
        place = (line, column)
        if place not in first and operation in _USES and raw[before] in _LOADS_TWO:  # it has no place of its own
            first[place] = "local", _variables(code, raw[before], raw[before + 1])[1]
        if operation in _LOADS_VARIABLE:
            first.setdefault(place, (_LOADS_VARIABLE[operation], _variables(code, operation, argument)[0]))
        elif operation in _LOADS_NAME:
            first.setdefault(place, ("global", code.co_names[argument >> (operation in _FLAGGED)]))
        elif operation in _LOADS_PART:
            name = code.co_names[argument >> (operation in _FLAGGED)]
            if name in _CHANGING:
                yield (operation, *first.get(place, ("", "")), parts.get(place, []))
            parts.setdefault(place, []).append(name)
        elif operation == _STORE_DEREF:
            yield (operation, "free", _variables(code, operation, argument)[0], [])
        elif operation in _STORES:
            stored = [code.co_names[argument]] if operation == _STORE_ATTR else []
            yield (operation, *first.get(place, ("", "")), parts.get(place, []) + stored)
        before = offset


def _variables(code: CodeType, operation: int, argument: int) -> "List[str]":
    """Return the names of the local or free variables of an operation; empty for one whose name tells nothing."""
    names = (*code.co_varnames, *(name for name in code.co_cellvars if name not in code.co_varnames), *code.co_freevars)
    numbers = (argument >> 4, argument & 15) if operation in _TWO else (argument,)
    return [names[number] if number < len(names) else "" for number in numbers]


def _kept_in(
    code: CodeType, is_confined: "Callable[[CodeType], bool]", operation: int, kind: str, name: str, parts: "List[str]"
) -> "Optional[str]":
    """Return what keeps what this part of a function stores, if that outlives its call: a variable, or anything."""
    if operation == _STORE_DEREF and name not in code.co_freevars:
        return None  # its own, which functions inside of it share
    if operation == _STORE_ATTR and code.co_name in _MAKING and kind == "local":
        return None
    if (name in _CLASSES and code.co_name not in _MAKING) or "__class__" in parts:
        return _ANYWHERE
    given = kind in ("local", "free") and operation != _STORE_DEREF and name in (*_parameters(code), *code.co_freevars)
    if any(_TELLING.search(part) for part in (name, *parts)):
        return name if given else _ANYWHERE
    in_tests = bool(_TEST_FILE.search(code.co_filename))
    if kind == "global":
        # A test may replace what it needs otherwise. It is no cache: nobody asks it for anything.
        replaces = in_tests and (operation == _STORE_ATTR or code.co_name.startswith("test"))
        return None if name in _PASSING or replaces else _ANYWHERE
    if kind == "free" and name in code.co_freevars and not in_tests and not is_confined(code):
        return name if given else _ANYWHERE
    return None


def _parameters(code: CodeType) -> "Tuple[str, ...]":
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


def _rebound(code: CodeType, raw: bytes) -> "Set[str]":
    """Return the variables that are something else in the course of a call, or may be."""
    found: Set[str] = set()
    extended = 0
    for operation, low in zip(raw[::2], raw[1::2]):
        argument = low | extended
        extended = argument << 8 if operation == opcode.EXTENDED_ARG else 0
        if operation in _REBINDS:
            found.update(_variables(code, operation, argument)[: 1 if operation in _LOADS_TWO else None])
    return found
