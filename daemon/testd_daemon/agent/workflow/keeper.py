"""The embedded stores of an agent's runs: each lives on for a while after its run, for whoever looks at what is in it.

Runs in the agent.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import anyio
from anyio.abc import TaskGroup

from testd_daemon.workflows.store.embedded import Embedded, require
from testd_daemon.workflows.store.holding import held

__all__ = ["Keeper"]

#: Seconds that a store serves after its run; and how many of those there are, each some 80 MiB. One at which a test
#: still looks is spared.
KEEP: Final = 900.0
MOST: Final = 4
#: Seconds after a run until a store is started for the next one.
REST: Final = 0.3


class Keeper:
    """Starts stores and ends them. Once a run is over, a store is ready for the next one."""

    def __init__(self, tasks: TaskGroup) -> None:
        """Have them live in this task group."""
        self._tasks = tasks
        self._folders: dict[anyio.Event, Path] = {}
        self._left: list[anyio.Event] = []  # of those whose run is over, oldest first: set to end one
        self._ahead: tuple[Embedded, anyio.Event] | None = None
        self.taken: set[tuple[str, str, str]] = set()  # endpoint, bucket and folder of runs that are under way

    async def start(self, folder: Path) -> tuple[Embedded, anyio.Event]:
        """Start one with its journal in a folder. The event is to be set by `leave`, when its run is over.

        Raises ExtraMissing, ProcessCrashed, DeadlineExpired, OSError.
        """
        require()
        store, over = self._ahead or self._new()
        self._ahead = None
        try:
            await store.begin(folder)
        except BaseException:
            over.set()
            raise
        self._folders[over] = folder
        return store, over

    def leave(self, over: anyio.Event) -> None:
        """Say that a run is over: its store goes after a while, or when others have come."""
        self._left.append(over)
        self._tasks.start_soon(self._expire, over)
        free = [each for each in self._left if not held(self._folders[each])]
        for each in free[: max(0, len(self._left) - MOST)]:
            each.set()
        self._tasks.start_soon(self._get_ahead)

    def _new(self) -> tuple[Embedded, anyio.Event]:
        store, over = Embedded(), anyio.Event()
        self._tasks.start_soon(self._serve, store, over)
        return store, over

    async def _expire(self, over: anyio.Event) -> None:
        while not over.is_set():
            with anyio.move_on_after(KEEP):
                await over.wait()
            if not held(self._folders[over]):
                over.set()
        self._left.remove(over)
        del self._folders[over]

    async def _get_ahead(self) -> None:
        """Have a store ready, until somebody wants it, or for a while. Not at once: this agent may be about to end."""
        await anyio.sleep(REST)
        if self._ahead is not None:
            return
        self._ahead = ahead = self._new()
        await anyio.sleep(KEEP)
        if self._ahead is ahead:
            self._ahead = None
            ahead[1].set()

    @staticmethod
    async def _serve(store: Embedded, over: anyio.Event) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.serve)
            await over.wait()
            tasks.cancel_scope.cancel()
