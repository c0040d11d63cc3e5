"""The log of one function: its lines, written whole into the store, never read back. Runs in the agent."""

from __future__ import annotations

import time
from typing import Final

import anyio

from testd_daemon.workflows import layout
from testd_daemon.workflows.store.client import Store

__all__ = ["Log"]

#: Seconds from a line to its write, while the function runs: one that is over sooner has its log written once.
INTERVAL: Final = 0.3
#: The pause behind a write, in times of what it took.
LEISURE: Final = 3.0
#: Bytes of a function's own lines that are kept: all of them are written again each time.
MOST: Final = 8 * 1024 * 1024


class Log:
    """One log. Lines are added without waiting; `flush` puts them into the store, `follow` does so now and then."""

    def __init__(self, store: Store, key: str) -> None:
        """Begin with the function."""
        self._store = store
        self._key = key
        self._began = time.monotonic()
        self._text: list[str] = []
        self._written = 0
        self._room, self._full = MOST, False
        self._more = anyio.Event()
        self._lock = anyio.Lock()

    @property
    def seconds(self) -> float:
        """Seconds since the function began."""
        return time.monotonic() - self._began

    def write(self, line: str) -> bool:
        """Add a line of the function's own, as it is. Returns whether there was room for it."""
        self._room -= len(line) + 1
        if self._room >= 0:
            self.add(line)
        elif not self._full:
            self._full = True
            self.say("WARNING", "executor.py", f"the function wrote more than {MOST} bytes: the rest is left out")
        return self._room >= 0

    def add(self, line: str) -> None:
        """Add a line as it is."""
        self._text.append(line.rstrip("\n") + "\n")
        self._more.set()

    def say(self, level: str, file: str, message: str) -> None:
        """Add a line in the form of the log."""
        self.add(layout.line(self.seconds, level, file, message))

    async def flush(self) -> None:
        """Have all lines in the store. Raises StoreError."""
        async with self._lock:
            if self._written < len(self._text):
                lines = len(self._text)
                await self._store.put(self._key, "".join(self._text).encode())
                self._written = lines

    async def follow(self) -> None:
        """Write what comes, until it is cancelled."""
        pause = INTERVAL
        while True:
            await self._more.wait()
            await anyio.sleep(pause)
            self._more = anyio.Event()
            began = time.monotonic()
            await self.flush()
            pause = max(INTERVAL, LEISURE * (time.monotonic() - began))
