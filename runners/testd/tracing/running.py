"""To call a function to its end, of whatever kind it is. Runs in the user's process."""

from __future__ import annotations

from contextvars import copy_context
from inspect import CO_ASYNC_GENERATOR, CO_COROUTINE, CO_GENERATOR
from itertools import islice
from types import CoroutineType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from typing import Any

__all__ = ["run"]


def run(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], limit: int) -> Any:
    """Return what a call returns; of a coroutine function, what it is awaited for; of a generator, its first items."""
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    result = function(*args, **kwargs)
    if flags & CO_GENERATOR:
        items = list(islice(result, limit))
        result.close()
        return items
    if flags & CO_ASYNC_GENERATOR:
        return _await(_drain(result, limit))
    if flags & CO_COROUTINE or isinstance(result, CoroutineType):
        return _await(result)
    return result


def _await(coroutine: Any) -> Any:
    """Return what a coroutine is awaited for, in a loop of its own: in another thread where one runs in this."""
    import asyncio

    if asyncio._get_running_loop() is None:
        return asyncio.run(coroutine)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(copy_context().run, asyncio.run, coroutine).result()


async def _drain(generator: AsyncGenerator[Any, Any], limit: int) -> list[Any]:
    items: list[Any] = []
    try:
        async for item in generator:
            items.append(item)
            if len(items) >= limit:
                break
    finally:
        await generator.aclose()
    return items
