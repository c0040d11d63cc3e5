"""New text of a source file for the functions that were made of the old one, in a process that has loaded it.

An edit inside of functions that have not run yet makes no other difference to what a process has loaded: to load all of
it anew would come to the same. So their code is exchanged in place, and what refers to them stays. Whatever else has
changed, and whatever could have looked at their code, is a reason to load anew (`Refused`).

Runs in stems, from Python 3.12 on: there it is known which functions have run (`executed.py`).
"""

import importlib.machinery
import linecache
import opcode
import os
import sys
import time
import warnings
from collections import Counter
from types import CodeType, FunctionType, ModuleType
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from testd.runner import garbage
from testd.runner.compiled import drop_stale_of, keep
from testd.runner.dependencies import GRANULARITY_NS
from testd.runner.imports import file_of, import_statements

__all__ = ["Refused", "amend"]

_FUNCTION, _GENERATOR = 0x1, 0x20 | 0x80 | 0x200  # flags of code: optimized; generators and coroutines
_HAS_DOCSTRING = 0x4000000  # from Python 3.14 on
#: What of a function its callers, and whoever has looked at its signature, may know.
_SHAPE = (
    "co_name", "co_qualname", "co_flags", "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_freevars",
)  # fmt: skip
#: What makes a piece of code do what it does, beside its constants.
_MEANING = (*_SHAPE, "co_code", "co_names", "co_varnames", "co_cellvars", "co_exceptiontable")
#: What the compiler puts into a class's body from Python 3.13 on, and how.
_FIRST_LINE, _ATTRIBUTES = "__firstlineno__", "__static_attributes__"
_LOAD_CONST, _STORE_NAME = opcode.opmap["LOAD_CONST"], opcode.opmap["STORE_NAME"]
#: Files are read again until they hold still, at most so many times.
_READINGS = 5
#: Functions of one file that may mean something else: more are hardly one edit.
_MOST_CHANGED = 20
#: Pieces of code that somebody else has, of which it is looked for who.
_MOST_HELD = 20
#: Tells code objects apart: they compare by their content.
_identity = object.__hash__

_Entry = Tuple[str, int, int, int]  # path, modification time in ns, size, permissions


class Refused(Exception):
    """Why a process has to be made anew."""


class Comparison:
    """What of two compiled texts of a file belongs together.

    Attributes:
        pairs: the new code for each piece of the old one that may be in use, by the old one's identity.
        changed: the functions, of the old text, that do something else in the new one.
        moved: classes that begin on another line, as `(qualified name, old line, new line)`.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self.pairs: Dict[int, CodeType] = {}
        self.changed: List[CodeType] = []
        self.moved: List[Tuple[str, int, int]] = []


def compare(old: CodeType, new: CodeType, ran: "Callable[[CodeType], bool]") -> Comparison:
    """Compare the code of a whole module with that of its new text. `ran` tells which functions have run.

    Raises Refused where something has run that is not the same in both.
    """
    if list(import_statements(old)) != list(import_statements(new)):
        raise Refused("it imports something else")
    found = Comparison()
    _compare(old, new, ran, found)
    if len(found.changed) > _MOST_CHANGED:
        raise Refused(f"{len(found.changed)} functions have changed")
    return found


def _compare(old: CodeType, new: CodeType, ran: "Callable[[CodeType], bool]", found: Comparison) -> None:
    inner, others = _constants(old), _constants(new)
    has_run = not old.co_flags & _FUNCTION or ran(old)  # the body of a module or class runs where it stands
    if not _alike(old, new) or len(inner) != len(others):
        if has_run:
            raise Refused(f"{_named(old)} has run")
        if _shape(old) != _shape(new):
            raise Refused(f"the signature of {_named(old)} has changed")
        if _doc(old) != _doc(new):
            raise Refused(f"the docstring of {_named(old)} has changed")
        found.changed.append(old)
        found.pairs[_identity(old)] = new
        return  # what is inside of it has never been made
    found.pairs[_identity(old)] = new
    changed = len(found.changed)
    if not old.co_flags & _FUNCTION and old.co_name != "<module>" and old.co_firstlineno != new.co_firstlineno:
        found.moved.append((_named(old), old.co_firstlineno, new.co_firstlineno))
    for one, other in zip(inner, others):
        _compare(one, other, ran, found)
    if len(found.changed) > changed and old.co_flags & _GENERATOR and ran(old):
        raise Refused(f"{_named(old)} may be going on, and has {_named(found.changed[-1])} inside")


def _alike(old: CodeType, new: CodeType) -> bool:
    """Tell whether two pieces of code do the same, but for what they have inside."""
    if any(getattr(old, name) != getattr(new, name) for name in _MEANING):
        return False
    if len(old.co_consts) != len(new.co_consts):
        return False
    differing = {
        number: (one, other)
        for number, (one, other) in enumerate(zip(old.co_consts, new.co_consts))
        if not (_same(one, other) or (isinstance(one, CodeType) and isinstance(other, CodeType)))
    }
    names = _of_the_compiler(old) if differing else {}
    return all(
        number in names and _same_of_class(names[number], one, other, old, new)
        for number, (one, other) in differing.items()
    )


def _same(one: Any, other: Any) -> bool:
    """Compare two constants: 1, 1.0 and True are three."""
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, frozenset):
        return {(type(value), value) for value in one} == {(type(value), value) for value in other}
    return repr(one) == repr(other) if isinstance(one, (float, complex)) else bool(one == other)


def _of_the_compiler(code: CodeType) -> "Dict[int, str]":
    """Return which constants of a class's body are nothing but what the compiler says of it: number → attribute."""
    if code.co_flags & _FUNCTION or code.co_name == "<module>":
        return {}
    found: Dict[int, str] = {}
    uses: Counter[int] = Counter()
    loaded = extended = -1
    for operation, low in zip(code.co_code[::2], code.co_code[1::2]):
        argument = low if extended < 0 else extended << 8 | low
        extended = argument if operation == opcode.EXTENDED_ARG else -1
        if operation == _STORE_NAME and loaded >= 0 and code.co_names[argument] in (_FIRST_LINE, _ATTRIBUTES):
            found[loaded] = code.co_names[argument]
        if operation != opcode.EXTENDED_ARG:
            loaded = argument if operation == _LOAD_CONST else -1
            uses[argument] += operation in opcode.hasconst
    return {number: name for number, name in found.items() if uses[number] == 1}


