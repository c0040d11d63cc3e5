"""Which call a thread belongs to, and the work that is given to a pool of them. Runs in the user's process.

A thread does not have the context of the one that started it. So while something records, the start of a thread notes
the call that it comes from, and so does each item of work in a pool of `concurrent.futures`. Both are noticed the way
in which calls are: by code that is put into the standard library's own functions.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from types import FunctionType
from weakref import ref

from testd.tracing.calls import Call
from testd.tracing.context import current, recording_now
from testd.tracing.failures import step_out
from testd.tracing.trampolines import Armed, put_in, take_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from testd.tracing.recording import Recording

__all__ = ["inherited", "watched"]

_NOTE = "_testd_parent"
_watched: list[FunctionType] = []


def inherited() -> Call | Recording | None:
    """Return the call in which the current thread was started, None if it was in none, or that is forgotten."""
    threading = sys.modules.get("threading")
    if threading is None:
        return None
    thread = threading._active.get(threading.get_ident())  # (current_thread would make one for a foreign thread)
    return None if thread is None else _noted(thread)


@contextmanager
def watched() -> Iterator[None]:
    """Notice what is started, and given to pools."""
    try:
        _watch()
        yield
    finally:
        while _watched:
            take_out(_watched.pop())


def _watch() -> None:
    """Put trampolines into those functions that are loaded. Where an interpreter has no such, nothing is noticed."""
    for module, path, notice in _WATCHED:
        function: Any = sys.modules.get(module)
        for name in path.split("."):
            function = getattr(function, name, None)
        if isinstance(function, FunctionType) and function not in _watched:
            put_in(function, notice(function))
            _watched.append(function)


def _note(started: Any) -> None:
    here = current.get()
    vars(started)[_NOTE] = None if here is None else ref(here)


def _noted(started: Any) -> Call | Recording | None:
    noted = vars(started).get(_NOTE)
    return None if noted is None else noted()


class _Passed:
    """What a trampoline has of a call that is not recorded."""

    mock = None

    def finish(self, result: Any) -> Any:
        """Give the result back."""
        return result

    def fail(self, error: BaseException) -> None:
        """Stay out of the traceback."""
        step_out(error)


class _Taken(_Passed):
    """Work that is being done for whoever gave it."""

    def __init__(self, work: Any) -> None:
        """Let the call that gave the work be the current one: not the one that has started this thread."""
        self._outside = current.get()
        current.set(_noted(work) or recording_now())

    def finish(self, result: Any) -> Any:
        """Let this thread be what it was."""
        current.set(self._outside)
        return result

    def fail(self, error: BaseException) -> None:
        """Let this thread be what it was."""
        current.set(self._outside)
        step_out(error)


class _Start(Armed):
    """In place of a function by which something starts that is its first argument."""

    __slots__ = ()

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note which call it comes from."""
        if args:
            _note(args[0])
        if len(_watched) < len(_WATCHED):
            _watch()  # the first thread of the first pool: what was loaded for it can be watched now
        return _Passed()


class _Work(Armed):
    """In place of the function by which a thread of a pool does the work that is its first argument."""

    __slots__ = ()

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Take up the call that the work was noted with."""
        return _Taken(args[0]) if args and _NOTE in vars(args[0]) else _Passed()


_WATCHED: tuple[tuple[str, str, Callable[[FunctionType], Armed]], ...] = (
    ("threading", "Thread.start", _Start),
    ("concurrent.futures.thread", "_WorkItem.__init__", _Start),
    ("concurrent.futures.thread", "_WorkItem.run", _Work),
)
