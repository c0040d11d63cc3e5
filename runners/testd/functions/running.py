"""Carries out an item or a case: calls what it names, under observation. Runs in the worker."""

from __future__ import annotations

import marshal

from testd.functions import resolving
from testd.functions.resolving import CannotRun
from testd.functions.shapes import tagged
from testd.tracing import Mocks, Options, execute, record_roots
from testd.tracing.values import restore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

    Map = Dict[str, Any]

__all__ = ["EXACT", "Ran", "run"]

#: What bounds the record of a case: what is compared has to be there, as it was.
EXACT = Options(depth=100, length=100_000, text=1_000_000, size=1_000_000, redact=None, call_depth=300)


class Ran:
    """What came of it.

    Attributes:
        executed: the recorded call; None where nothing was recorded.
        roots: all calls that were recorded and were made by no other, the one that is meant last.
        error: why it could not be run, or not to its end; empty where it could.
        exception: what the function or the code raised.
        unused: the mocks that nothing called.
    """

    __slots__ = ("error", "exception", "executed", "roots", "unused")

    def __init__(self, roots: List[Map], error: str, exception: Optional[BaseException], unused: List[str]) -> None:
        """Keep what was recorded."""
        self.executed = roots[-1] if roots else None
        self.roots = roots
        self.error = error
        self.exception = exception
        self.unused = unused


def run(part: Map, mocks: Map, options: Options) -> Ran:
    """Call what an item or a case names, and return what came of it; whatever it raises is part of that."""
    asked = resolving.where(part)
    meta, code = asked.get("function_meta"), asked.get("code")
    try:
        if meta:
            return _called(resolving.function(meta), _given(part), _mocks(mocks), options)
        if code is None:
            raise CannotRun(f"Invalid function config {asked}: it needs function_meta or code")
        return _executed(code, _given(part), _mocks(mocks), options)
    except CannotRun as error:
        return Ran([], str(error), error.cause, [])


def _given(part: Map) -> Any:
    """Return the values of `input_to_pass`, which are nobody else's; objects are instances of their classes."""
    given = part.get("input_to_pass")
    if not tagged(given):
        return marshal.loads(marshal.dumps(given))  # noqa: S302  the quickest copy of what was JSON
    try:
        return restore(given, classes=True)
    except ValueError as error:
        raise CannotRun(f"input_to_pass: {error}", error) from None


def _mocks(given: Map) -> Mocks:
    try:
        return Mocks(given)
    except ValueError as error:
        raise CannotRun(f"mocks: {error}", error) from None


def _called(function: Any, given: Any, mocks: Mocks, options: Options) -> Ran:
    positional, keywords = resolving.arguments(given)
    execution = execute(function, positional, keywords, options=options, mocks=mocks)
    roots = [*execution.other_roots, execution.executed]
    return Ran(roots, "", execution.exception, execution.unused_mocks)


def _executed(code: str, given: Any, mocks: Mocks, options: Options) -> Ran:
    """Run source as a module of its own, in which `input_to_pass` is there."""
    namespace = {"__name__": "__code__", "input_to_pass": given}
    exception: Optional[BaseException] = None
    with record_roots(options, mocks) as roots:
        try:
            exec(compile(code, "<code>", "exec"), namespace)  # noqa: S102  the user's own, as in any test
        except BaseException as error:  # whatever it raises is told as the item's error
            exception = error
    problem = ""
    if exception is not None:
        problem = f"The code raised {type(exception).__name__}: {exception}"
    elif not roots:
        problem = (
            "No trace recorded for the execution of code. This happens if it calls no function that is traced: "
            "decorate one with @traced, or name its module in [tool.testd.trace]"
        )
    return Ran(list(roots), problem, exception, roots.unused_mocks)