def _same_of_class(name: str, one: Any, other: Any, old: CodeType, new: CodeType) -> bool:
    """Compare what the compiler says of a class: its first line, or the attributes of its methods in no order."""
    if name == _FIRST_LINE:
        return (one, other) == (old.co_firstlineno, new.co_firstlineno)
    return isinstance(one, tuple) and isinstance(other, tuple) and sorted(one) == sorted(other)


def _constants(code: CodeType) -> "List[CodeType]":
    return [value for value in code.co_consts if isinstance(value, CodeType)]


def _shape(code: CodeType) -> "Tuple[Any, ...]":
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 0x4) + bool(code.co_flags & 0x8)
    return (*(getattr(code, name) for name in _SHAPE), code.co_varnames[:count])


def _doc(code: CodeType) -> "Optional[str]":
    first = code.co_consts[0] if code.co_consts else None
    has = code.co_flags & _HAS_DOCSTRING if sys.version_info >= (3, 14) else True
    return first if has and isinstance(first, str) else None


def _named(code: CodeType) -> str:
    return "what runs at import" if code.co_name == "<module>" else getattr(code, "co_qualname", code.co_name)


class Amendment:
    """One file's new text, for the one module that this process has made of it."""

    def __init__(self, path: str, codes: "Dict[int, CodeType]") -> None:
        """Find the module, and compile the file as it is now.

        `codes` are those of all modules and functions that have run, by their identity. Raises Refused.
        """
        self._path = path
        self._codes = codes
        self._old = self._code_of()
        self._module = self._module_of()
        self.at = 0  # when it was read (wall clock, ns)
        self.entry, self._new = self._compiled()
        try:
            self._found = compare(self._old, self._new, lambda code: _identity(code) in codes)
        except Refused:
            keep(path, self._new, self.entry[1], self.entry[2])  # it is loaded anew at once
            raise
        self._functions: Dict[int, FunctionType] = {}

    @property
    def pairs(self) -> "Dict[int, CodeType]":
        """The new code for each piece of the old one, by the old one's identity."""
        return self._found.pairs

    @property
    def namespace(self) -> "Dict[str, Any]":
        """What all functions refer to that were made where they are written."""
        return self._module.__dict__

    def _code_of(self) -> CodeType:
        modules = [code for code in self._codes.values() if code.co_name == "<module>"]
        found = [code for code in modules if os.path.normpath(code.co_filename) == self._path]
        if len(found) != 1:
            raise Refused(f"it was loaded {len(found)} times" if found else "it was not seen being loaded")
        return found[0]

    def _module_of(self) -> ModuleType:
        found = [module for module in list(sys.modules.values()) if file_of(module) == self._old.co_filename]
        if len(found) != 1 or type(found[0]) is not ModuleType:
            raise Refused(f"it is {len(found)} modules")
        spec = found[0].__spec__
        if spec is None or type(spec.loader) is not importlib.machinery.SourceFileLoader:
            raise Refused("it is not loaded as it is written")
        if len(linecache.cache.get(self._old.co_filename, ())) > 1:
            raise Refused("its source was looked at")
        return found[0]

    def _compiled(self) -> "Tuple[_Entry, CodeType]":
        """Return what the file is, once it holds still, and its code."""
        data, code = None, None
        for _ in range(_READINGS):
            found, at = os.stat(self._path), time.time_ns()
            with open(self._path, "rb") as file:
                read = file.read()
            if read != data or code is None:
                data, code = read, self._compile(read)
            wait = (max(found.st_mtime_ns, found.st_ctime_ns) + GRANULARITY_NS - at) / 1e9
            if wait <= 0:  # what is written from now on has another time, and this was read after the one that it has
                self.at = at
                return (self._path, found.st_mtime_ns, found.st_size, found.st_mode & 0o7777), code
            time.sleep(min(wait, GRANULARITY_NS / 1e9))
        raise Refused("it is being written")

    def _compile(self, data: bytes) -> CodeType:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                code = compile(data, self._old.co_filename, "exec", dont_inherit=True)
            except (SyntaxError, ValueError, Warning) as error:
                raise Refused(f"{type(error).__name__}: {error}") from None
        assert isinstance(code, CodeType)
        return code

    def find(self, referrers: "Iterable[Any]") -> "List[CodeType]":
        """Take the functions of this file that are among these objects.

        Returns the code that somebody else has, too. Raises Refused.
        """
        for found in referrers:
            if type(found) is not FunctionType:
                continue
            if _identity(found.__code__) in self.pairs:
                self._functions[id(found)] = found
            elif found.__globals__ is self.namespace and found.__code__.co_filename == self._old.co_filename:
                raise Refused(f"{self._path}: the code of {found.__qualname__} is not what is written")
        return self._held_elsewhere()

    def _held_elsewhere(self) -> "List[CodeType]":
        """Return the code that has more references than we know of."""
        functions = Counter(_identity(function.__code__) for function in self._functions.values())
        changed = {_identity(code) for code in self._found.changed}
        codes = [code for code in _all(self._old) if code.co_flags & _FUNCTION and _identity(code) in self.pairs]
        sample = compile("0", "", "eval")
        codes.append(sample)
        counts = []
        for code in codes:
            known = _identity(code)
            counts.append(sys.getrefcount(code) - functions[known] - (known in self._codes) - (known in changed))
        expected = counts[-1]  # the sample is a variable as well, and the others are constants of what is around them
        return [code for code, count in zip(codes, counts) if count != expected]

    def carry_out(self) -> None:
        """Exchange the code. Nothing can go wrong any more."""
        for function in self._functions.values():
            function.__code__ = self.pairs[_identity(function.__code__)]
        if self._found.moved and sys.version_info >= (3, 13):
            lines = {(name, old): new for name, old, new in self._found.moved}
            for found in _classes(self.namespace, self.namespace.get("__name__"), set()):
                new_line = lines.get((found.__qualname__, found.__dict__.get(_FIRST_LINE)))
                if new_line is not None:
                    type.__setattr__(found, _FIRST_LINE, new_line)
        linecache.cache.pop(self._old.co_filename, None)
        drop_stale_of(self._path)


