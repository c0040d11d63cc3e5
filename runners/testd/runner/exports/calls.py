"""Calls one test function: what it wants for arguments, a loop of its own if it is a coroutine. Runs in the worker."""

from __future__ import annotations

from time import perf_counter  # a reference: tests that freeze time replace the attribute of `time`

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType
    from typing import Any

    from testd.context import Context

__all__ = ["Call", "NotATest", "prepare"]

#: Seconds that tasks which a test left behind get to end after they were cancelled.
CANCEL_GRACE = 1.0

_VARARGS, _VARKEYWORDS, _GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x04, 0x08, 0x20, 0x80, 0x200


class NotATest(Exception):
    """A function that cannot be run as a test: says why, and what would be right."""


class Call:
    """One way to call a test function, worked out once, at collection."""

    __slots__ = ("function", "is_coroutine", "problem", "takes_t")

    def __init__(self, function: FunctionType, takes_t: bool, problem: str) -> None:
        """Keep what `prepare` found."""
        self.function = function
        self.is_coroutine = bool(function.__code__.co_flags & _COROUTINE)
        self.takes_t = takes_t
        self.problem = problem

    def run(self, context: Context, leaks: list[str]) -> tuple[float, BaseException | None]:
        """Run the test; return how long it took, in seconds, and what it raised. Adds what it left to `leaks`.

        KeyboardInterrupt is not caught: it may be meant for the worker.
        """
        function: Callable[..., Any] = self.function
        start = perf_counter()
        try:
            result = function(t=context) if self.takes_t else function()
            if result is not None:
                _finish(result, leaks)
        except KeyboardInterrupt:
            raise
        except BaseException as exc:  # whatever user code raises is the outcome of its test
            return perf_counter() - start, exc
        return perf_counter() - start, None


def prepare(function: FunctionType) -> Call:
    """Work out how to call a test function, or why it cannot be called."""
    code = function.__code__
    if code.co_flags & (_GENERATOR | _ASYNC_GENERATOR):
        return Call(function, False, (
            f"{function.__name__} is a generator function: calling it runs none of its body. "
            "A test does its work and returns; use `return` or `await` instead of `yield`, or begin the name with _"
        ))
    takes_t = _takes_t(function)
    missing = [name for name in _required(function) if name != "t"]
    if missing:
        names = ", ".join(map(repr, missing))
        return Call(function, takes_t, (
            f"{function.__name__} has parameters that nothing gives a value: {names}. A test takes no parameter, "
            "or one called t; give the others defaults, or begin the name with _ if this is a helper"
        ))
    if "t" in code.co_varnames[: getattr(code, "co_posonlyargcount", 0)]:
        return Call(function, takes_t, f"{function.__name__} takes t by position only: remove the / behind it")
    return Call(function, takes_t, "")


def _required(function: FunctionType) -> list[str]:
    """Return the parameters without a default: of the function itself, not of one that it wraps."""
    code = function.__code__
    positional = code.co_varnames[: code.co_argcount]
    keyword = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    given = len(function.__defaults__ or ())
    return [
        *positional[: len(positional) - given],
        *(name for name in keyword if name not in (function.__kwdefaults__ or {})),
    ]


def _takes_t(function: FunctionType) -> bool:
    """Whether `t` reaches a parameter: the function's own, or of one that it wraps and hands keywords to."""
    inner: Any = function
    for _ in range(50):
        code = inner.__code__
        if "t" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            return True
        if not code.co_flags & _VARKEYWORDS:
            return False
        inner = getattr(inner, "__wrapped__", None)
        if not hasattr(inner, "__code__"):
            return False
    return False


def _finish(result: Any, leaks: list[str]) -> None:
    """Deal with what a test returned: await it, or say that its work has not been done."""
    if hasattr(result, "__await__"):
        _run_in_loop(result, leaks)
    elif hasattr(result, "__next__") or hasattr(result, "__anext__") or type(result).__module__ == "contextlib":
        raise NotATest(
            f"the test returned a {type(result).__name__}, of which nothing has run: "
            "a test does its work and returns nothing"
        )


def _run_in_loop(awaitable: Any, leaks: list[str]) -> None:
    """Run an awaitable in a new event loop; end what is left of it, and say what that was."""
    import asyncio

    async def body() -> None:
        await awaitable

    loop = asyncio.new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        main = loop.create_task(body() if not asyncio.iscoroutine(awaitable) else awaitable)
        try:
            loop.run_until_complete(main)
        finally:
            _end_tasks(loop, main, leaks)
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _end_tasks(loop: Any, main: Any, leaks: list[str]) -> None:
    """Cancel every task that is left, wait for them, and close asynchronous generators and the thread pool."""
    import asyncio

    from testd.runner.leaks import describe_task

    left = [task for task in asyncio.all_tasks(loop) if not task.done()]
    leaks.extend(describe_task(task) + "; cancelled" for task in left if task is not main)
    for task in left:
        task.cancel()
    if left:
        _, stubborn = loop.run_until_complete(asyncio.wait(left, timeout=CANCEL_GRACE))
        leaks.extend(f"{describe_task(task)}; did not end when cancelled" for task in stubborn)
        for task in left:
            if task.done() and not task.cancelled():
                task.exception()  # seen: nobody else will ask for it
    loop.run_until_complete(loop.shutdown_asyncgens())
    if getattr(loop, "_default_executor", None) is not None:
        loop._default_executor.shutdown(wait=False)  # a thread that hangs in it is reported, not waited for
