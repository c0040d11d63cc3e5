"""Which inner functions are only ever called while the function around them runs: `confined` ones.

What such a one does to variables of the function around it is over with that. Runs in stems and workers; tells it from
the source, and what it does not understand is not confined. Standard library only.
"""

import ast
import contextlib
import re
from typing import Dict, FrozenSet, Iterator, List, Optional, Sequence, Set, Tuple, Union

from testd.runner.sources import Sources

__all__ = ["Closures"]

_Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
#: What makes a scope whose code may run later than where it is written.
_LATER = (ast.Lambda, ast.GeneratorExp, ast.ClassDef, ast.AsyncFunctionDef)
#: An escape sequence. One that is wrong makes the parser warn, and whoever loaded the file was warned already.
_ESCAPE = re.compile(rb"\\\\|\\[^\n'\"]")
#: What may be the next statement: a function's head often ends with a bracket on a line of its own.
_INDENTED_CODE = re.compile(rb"[ \t]*[^\s#)\]}]")
_WAITS = (ast.Yield, ast.YieldFrom, ast.Await)
#: What gives away variables without their names.
_TELLTALES = {"eval", "exec", "locals", "vars"}


class Closures:
    """Looks at source files, and keeps what it found."""

    def __init__(self, sources: Sources) -> None:
        """Have looked at nothing."""
        self._sources = sources
        self._known: Dict[Tuple[str, int], FrozenSet[Tuple[str, int]]] = {}  # by file and first line of the outer one

    def is_confined(self, path: str, name: str, line: int) -> bool:
        """Tell whether the inner function of this qualified name that begins on this line of a file is confined."""
        above, _, inner = name.rpartition(".<locals>.")
        outer = above.rpartition(".")[2]
        lines = self._sources.lines(path)
        first = _above(lines, outer, line - 1) if outer else -1
        if first < 0:
            return False
        known = self._known.get((path, first))
        if known is None:
            known = self._known[path, first] = frozenset(_confined(lines, first))
        return (inner, line) in known

    def forget(self, path: str) -> None:
        """Look at a file again when it is next asked for."""
        self._known = {place: found for place, found in self._known.items() if place[0] != path}


def _above(lines: "Sequence[bytes]", name: str, inner: int) -> int:
    """Return on which line the function of this name begins that the function on line `inner` is in, -1 if nowhere."""
    if inner >= len(lines):
        return -1
    definition = re.compile(rb"[ \t]*(?:async[ \t]+)?def[ \t]+" + re.escape(name.encode()) + rb"[ \t]*[\[(]")
    indent = _indent(lines[inner])
    for number in range(inner - 1, -1, -1):
        if _indent(lines[number]) < indent and definition.match(lines[number]):
            return number
    return -1


def _confined(lines: "Sequence[bytes]", first: int) -> "Iterator[Tuple[str, int]]":
    """Yield name and line of the functions that are confined to calls of the one that begins on line `first`.

    To parse a whole file takes as long as a test. A function ends before the next line that is indented no deeper; if
    one of its own lines is such a one (in a string), what is above it has no end, and the whole file is parsed.
    """
    depth = _indent(lines[first])
    ends = (n for n in range(first + 1, len(lines)) if _INDENTED_CODE.match(lines[n]) and _indent(lines[n]) <= depth)
    end = next(ends, len(lines))
    head = b"if 1:\n" if depth else b"\n"  # so that it may be indented, and all lines have the same number
    tree = _parsed(head + b"\n".join(lines[first:end]))
    start = first - 1
    if tree is None:
        tree, start = _parsed(b"\n".join(lines)), 0
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.lineno + start == first + 1:
            for name, line in _confined_in(node):
                yield name, line + start
            return


def _parsed(source: bytes) -> "Optional[ast.Module]":
    with contextlib.suppress(SyntaxError, ValueError, RecursionError):
        return ast.parse(_ESCAPE.sub(b"  ", source))
    return None


def _indent(line: bytes) -> int:
    return len(line) - len(line.lstrip(b" \t"))


def _confined_in(outer: _Function) -> "Iterator[Tuple[str, int]]":
    """Yield the functions directly inside of one that are confined to its call.

    A name is only good for that if one function has it, and it is used for nothing but to call it.
    """
    uses = _Uses()
    for statement in outer.body:
        uses.visit(statement)
    free = {name for name, found in uses.functions.items() if len(found) > 1 or _may_wait(found[0])} | uses.escaping
    called = {name for _, name in uses.calls}
    if _TELLTALES & (free | called):
        return
    while True:  # whoever is called by one that escapes may be called later, too
        more = {name for caller, name in uses.calls if caller in free} - free
        if not more:
            break
        free |= more
    for name, found in uses.functions.items():
        if name not in free:
            yield name, found[0].lineno


def _may_wait(function: _Function) -> bool:
    waits = (*_WAITS, ast.AsyncFunctionDef)
    return bool(function.decorator_list) or any(isinstance(node, waits) for node in ast.walk(function))


class _Uses(ast.NodeVisitor):
    """How the names of inner functions are used."""

    def __init__(self) -> None:
        self.functions: Dict[str, List[_Function]] = {}
        self.escaping: Set[str] = set()  # names that are used otherwise than to call them at once
        self.calls: List[Tuple[str, str]] = []  # by which inner function, "" for none, which name is called
        self._inside = ""
        self._later = False

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node)

    def _function(self, node: _Function) -> None:
        for part in (*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(part)
        deeper = bool(self._inside) or self._later
        if deeper:
            self.escaping.add(node.name)  # too deep to follow
        self.functions.setdefault(node.name, []).append(node)
        before = self._inside, self._later
        self._inside, self._later = self._inside or node.name, self._later or deeper
        for statement in node.body:
            self.visit(statement)
        self._inside, self._later = before

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Name) and not self._later:
            self.calls.append((self._inside, node.func.id))
        else:
            self.visit(node.func)
        for part in (*node.args, *node.keywords):
            self.visit(part)

    def visit_Name(self, node: ast.Name) -> None:
        self.escaping.add(node.id)

    def generic_visit(self, node: ast.AST) -> None:
        before = self._later
        self._later = before or isinstance(node, _LATER)
        super().generic_visit(node)
        self._later = before
