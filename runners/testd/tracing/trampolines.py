"""What the code of a traced function is while calls are recorded: one trampoline for each kind of function.

A traced function stays the object that it is. While something records, its `__code__` is that of one of these, where
the text that stands for the `Armed` was replaced by it, and the original code lives in a function of its own. So a call
has one frame more, and none while nothing records.

The code runs with the globals of the user's module: nothing but built-ins is looked up here, and names of variables are
such that no closure has them.
"""
from __future__ import annotations

import builtins
from types import CodeType, FunctionType

from testd.tracing.failures import TRAMPOLINE
from testd.tracing.recording import begin

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator
    from typing import Any

    from testd.tracing.calls import Call
    from testd.tracing.subjects import Subject

__all__ = ["Armed", "armed_by", "recorder", "trampoline"]

_STANDS_FOR = "the armed function"
_COROUTINE, _GENERATOR, _ASYNC_GENERATOR, _ITERABLE_COROUTINE = 0x80, 0x20, 0x200, 0x100


class Armed:
    """A function whose calls are recorded: how it is described, and what it really does."""

    __slots__ = ("original", "subject")

    def __init__(self, subject: Subject, original: Any) -> None:
        """Keep what a trampoline calls."""
        self.subject = subject
        self.original = original

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Begin a call: it is the current one from here on."""
        call = begin(self.subject)
        call.start(args, kwargs)
        call.enter()
        return call


def _function(*__args: Any, **__kwargs: Any) -> Any:
    __armed: Any = "the armed function"
    __call = __armed.begin(__args, __kwargs)
    try:
        if __call.mock is None:
            __result = __armed.original(*__args, **__kwargs)
        else:
            __result = __call.mock.answer(__args, __armed.subject.constructs)
    except BaseException as __error:
        __call.fail(__error)
        raise
    return __call.finish(__result)


async def _coroutine(*__args: Any, **__kwargs: Any) -> Any:
    __armed: Any = "the armed function"
    __call = __armed.begin(__args, __kwargs)
    try:
        if __call.mock is None:
            __result = await __armed.original(*__args, **__kwargs)
        else:
            __result = __call.mock.answer(__args, __armed.subject.constructs)
    except BaseException as __error:
        __call.fail(__error)
        raise
    return __call.finish(__result)


def _generator(*__args: Any, **__kwargs: Any) -> Generator[Any, Any, Any]:
    __armed: Any = "the armed function"
    __call = __armed.begin(__args, __kwargs)
    try:
        __steps = __armed.original(*__args, **__kwargs) if __call.mock is None else __call.mock.items()
        __go_on, __value = __steps.send, None
        while True:
            __item = __go_on(__value)
            __call.leave()
            __call.item(__item)
            try:
                __value = yield __item
                __go_on = __steps.send
            except BaseException as __thrown:
                __call.thrown(__thrown)
                __go_on, __value = __steps.throw, __thrown
            __call.enter()
    except StopIteration as __stop:
        return __call.finish(__stop.value)
    except BaseException as __error:
        __call.fail(__error)
        raise


async def _async_generator(*__args: Any, **__kwargs: Any) -> AsyncGenerator[Any, Any]:
    __armed: Any = "the armed function"
    __call = __armed.begin(__args, __kwargs)
    try:
        __steps = __armed.original(*__args, **__kwargs) if __call.mock is None else __call.mock.async_items()
        __go_on, __value = __steps.asend, None
        while True:
            __item = await __go_on(__value)
            __call.leave()
            __call.item(__item)
            try:
                __value = yield __item
                __go_on = __steps.asend
            except BaseException as __thrown:
                __call.thrown(__thrown)
                __go_on, __value = __steps.athrow, __thrown
            __call.enter()
    except StopAsyncIteration:
        __call.finish(None)
    except BaseException as __error:
        __call.fail(__error)
        raise


def trampoline(armed: Armed, like: CodeType) -> CodeType:
    """Return code that records the calls of what is armed, for a function whose own code is `like`."""
    return _code(armed, like).replace(co_freevars=like.co_freevars)


def recorder(subject: Subject, function: Callable[..., Any]) -> FunctionType:
    """Return a function that calls another one, whatever that is, and records it."""
    like = getattr(function, "__code__", _function.__code__)
    return FunctionType(_code(Armed(subject, function), like), {"__builtins__": builtins}, subject.name)


def _code(armed: Armed, like: CodeType) -> CodeType:
    code = _of_kind(like.co_flags).__code__
    made: CodeType = code.replace(
        co_consts=tuple(armed if constant == _STANDS_FOR else constant for constant in code.co_consts),
        co_filename=TRAMPOLINE,
        co_name=like.co_name,
        co_flags=code.co_flags | (like.co_flags & _ITERABLE_COROUTINE),
    )
    return made


def _of_kind(flags: int) -> Any:
    if flags & _COROUTINE:
        return _coroutine
    if flags & _ASYNC_GENERATOR:
        return _async_generator
    return _generator if flags & _GENERATOR else _function


def armed_by(code: CodeType) -> Armed | None:
    """Return what a trampoline records for, None for any other code."""
    if code.co_filename != TRAMPOLINE:
        return None
    return next(constant for constant in code.co_consts if type(constant) is Armed)
