"""The journal: what was accepted and what happened, committed before anybody is told. Runs in the handler.

A thread of its own owns the database, so that a slow disk delays no answer. Events that come while it commits are
committed together by the next turn: under load a few commits a second carry everything.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio

from testd_daemon.errors import JournalError
from testd_daemon.handler.store import Entry, Store

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Journal"]

T = TypeVar("T")

#: Bytes that may wait for the disk before those who report are made to wait.
BACKLOG: Final = 16 * 1024 * 1024

Committed = Callable[[dict[int, int]], None]
Failed = Callable[[set[int], JournalError], None]
_Job = tuple[Callable[[Store], Any], "asyncio.Future[Any]"]


class Journal:
    """Store events and answer questions about them. `async with` starts and ends the thread.

    `committed` is called in the event loop with the last sequence number per run (by number), `failed` with the runs
    whose events could not be stored. After a failure no later event of such a run is stored: a gap would be a lie.
    """

    def __init__(self, open_store: Callable[[], Store], committed: Committed, failed: Failed) -> None:
        """Take how to open the database; it is opened in the thread."""
        self._open_store = open_store
        self._committed = committed
        self._failed = failed
        self._queue: queue.SimpleQueue[Entry | _Job | None] = queue.SimpleQueue()
        self._backlog = 0
        self._room = anyio.Event()
        self._broken: set[int] = set()  # runs, in the thread's hands
        self.notice = ""

    async def __aenter__(self) -> Self:
        """Open the database. Raises JournalError if it cannot be opened."""
        self._loop = asyncio.get_running_loop()
        opened: asyncio.Future[str] = self._loop.create_future()
        self._thread = threading.Thread(target=self._work, args=(opened,), name="journal", daemon=True)
        self._thread.start()
        self.notice = await opened
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Store what is left, close the database and end the thread."""
        self._queue.put(None)
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._thread.join)

    def append(self, entry: Entry) -> None:
        """Store an event soon. Its run hears of it through `committed` or `failed`."""
        self._backlog += len(entry.body)
        self._queue.put(entry)

    async def call(self, function: Callable[[Store], T]) -> T:
        """Run a function on the database, after all that was appended before, and return or raise what it does."""
        answer: asyncio.Future[T] = self._loop.create_future()
        self._queue.put((function, answer))
        return await answer

    def try_append(self, entry: Entry) -> None:
        """Store an event even of a run that failed before, if it can be; nobody is told."""
        answer: asyncio.Future[None] = self._loop.create_future()
        answer.add_done_callback(lambda done: done.exception())  # looked at, so that nobody complains
        self._queue.put((lambda store: store.append([entry]), answer))

    def forget(self, number: int, before: int) -> None:
        """Remove a run's events in front of a number, in its own time; one that cannot be removed stays."""
        answer: asyncio.Future[None] = self._loop.create_future()
        answer.add_done_callback(lambda done: done.exception())  # looked at, so that nobody complains
        self._queue.put((lambda store: store.forget(number, before), answer))

    async def room(self) -> None:
        """Wait while too much is waiting for the disk."""
        while self._backlog > BACKLOG:
            self._room = anyio.Event()
            await self._room.wait()

    # ── in the thread ────────────────────────────────────────────────────────────────────────────────────────────────

    def _work(self, opened: asyncio.Future[str]) -> None:
        try:
            store = self._open_store()
        except BaseException as error:
            self._tell(_fail, opened, error)
            return
        self._tell(_answer, opened, store.notice)
        try:
            while self._turn(store):
                pass
        finally:
            store.close()

    def _turn(self, store: Store) -> bool:
        """Do all that is at hand; say whether there will be more."""
        entries: list[Entry] = []
        for job in self._at_hand():
            if isinstance(job, Entry):
                entries.append(job)
                continue
            self._commit(store, entries)
            entries = []
            if job is None:
                return False
            self._perform(store, *job)
        self._commit(store, entries)
        return True

    def _at_hand(self) -> Iterable[Entry | _Job | None]:
        yield self._queue.get()
        while True:
            try:
                yield self._queue.get_nowait()
            except queue.Empty:  # noqa: PERF203  asked as often as there is something
                return

    def _commit(self, store: Store, entries: list[Entry]) -> None:
        if not entries:
            return
        size = sum(len(entry.body) for entry in entries)
        good = [entry for entry in entries if entry.number not in self._broken]
        try:
            if good:
                store.append(good)
        except JournalError as error:
            failed = {entry.number for entry in good}
            self._broken |= failed
            self._tell(self._on_failed, failed, error, size)
        else:
            self._tell(self._on_committed, {entry.number: entry.seq for entry in good}, size)

    def _perform(self, store: Store, function: Callable[[Store], T], answer: asyncio.Future[T]) -> None:
        try:
            result = function(store)
        except Exception as error:
            self._tell(_fail, answer, error)
        else:
            self._tell(_answer, answer, result)

    def _tell(self, function: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:  # the loop is closed: nobody is left to be told
            return

    # ── back in the event loop ───────────────────────────────────────────────────────────────────────────────────────

    def _on_committed(self, last: dict[int, int], size: int) -> None:
        self._shrink(size)
        self._committed(last)

    def _on_failed(self, runs: set[int], error: JournalError, size: int) -> None:
        self._shrink(size)
        self._failed(runs, error)

    def _shrink(self, size: int) -> None:
        self._backlog -= size
        if self._backlog <= BACKLOG:
            self._room.set()


def _answer(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