def _all(code: CodeType) -> "Iterator[CodeType]":
    yield code
    for inner in _constants(code):
        yield from _all(inner)


def _classes(names: "Dict[str, Any]", module: Any, seen: "Set[int]") -> "Iterator[type]":
    """Yield the classes of a module, and those in them."""
    for value in list(names.values()):
        if isinstance(value, type) and id(value) not in seen and value.__dict__.get("__module__") == module:
            seen.add(id(value))
            yield value
            yield from _classes(dict(value.__dict__), module, seen)


def amend(paths: "Iterable[str]", codes: "Dict[int, CodeType]") -> "Tuple[List[_Entry], int, Dict[int, CodeType]]":
    """Give this process the new text of these files: all of them, or none.

    `codes` are those of all modules and functions that have run, by their identity; nobody else of ours refers to them.
    Returns what the files are now, when they were read (wall clock, ns), and the new code for each piece of the old
    one, by the old one's identity. Raises Refused.
    """
    amendments = [_amendment(path, codes) for path in dict.fromkeys(paths)]
    referrers = garbage.referrers(*(found.namespace for found in amendments))
    for found in amendments:
        held = found.find(referrers)
        if held:
            name, others = _named(held[0]), garbage.referrers(*held[:_MOST_HELD])
            held.clear()  # it would count
            if found.find(others):
                raise Refused(f"{found.entry[0]}: somebody else has the code of {name}")
    pairs: Dict[int, CodeType] = {}
    for found in amendments:
        found.carry_out()
        pairs.update(found.pairs)
    return [found.entry for found in amendments], min(found.at for found in amendments), pairs


def _amendment(path: str, codes: "Dict[int, CodeType]") -> Amendment:
    try:
        return Amendment(path, codes)
    except Refused as refused:
        raise Refused(f"{path}: {refused}") from None
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from None
