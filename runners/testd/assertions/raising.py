"""`throws`: whether something raises the exception that it should. Runs in the user's process."""

from __future__ import annotations

import sys

from testd.assertions.report import fail, show

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from testd.context import Context

__all__ = ["Caught", "throws"]


def throws(
    subject: Any, type: Any = Exception, match: Any = None, message: str = ""  # noqa: A002 (a plain word at the call)
) -> Any:
    """Assert that something raises an exception of a type, with a text or a property that matches.

    `subject` says what is tried:

    - a function: it is called, and the exception is returned: `error = throws(lambda: int("x"), ValueError)`
    - a coroutine function or an awaitable: `error = await throws(fetch("x"), ValueError)`
    - an exception type, or a tuple of them: `with throws(ValueError) as caught:` (or `async with`); then
      `caught.exception` is the exception

    `match` is a regular expression that is searched in the exception's text, or a function that is true of the
    exception. Raises AssertionError if nothing is raised or the text does not match; another exception passes through.
    """
    __tracebackhide__ = True
    if _is_exception_type(subject):
        if type is not Exception:
            raise TypeError("with throws(...) takes exception types as its first argument; a text goes into match=")
        return Caught(_checked(subject), match, message)
    caught = Caught(_checked(type), match, message)
    if hasattr(subject, "__await__"):
        return _deferred(subject, caught)
    if not callable(subject):
        raise TypeError(
            f"throws needs a function, an awaitable or an exception type, not {show(subject)}: "
            "write throws(lambda: ...) or with throws(ValueError): ..."
        )
    try:
        result = subject()
    except BaseException as exc:
        if not caught.judge(exc):
            raise
        return caught.exception
    if hasattr(result, "__await__"):
        return _deferred(result, caught)
    caught.judge(None, f", it returned {show(result)}")
    return None


class Caught:
    """A block that must raise; afterwards `exception` is what it raised."""

    def __init__(self, type: Any, match: Any, message: str) -> None:  # noqa: A002
        """Expect an exception of a type."""
        self.exception: Any = None
        self._type = type
        self._match = match
        self._message = message

    def __enter__(self) -> Caught:  # noqa: PYI034 (typing.Self would be an import)
        """Begin the block."""
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> bool:
        """Judge what the block raised."""
        __tracebackhide__ = True
        return self.judge(exc)

    async def __aenter__(self) -> Caught:  # noqa: PYI034 (the same)
        """Begin the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> bool:
        """Judge what the block raised."""
        __tracebackhide__ = True
        return self.judge(exc)

    def judge(self, exc: BaseException | None, instead: str = "") -> bool:
        """Return whether the exception is the one that is expected. None fails; `instead` says what happened."""
        __tracebackhide__ = True
        if exc is None:
            fail(f"nothing was raised{instead}, expected {_names(self._type)}", None, self._message)
        if not isinstance(exc, self._type):
            return False
        self.exception = exc
        if not _matches(exc, self._match):
            raise AssertionError(self._mismatch(exc)) from exc
        return True

    def _mismatch(self, exc: BaseException) -> str:
        wanted = getattr(self._match, "__qualname__", None) if callable(self._match) else None
        pattern = getattr(self._match, "pattern", self._match)
        what = f"a value for which {wanted} is true" if wanted else f"a text in which {pattern!r} is found"
        lead = f"{self._message}: " if self._message else ""
        return f"{lead}the exception does not match\n  expected: {what}\n  actual:   {show(exc)}"


def _deferred(awaitable: Any, caught: Caught) -> Any:
    """Return a coroutine that judges; a test that ends without having awaited it has asserted nothing, and fails."""
    from testd.context import state

    test = state.test
    if test is not None:
        caller = sys._getframe(2)
        test.unawaited[id(caught)] = f"throws(...) at {caller.f_code.co_filename}:{caller.f_lineno}"
    return _awaiting(awaitable, caught, test)


async def _awaiting(awaitable: Any, caught: Caught, test: Context | None) -> Any:
    __tracebackhide__ = True
    if test is not None:
        test.unawaited.pop(id(caught), None)
    try:
        result = await awaitable
    except BaseException as exc:
        if not caught.judge(exc):
            raise
        return caught.exception
    caught.judge(None, f", it returned {show(result)}")
    return None


def _is_exception_type(subject: Any) -> bool:
    kinds = subject if isinstance(subject, tuple) and subject else (subject,)
    return all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds)


def _checked(kinds: Any) -> Any:
    if not _is_exception_type(kinds):
        raise TypeError(f"{show(kinds)} is no exception type: give one, or a tuple of them")
    return kinds


def _matches(exc: BaseException, match: Any) -> bool:
    if match is None:
        return True
    if callable(match):
        return bool(match(exc))
    import re

    return re.search(match, str(exc)) is not None


def _names(kinds: Any) -> str:
    return " or ".join(kind.__qualname__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
