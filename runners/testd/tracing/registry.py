"""The functions that are traced, and whether their trampolines are in. Runs in the user's process.

Functions are kept weakly: one that is made in another function, and traced, goes when nobody has it any more.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from types import FunctionType
from weakref import WeakKeyDictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from testd.tracing.subjects import Subject

__all__ = ["armed", "lent", "register", "subject_of", "subjects"]

_lock = threading.RLock()
_subjects: WeakKeyDictionary[FunctionType, Subject] = WeakKeyDictionary()
_armings = 0
_watching = ExitStack()


def register(function: FunctionType, subject: Subject) -> None:
    """Trace a function from now on."""
    with _lock:
        _subjects[function] = subject
        if _armings:
            _arm({function: subject})


def subject_of(function: object) -> Subject | None:
    """Return how a traced function is described, None for any other."""
    return _subjects.get(function) if isinstance(function, FunctionType) else None


def subjects() -> list[Subject]:
    """Return how all traced functions are described."""
    with _lock:
        return list(_subjects.values())


@contextmanager
def armed() -> Iterator[None]:
    """Have the trampolines of all traced functions in. May be nested: who records often stays in one of these."""
    from testd.tracing.lineage import watched

    global _armings
    with ExitStack() as stack:
        with _lock:
            _armings += 1
            stack.callback(_release)
            if _armings == 1:
                _arm(dict(_subjects))
                _watching.enter_context(watched())
        yield


def _release() -> None:
    """Take the trampolines out when nothing has asked for them any more."""
    global _armings
    with _lock:
        _armings -= 1
        if _armings == 0:
            _watching.close()
            _disarm(list(_subjects))


@contextmanager
def lent(functions: dict[FunctionType, Subject]) -> Iterator[None]:
    """Trace these functions inside of the block, beside those that are traced anyway."""
    with _lock:
        new = {function: subject for function, subject in functions.items() if function not in _subjects}
        for function, subject in new.items():
            register(function, subject)
    try:
        yield
    finally:
        with _lock:
            _disarm(list(new))
            for function in new:
                _subjects.pop(function, None)


def _arm(functions: dict[FunctionType, Subject]) -> None:
    from testd.tracing.recording import Recorded
    from testd.tracing.trampolines import put_in, take_out

    for function, subject in functions.items():
        take_out(function)
        put_in(function, Recorded(function, subject))


def _disarm(functions: list[FunctionType]) -> None:
    from testd.tracing.trampolines import take_out

    for function in functions:
        take_out(function)
