"""Which inner functions are only ever called while the function around them runs: `confined` ones.

What such a one does to variables of the function around it is over with that. Runs in stems and workers; tells it from
the source, and what it does not understand is not confined. Standard library only.
"""

import ast
import contextlib
from typing import Dict, FrozenSet, Iterator, List, Set, Tuple, Union

__all__ = ["Closures"]

_Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]
#: What makes a scope whose code may run later than where it is written.
_LATER = (ast.Lambda, ast.GeneratorExp, ast.ClassDef, ast.AsyncFunctionDef)
_WAITS = (ast.Yield, ast.YieldFrom, ast.Await)
#: What gives away variables without their names.
_TELLTALES = {"eval", "exec", "locals", "vars"}


class Closures:
    """Looks at source files, and keeps what it found."""

    def __init__(self) -> None:
        """Have looked at nothing."""
        self._known: Dict[str, FrozenSet[Tuple[str, int]]] = {}

    def is_confined(self, path: str, name: str, line: int) -> bool:
        """Tell whether the inner function of this name that begins on this line of a file is confined."""
        known = self._known.get(path)
        if known is None:
            known = self._known[path] = frozenset(_confined(path))
        return (name, line) in known


def _confined(path: str) -> "Iterator[Tuple[str, int]]":
    with contextlib.suppress(OSError, SyntaxError, ValueError, RecursionError), open(path, "rb") as file:
        for node in ast.walk(ast.parse(file.read())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from _confined_in(node)


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
