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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from typing import Any

    from testd.tracing.calls import Call

__all__ = ["Armed", "caller", "put_in", "take_out"]

_STANDS_FOR = "the armed function"
_COROUTINE, _GENERATOR, _ASYNC_GENERATOR, _ITERABLE_COROUTINE = 0x80, 0x20, 0x200, 0x100


class Armed:
    """A function whose calls are noticed."""

    __slots__ = ("original",)

    def __init__(self, function: Any) -> None:
        """Keep what a trampoline calls: what does the same as the function, if that gets another code."""
        self.original = _copy(function) if isinstance(function, FunctionType) else function

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Begin a call: it is the current one from here on."""
        raise NotImplementedError


def _function(*__args: Any, **__kwargs: Any) -> Any:
    __armed: Any = "the armed function"
    __call = __armed.begin(__args, __kwargs)
    try:
        if __call.mock is None:
            __result = __armed.original(*__args, **__kwargs)
        else:
            __result = __call.mock.answer(__args, __call.subject.constructs)
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
            __result = __call.mock.answer(__args, __call.subject.constructs)
    except BaseException as __error:
        __call.fail(__error)
        raise
    return __call.finish(__result)


def _generator(*__args: Any, **__kwargs: Any) -> Generator[Any, Any, Any]:
    __armed: Any = "the armed function"
    __call = __armed.begin(__args, __kwargs)
    try:
        __call.gives()
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
        __call.gives()
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


def put_in(function: FunctionType, armed: Armed) -> None:
    """Put a trampoline into a function. `inspect` finds signature and source of the original by `__wrapped__`."""
    code = function.__code__
    function.__code__ = _code(armed, code).replace(co_freevars=code.co_freevars)
    function.__dict__.setdefault("__wrapped__", armed.original)


def take_out(function: FunctionType) -> None:
    """Give a function its own code back, if a trampoline is in it."""
    if function.__code__.co_filename != TRAMPOLINE:
        return
    armed = next(constant for constant in function.__code__.co_consts if isinstance(constant, Armed))
    function.__code__ = armed.original.__code__
    if function.__dict__.get("__wrapped__") is armed.original:
        del function.__dict__["__wrapped__"]


def caller(armed: Armed, name: str) -> FunctionType:
    """Return a new function of that name which calls what is armed."""
    like = getattr(armed.original, "__code__", _function.__code__)
    return FunctionType(_code(armed, like), {"__builtins__": builtins}, name)


def _copy(function: FunctionType) -> FunctionType:
    code, name, defaults = function.__code__, function.__name__, function.__defaults__
    made = FunctionType(code, function.__globals__, name, defaults, function.__closure__)
    made.__kwdefaults__ = function.__kwdefaults__
    made.__qualname__ = function.__qualname__
    made.__module__ = function.__module__
    made.__doc__ = function.__doc__
    if hasattr(function, "__annotate__"):  # from Python 3.14; to ask for the annotations themselves would run them
        made.__annotate__ = function.__annotate__  # type: ignore[attr-defined]
    else:
        made.__annotations__ = function.__annotations__
    return made


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
