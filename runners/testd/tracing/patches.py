"""To have functions answered by mocks that nobody traces. Runs in the user's process.

A function that is written in Python gets a trampoline for the time being, so that every call of it is noticed, whatever
its name where it is called. Anything else that can be called, such as `time.time`, is replaced: where it is defined,
and in each loaded module that has imported it by name, but for those of the standard library and of testd. What has
kept it elsewhere (an attribute of an object, a default argument) calls the real one.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from types import FunctionType

from testd.tracing.decorator import constructor_of
from testd.tracing.instances import named
from testd.tracing.mocks import MockError
from testd.tracing.recording import Recorded
from testd.tracing.registry import lent, subject_of, subjects
from testd.tracing.subjects import Settings, Subject
from testd.tracing.trampolines import caller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from testd.tracing.mocks import Mocks

__all__ = ["patched"]

_STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
_INSTALLED = (os.sep + "site-packages" + os.sep, os.sep + "dist-packages" + os.sep)


@contextmanager
def patched(mocks: Mocks) -> Iterator[None]:
    """Record the calls of all functions that have answers.

    Raises:
        MockError: a function cannot be found, or cannot be mocked.

    """
    traced = {subject.key for subject in subjects()} if mocks else set()
    with ExitStack() as stack:
        for key in mocks.functions:
            if key not in traced:
                _patch(key, mocks, stack)
        yield


def _patch(key: str, mocks: Mocks, stack: ExitStack) -> None:
    try:
        found = named(key)
    except ValueError as error:
        raise MockError(f"mocks: {error}") from error
    function = getattr(found, "__func__", found)  # of a method that is bound to its class
    constructs = isinstance(function, type)
    if constructs:
        function = constructor_of(function)
        if function is None:
            raise MockError(f"mocks: {key} is a class without a constructor of its own: mock a function that makes one")
    if not callable(function):
        raise MockError(f"mocks: {key} is no function but {type(found).__name__}")
    known = subject_of(function)
    if known is not None:
        mocks.alias(known.key, key)
        return
    subject = Subject(function, Settings(name=key.partition(":")[2]), constructs)
    subject.module, subject.key = key.partition(":")[0], key
    if isinstance(function, FunctionType):
        stack.enter_context(lent({function: subject}))
    else:
        _replace(key, function, caller(Recorded(function, subject), subject.name.rpartition(".")[2]), stack)


def _replace(key: str, real: Any, stand_in: FunctionType, stack: ExitStack) -> None:
    """Put a function in place of something that is not written in Python."""
    module, _, path = key.partition(":")
    owner, _, name = path.rpartition(".")
    home = named(f"{module}:{owner}") if owner else sys.modules[module]
    try:
        _put(home, name, real, stand_in, stack)
    except TypeError as error:  # a class that is written in C
        raise MockError(f"mocks: {key} cannot be replaced: {error}; mock a function that calls it") from error
    for other in list(sys.modules.values()):
        if other is not home and _is_users(other):
            for alias, value in list(vars(other).items()):
                if value is real:
                    _put(other, alias, real, stand_in, stack)


def _put(where: Any, name: str, real: Any, stand_in: FunctionType, stack: ExitStack) -> None:
    real = vars(where).get(name, real)  # as it is kept: a static method is more than its function
    setattr(where, name, staticmethod(stand_in) if isinstance(real, staticmethod) else stand_in)
    stack.callback(setattr, where, name, real)


def _is_users(module: Any) -> bool:
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or str(getattr(module, "__name__", "")).partition(".")[0] == "testd":
        return False
    return not file.startswith(_STANDARD) or any(part in file for part in _INSTALLED)
