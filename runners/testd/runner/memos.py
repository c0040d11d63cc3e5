"""Which functions keep what they made, so that others find it: caches, lazily made globals, singletons.

Runs in stems and workers. It is told from compiled code, and from the names of decorators in the source. It may say so
of a function that keeps nothing: then more is run again than need be. Standard library only.
"""

import opcode
import re
from types import CodeType
from typing import Any, Callable, Dict, Iterator, List, Tuple

from testd.runner.closures import Closures
from testd.runner.sources import Sources

__all__ = ["Memos"]

_TELLING = re.compile(r"cache|memo|once|lazy|singleton", re.IGNORECASE)
_DECORATOR = re.compile(rb"[ \t]*@[^#]*(?:cache|memo|once|lazy|singleton)", re.IGNORECASE)
#: Methods that change what they are called on.
_CHANGING = {"add", "append", "appendleft", "extend", "insert", "push", "put", "register", "setdefault", "update"}
#: Modules that every test may change for itself, and puts back.
_PASSING = {"os", "sys"}
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

#: Tells code objects apart: they compare by their content, and `id` is slow once there is an audit hook.
_identity = object.__hash__

_Place = Tuple[Any, Any]  # line and column at which an expression begins


class Memos:
    """Looks at functions, and keeps what it found: to look at one takes as long as some hundred calls."""

    def __init__(self) -> None:
        """Have looked at nothing."""
        self._known: Dict[int, Tuple[CodeType, bool]] = {}  # with the code, so that an identity stays what it is
        self._sources = Sources()
        self._closures = Closures(self._sources)

    def keeps(self, code: CodeType) -> bool:
        """Tell whether what a function makes may outlive its call where others find it."""
        identity = _identity(code)
        known = self._known.get(identity)
        if known is None:
            known = self._known[identity] = code, _stores(code, self._is_confined) or self._is_decorated(code)
        return known[1]

    def _is_confined(self, code: CodeType) -> bool:
        name = getattr(code, "co_qualname", code.co_name)
        return self._closures.is_confined(code.co_filename, name, code.co_firstlineno)

    def _is_decorated(self, code: CodeType) -> bool:
        """Tell whether one of the decorators above a function has a telling name."""
        lines = self._sources.lines(code.co_filename)
        first = code.co_firstlineno
        if not lines[first - 1 : first] or not lines[first - 1].lstrip().startswith(b"@"):
            return False
        body = min((line for line in _lines(code) if line > first), default=first + 1)
        return any(_DECORATOR.match(line) for line in lines[first - 1 : body - 1])


def _lines(code: CodeType) -> "Iterator[int]":
    """Yield the lines on which a function has something to do."""
    if hasattr(code, "co_lines"):  # from Python 3.10
        yield from (line for _, _, line in code.co_lines() if line is not None)
    else:
        import dis

        yield from (line for _, line in dis.findlinestarts(code))


def _stores(code: CodeType, is_confined: "Callable[[CodeType], bool]") -> bool:
    """Tell whether a function stores into what is neither its own nor was just made."""
    raw = code.co_code
    used = set(raw[::2])
    if used & _STORE_GLOBAL:
        return True
    if not used & _STORES and _CHANGING.isdisjoint(code.co_names):
        return False
    if not hasattr(code, "co_positions"):  # before Python 3.11: what is stored into cannot be told so easily
        return code.co_name not in _MAKING
    return any(_lasts(code, is_confined, *target) for target in _targets(code, raw))


def _targets(code: CodeType, raw: bytes) -> "Iterator[Tuple[int, str, str, List[str]]]":
    """Yield what is stored into or changed: operation, kind and name of its first part, names of the following ones.

    An expression and its first part begin at the same place of the source. Where no place is known, all is one.
    """
    first: Dict[_Place, Tuple[str, str]] = {}
    parts: Dict[_Place, List[str]] = {}
    extended = 0
    for offset, (line, _, column, _) in zip(range(0, len(raw), 2), code.co_positions()):  # type: ignore[attr-defined]
        operation = raw[offset]
        argument = raw[offset + 1] | extended
        extended = argument << 8 if operation == opcode.EXTENDED_ARG else 0
        place = (line, column)
        if operation in _LOADS_NAME:
            first.setdefault(place, ("global", code.co_names[argument >> (operation in _FLAGGED)]))
        elif operation in _LOADS_PART:
            name = code.co_names[argument >> (operation in _FLAGGED)]
            if name in _CHANGING:
                yield (operation, *first.get(place, ("", "")), parts.get(place, []))
            parts.setdefault(place, []).append(name)
        elif operation in _STORES:
            if operation == _STORE_DEREF:
                yield operation, "free", _variable(code, operation, argument), []
            else:
                stored = [code.co_names[argument]] if operation == _STORE_ATTR else []
                yield (operation, *first.get(place, ("", "")), parts.get(place, []) + stored)
        elif _NAMES[operation].startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF")):
            kind = "free" if _NAMES[operation].endswith("DEREF") else "local"
            first.setdefault(place, (kind, _variable(code, operation, argument)))


def _variable(code: CodeType, operation: int, argument: int) -> str:
    """Return the name of a local or free variable; empty for a parameter of a name that tells nothing."""
    names = (*code.co_varnames, *(name for name in code.co_cellvars if name not in code.co_varnames), *code.co_freevars)
    if "_LOAD_FAST" in _NAMES[operation] or "BORROW_LOAD" in _NAMES[operation]:  # two in one; the first is in front
        argument >>= 4
    return names[argument] if argument < len(names) else ""


def _lasts(
    code: CodeType, is_confined: "Callable[[CodeType], bool]", operation: int, kind: str, name: str, parts: "List[str]"
) -> bool:
    """Tell whether what this part of a function stores into outlives its call."""
    if operation == _STORE_DEREF and name not in code.co_freevars:
        return False  # its own, which functions inside of it share
    if operation == _STORE_ATTR and code.co_name in _MAKING and kind == "local":
        return False
    if any(_TELLING.search(part) for part in (name, *parts)):
        return True
    in_tests = bool(_TEST_FILE.search(code.co_filename))
    if kind == "global":
        # A test may replace what it needs otherwise. It is no cache: nobody asks it for anything.
        replaces = in_tests and (operation == _STORE_ATTR or code.co_name.startswith("test"))
        return name not in _PASSING and not replaces
    if kind == "free" and name in code.co_freevars and not in_tests and not is_confined(code):
        return True
    return (name in _CLASSES and code.co_name not in _MAKING) or "__class__" in parts
