"""The functions that are traced, and whether their trampolines are in. Runs in the user's process.

Functions are kept weakly: one that is made in another function, and traced, goes when nobody has it any more.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from types import FunctionType
from weakref import WeakKeyDictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from testd.tracing.subjects import Subject

__all__ = ["armed", "lent", "register", "subject_of"]

_lock = threading.RLock()
_subjects: WeakKeyDictionary[FunctionType, Subject] = WeakKeyDictionary()
_armings = 0


def register(function: FunctionType, subject: Subject) -> None:
    """Trace a function from now on."""
    with _lock:
        if _armings:
            _disarm(function)
        _subjects[function] = subject
        if _armings:
            _arm(function, subject)


def subject_of(function: object) -> Subject | None:
    """Return how a traced function is described, None for any other."""
    return _subjects.get(function) if isinstance(function, FunctionType) else None


@contextmanager
def armed() -> Iterator[None]:
    """Have the trampolines of all traced functions in. May be nested; who records often stays in one of these."""
    global _armings
    with _lock:
        _armings += 1
        if _armings == 1:
            for function, subject in list(_subjects.items()):
                _arm(function, subject)
    try:
        yield
    finally:
        with _lock:
            _armings -= 1
            if _armings == 0:
                for function in list(_subjects):
                    _disarm(function)


@contextmanager
def lent(functions: dict[FunctionType, Subject]) -> Iterator[None]:
    """Trace these functions inside of the block; those that are traced anyway are left alone."""
    with _lock:
        new = {function: subject for function, subject in functions.items() if function not in _subjects}
        for function, subject in new.items():
            register(function, subject)
    try:
        yield
    finally:
        with _lock:
            for function in new:
                _disarm(function)
                del _subjects[function]


def _arm(function: FunctionType, subject: Subject) -> None:
    """Put the trampoline in. `inspect.signature` and `getsource` look for the original by way of `__wrapped__`."""
    from testd.tracing.trampolines import Armed, trampoline

    code = function.__code__
    original = FunctionType(code, function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    original.__kwdefaults__ = function.__kwdefaults__
    original.__qualname__ = function.__qualname__
    original.__module__ = function.__module__
    original.__doc__ = function.__doc__
    original.__annotations__ = function.__annotations__
    function.__code__ = trampoline(Armed(subject, original), code)
    function.__dict__.setdefault("__wrapped__", original)


def _disarm(function: FunctionType) -> None:
    """Give the function its own code back."""
    from testd.tracing.trampolines import armed_by

    armed = armed_by(function.__code__)
    if armed is None:
        return
    function.__code__ = armed.original.__code__
    if function.__dict__.get("__wrapped__") is armed.original:
        del function.__dict__["__wrapped__"]
