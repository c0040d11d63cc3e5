"""Assertions that are code: a function that takes the executed function. Runs in the worker.

Python runs here, in the process of the function under test. JavaScript needs an engine, which is not a part of this.
"""

from __future__ import annotations

import ast

from testd.functions.operators import AssertionMistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict

__all__ = ["compiled", "holds"]


def compiled(source: str, language: str) -> Callable[[Dict[str, Any]], Any]:
    """Return the function that an assertion's code is: an expression that is one, or the last one that it defines.

    Raises:
        AssertionMistake: it is no function, or in a language that cannot be run.
    """
    if language == "javascript":
        raise AssertionMistake(
            "code in JavaScript needs an engine: install testd[js] for it, or write the assertion in Python"
            ' ("language": "python")'
        )
    try:
        tree = ast.parse(source.strip(), "<assertion>")
        namespace: Dict[str, Any] = {"__name__": "__assertion__"}
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr):
            last = tree.body[-1] = ast.copy_location(ast.Assign([ast.Name("_", ast.Store())], last.value), last)
            name = "_"
        else:
            name = getattr(last, "name", "")
        exec(compile(ast.fix_missing_locations(tree), "<assertion>", "exec"), namespace)  # noqa: S102  the user's own
    except Exception as error:
        raise AssertionMistake(f"code cannot be used: {type(error).__name__}: {error}") from error
    function = namespace.get(name)
    if not callable(function):
        raise AssertionMistake("code is no function: write lambda call: …, or end with def check(call): …")
    return function  # type: ignore[no-any-return]  # it is callable


def holds(function: Callable[[Dict[str, Any]], Any], executed: Dict[str, Any]) -> str:
    """Return why an assertion does not hold, nothing if it does: it returns None or something true, and raises nothing.

    Raises:
        AssertionMistake: it raised something else than AssertionError.
    """
    try:
        result = function(executed)
    except AssertionError as error:
        return str(error) or "The assertion's code raised AssertionError."
    except Exception as error:
        raise AssertionMistake(f"code raised {type(error).__name__}: {error}") from error
    return "" if result is None or result else f"The assertion's code returned {result!r}."
