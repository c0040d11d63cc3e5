"""Who may run: so many functions at once as there are processors, not counting those that wait for the store.

Pure but for the event loop's events; runs in the agent.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterator

import anyio

__all__ = ["Turns"]


class Turns:
    """Turns of functions, in the order in which they were asked for."""

    def __init__(self, limit: int, most: int) -> None:
        """Let `limit` run at once, and at most `most` be there, those that wait for the store included."""
        self._limit = limit
        self._most = most
        self._running = 0
        self._there = 0
        self._queue: deque[anyio.Event] = deque()

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Have a turn for the length of a block."""
        if self._queue or not self._room():
            asked = anyio.Event()
            self._queue.append(asked)
            try:
                await asked.wait()
            except BaseException:
                if asked.is_set():  # it came in the very moment
                    self._leave()
                else:
                    self._queue.remove(asked)
                raise
        else:
            self._enter()
        try:
            yield
        finally:
            self._leave()

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Let somebody else run for the length of a block: who has the turn waits for the store."""
        self._running -= 1
        self._next()
        try:
            yield
        finally:
            self._running += 1

    def _room(self) -> bool:
        return self._running < self._limit and self._there < self._most

    def _enter(self) -> None:
        self._running += 1
        self._there += 1

    def _leave(self) -> None:
        self._running -= 1
        self._there -= 1
        self._next()

    def _next(self) -> None:
        while self._queue and self._room():
            self._enter()
            self._queue.popleft().set()
