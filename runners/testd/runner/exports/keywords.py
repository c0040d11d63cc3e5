"""The expressions of `-k`: names with `and`, `or`, `not` and parentheses. Pure; runs in the stem."""

from __future__ import annotations

import re

from testd.runner.settings import SuiteFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Matcher = Callable[[Iterable[str]], bool]

__all__ = ["KeywordError", "compile_keyword", "matcher"]

_TOKEN = re.compile(r"\s*(?:([()])|((?:\w|[:+\-.\[\]\\/])+))")
_DEPTH = 100


class KeywordError(ValueError):
    """An expression is not one; says what was expected at which column, counted from 1."""


def compile_keyword(expression: str) -> Matcher:
    """Return a function that tells whether an expression is true of a test's names.

    A name in the expression is true where one of the test's names contains it, whatever the case. An empty expression
    is true of all.

    Raises:
        KeywordError: the expression cannot be read.

    """
    if not expression.strip():
        return lambda names: True
    parser = _Parser(expression)
    tree = parser.read_or(0)
    parser.expect_end()
    return lambda names: _holds(tree, [name.lower() for name in names])


def matcher(expression: str) -> Matcher:
    """Return what `compile_keyword` does, for a suite.

    Raises:
        SuiteFault: it is no expression.

    """
    try:
        return compile_keyword(expression)
    except KeywordError as error:
        raise SuiteFault(
            "usage", f"-k {expression!r}: {error}", "names joined by and, or, not and parentheses: 'cart and not slow'"
        ) from None


class _Parser:
    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens = list(_tokens(expression))
        self.index = 0

    def read_or(self, depth: int) -> tuple[object, ...]:
        node = self.read_and(depth)
        while self.accept("or"):
            node = ("or", node, self.read_and(depth))
        return node

    def read_and(self, depth: int) -> tuple[object, ...]:
        node = self.read_not(depth)
        while self.accept("and"):
            node = ("and", node, self.read_not(depth))
        return node

    def read_not(self, depth: int) -> tuple[object, ...]:
        if depth > _DEPTH:
            raise KeywordError(f"more than {_DEPTH} levels deep")
        if self.accept("not"):
            return ("not", self.read_not(depth + 1))
        if self.accept("("):
            node = self.read_or(depth + 1)
            if not self.accept(")"):
                raise self.problem("')'")
            return node
        token = self.tokens[self.index][1]
        if token in ("", "and", "or", "(", ")"):
            raise self.problem("a name, 'not' or '('")
        self.index += 1
        return ("name", token.lower())

    def accept(self, word: str) -> bool:
        if self.tokens[self.index][1] != word:
            return False
        self.index += 1
        return True

    def expect_end(self) -> None:
        if self.tokens[self.index][1]:
            raise self.problem("'and', 'or' or the end")

    def problem(self, expected: str) -> KeywordError:
        column, token = self.tokens[self.index]
        return KeywordError(f"at column {column}: expected {expected}, got {repr(token) if token else 'the end'}")


def _tokens(expression: str) -> list[tuple[int, str]]:
    """Return (column, token) pairs; the last one is the end, an empty token."""
    tokens, position = [], 0
    expression = expression.rstrip()
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None:
            rest = expression[position:].lstrip()
            column = len(expression) - len(rest) + 1
            raise KeywordError(f"at column {column}: {rest[0]!r} can be no part of a name")
        token = match.group(1) or match.group(2)
        tokens.append((match.end() - len(token) + 1, token))
        position = match.end()
    return [*tokens, (len(expression) + 1, "")]


def _holds(node: tuple[object, ...], names: list[str]) -> bool:
    kind = node[0]
    if kind == "name":
        return any(str(node[1]) in name for name in names)
    if kind == "not":
        return not _holds(node[1], names)  # type: ignore[arg-type]
    left = _holds(node[1], names)  # type: ignore[arg-type]
    if kind == "and":
        return left and _holds(node[2], names)  # type: ignore[arg-type]
    return left or _holds(node[2], names)  # type: ignore[arg-type]
