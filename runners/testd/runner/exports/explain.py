"""Says what a plain `assert` compared: its source, and the values of the names in it. Runs in the worker.

Nothing of the user's is called to find out: names are looked up in the failed frame, attributes and items are read
only where reading them runs no code. A value that only a call could give is left out. The values' `repr` is the one
exception, as in every traceback.
"""

from __future__ import annotations

import ast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

__all__ = ["Explanation", "explain"]

_LIMIT = 12  #: names whose values are shown
_UNKNOWN: Any = object()
_trees: dict[str, tuple[int, Any]] = {}


class Explanation:
    """What can be said about a failed `assert`: its source on one line, and lines of values and differences."""

    __slots__ = ("lines", "statement")

    def __init__(self, statement: str, lines: list[str]) -> None:
        """Keep both."""
        self.statement = statement
        self.lines = lines


def explain(exc: AssertionError, frame: FrameType, line: int) -> Explanation | None:
    """Explain the `assert` at a line of the frame that failed; None where there is none, or its source is gone."""
    source = _source(frame)
    node = _assert_at(frame.f_code.co_filename, source, line)
    if node is None:
        return None
    statement = " ".join(_segment(source, node.test).split())
    scope = _Scope(frame)
    lines = []
    for name, value in scope.values(node.test, source):
        lines.append(f"{name} = {_short(value)}")
    lines += _difference(node.test, scope)
    return Explanation(f"assert {statement}", lines)


class _Scope:
    """Looks names up as the failed frame would."""

    def __init__(self, frame: FrameType) -> None:
        self.locals = frame.f_locals
        self.globals = frame.f_globals

    def values(self, test: ast.AST, source: str) -> list[tuple[str, Any]]:
        """Return the text and the value of every name, attribute and item in the expression that can be read."""
        found: dict[str, Any] = {}
        pending: list[ast.AST] = [test]
        while pending and len(found) < _LIMIT:
            node = pending.pop(0)
            if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
                continue  # names of its own
            if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
                value = self.evaluate(node)
                if value is not _UNKNOWN:
                    if not _speaks_for_itself(value):
                        found.setdefault(_segment(source, node), value)
                    continue
            pending[:0] = [node.func, *node.args] if isinstance(node, ast.Call) else list(ast.iter_child_nodes(node))
        return list(found.items())

    def evaluate(self, node: ast.AST) -> Any:
        """Return the value of an expression, or `_UNKNOWN` where finding it might run somebody's code."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return self.name(node.id)
        if isinstance(node, ast.Attribute):
            return _attribute(self.evaluate(node.value), node.attr)
        if isinstance(node, ast.Subscript):
            inner: Any = node.slice
            return _item(self.evaluate(node.value), self.evaluate(getattr(inner, "value", inner)
                         if type(inner).__name__ == "Index" else inner))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self.evaluate(node.operand)
            return -value if type(value) in (int, float, complex) else _UNKNOWN
        return self.display(node)

    def name(self, name: str) -> Any:
        """Look a name up: locals, globals, builtins."""
        if name in self.locals:
            return self.locals[name]
        if name in self.globals:
            return self.globals[name]
        builtins = self.globals.get("__builtins__")
        return (builtins if isinstance(builtins, dict) else getattr(builtins, "__dict__", {})).get(name, _UNKNOWN)

    def display(self, node: ast.AST) -> Any:
        """Return the value of a list, tuple, set or dictionary that is written out."""
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            items = [self.evaluate(item) for item in node.elts]
            if any(item is _UNKNOWN for item in items):
                return _UNKNOWN
            if isinstance(node, ast.Set):
                return set(items) if all(type(item) in _HASHABLE for item in items) else _UNKNOWN
            return items if isinstance(node, ast.List) else tuple(items)
        if isinstance(node, ast.Dict):
            keys = [self.evaluate(key) if key is not None else _UNKNOWN for key in node.keys]
            values = [self.evaluate(value) for value in node.values]
            if any(value is _UNKNOWN for value in values) or any(type(key) not in _HASHABLE for key in keys):
                return _UNKNOWN
            return dict(zip(keys, values))
        return _UNKNOWN


#: Types whose hash and comparison run no code but the interpreter's.
_HASHABLE = (str, bytes, int, float, complex, bool, type(None))


def _attribute(owner: Any, name: str) -> Any:
    """Read an attribute where that runs no code: from the instance's own dictionary, a slot, or a plain class value."""
    if owner is _UNKNOWN:
        return _UNKNOWN
    kind = type(owner)
    own: Any = kind.__getattribute__
    if own is not object.__getattribute__ and not isinstance(owner, (type, type(ast))):
        return _UNKNOWN
    for base in (owner.__mro__ if isinstance(owner, type) else kind.__mro__):
        if name in base.__dict__:
            value = base.__dict__[name]
            if type(value).__name__ == "member_descriptor" and not isinstance(owner, type):
                return getattr(owner, name, _UNKNOWN)  # a slot
            if hasattr(type(value), "__get__"):
                return _UNKNOWN
            break
    else:
        value = _UNKNOWN
    if isinstance(owner, type):
        return value
    try:
        return object.__getattribute__(owner, "__dict__").get(name, value)
    except AttributeError:
        return value


def _item(owner: Any, key: Any) -> Any:
    if type(owner) in (list, tuple, str, bytes) and type(key) is int:
        return owner[key] if -len(owner) <= key < len(owner) else _UNKNOWN
    if type(owner) is dict and type(key) in _HASHABLE:
        return owner.get(key, _UNKNOWN)
    return _UNKNOWN


def _difference(test: ast.AST, scope: _Scope) -> list[str]:
    """Return the lines that tell two compared values apart, where both sides of one `==` can be read."""
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], ast.Eq)):
        return []
    left, right = scope.evaluate(test.left), scope.evaluate(test.comparators[0])
    if left is _UNKNOWN or right is _UNKNOWN:
        return []
    from testd.assertions.equality import differences
    from testd.assertions.report import text_difference

    if type(left) is str and type(right) is str:
        return text_difference(right, left) if "\n" in left + right else []
    if type(left) not in (list, tuple, dict, set, frozenset) and not hasattr(left, "__dict__"):
        return []
    found = differences(right, left)
    return ["", "difference (expected is the right side):", *found] if found else []


def _speaks_for_itself(value: Any) -> bool:
    """Whether showing a value would tell a reader nothing: functions, classes, modules."""
    return isinstance(value, type) or type(value).__name__ in (
        "function", "builtin_function_or_method", "module", "method", "method-wrapper"
    )


def _short(value: Any) -> str:
    from testd.assertions.report import show

    return show(value)


def _source(frame: FrameType) -> str:
    import linecache

    return "".join(linecache.getlines(frame.f_code.co_filename, frame.f_globals))


def _assert_at(file: str, source: str, line: int) -> ast.Assert | None:
    """Return the innermost `assert` statement that covers a line."""
    known = _trees.get(file)
    if known is None or known[0] != hash(source):
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError):
            return None
        known = (hash(source), [node for node in ast.walk(tree) if isinstance(node, ast.Assert)])
        _trees[file] = known
    covering = [node for node in known[1] if node.lineno <= line <= (node.end_lineno or node.lineno)]
    return max(covering, key=lambda node: node.lineno, default=None)


def _segment(source: str, node: ast.AST) -> str:
    return ast.get_source_segment(source, node) or "(…)"
