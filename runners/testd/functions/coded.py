"""Assertions that are code: a function that takes the executed function. Runs in the worker.

Python runs here, in the process of the function under test. JavaScript needs an engine, and is judged where there is
one: by a process of the daemon.
"""

from __future__ import annotations

import ast
import json

from testd.functions.operators import AssertionMistake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List

__all__ = ["Asked", "compiled", "holds"]

#: Characters of a question above which it is not asked: a frame of the protocol has to hold it.
LIMIT = 8 * 1024 * 1024


class Asked:
    """What assertions in JavaScript ask of one case. `new` has the questions that nobody has asked yet, as JSON.

    Until a question is answered its assertion is taken to hold: whoever judges does it again with the answers.
    """

    __slots__ = ("_answerable", "_answers", "new")

    def __init__(self, answerable: bool) -> None:
        """Have no answer yet; `answerable` says whether there is anybody to ask."""
        self._answerable = answerable
        self._answers: Dict[str, Dict[str, Any]] = {}
        self.new: List[str] = []

    def __call__(self, source: str, executed: Dict[str, Any]) -> str:
        """Return why an assertion does not hold, as far as that is known. Raises AssertionMistake."""
        if not self._answerable:
            raise AssertionMistake("code in JavaScript cannot be judged here: there is no daemon")
        question = json.dumps({"code": source, "executed": executed})
        if len(question) > LIMIT:
            raise AssertionMistake(f"code in JavaScript would get {len(question):,} bytes; the most is {LIMIT:,}")
        told = self._answers.get(question)
        if told is None:
            self.new.append(question)
            return ""
        if "mistake" in told:
            raise AssertionMistake(told["mistake"])
        return str(told["failure"])

    def answer(self, question: str, document: str) -> None:
        """Take the answer to a question."""
        self._answers[question] = json.loads(document)


def compiled(source: str) -> Callable[[Dict[str, Any]], Any]:
    """Return the function that code in Python is: an expression that is one, or the last one that it defines.

    Raises:
        AssertionMistake: it is no function.
    """
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
