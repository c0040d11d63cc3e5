"""The embedded stores of an agent's runs: each lives on for a while after its run, for whoever looks at what is in it.

Runs in the agent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import anyio
from anyio.abc import TaskGroup, TaskStatus

from testd_daemon.workflows.store.embedded import Embedded, embedded

__all__ = ["Keeper"]

#: Seconds that a store serves after its run; and how many of those there are, each some 80 MiB.
KEEP: Final = 900.0
MOST: Final = 4


class Keeper:
    """Starts stores and ends them."""

    def __init__(self, tasks: TaskGroup) -> None:
        """Have them live in this task group."""
        self._tasks = tasks
        self._left: list[anyio.Event] = []  # of those whose run is over, oldest first: set to end one

    async def start(self, folder: Path) -> tuple[Embedded, anyio.Event]:
        """Start one with its journal in a folder. The event is to be set by `leave`, when its run is over.

        Raises ExtraMissing, ProcessCrashed, DeadlineExpired, OSError.
        """
        over = anyio.Event()
        return await self._tasks.start(self._serve, folder, over), over

    def leave(self, over: anyio.Event) -> None:
        """Say that a run is over: its store goes after a while, or when others have come."""
        self._left.append(over)
        self._tasks.start_soon(self._expire, over)
        while len(self._left) > MOST:
            self._left.pop(0).set()

    async def _expire(self, over: anyio.Event) -> None:
        with anyio.move_on_after(KEEP):
            await over.wait()
        over.set()
        if over in self._left:
            self._left.remove(over)

    @staticmethod
    async def _serve(folder: Path, over: anyio.Event, *, task_status: TaskStatus[Embedded]) -> None:
        async with embedded(folder) as store:
            task_status.started(store)
            await over.wait()
