"""A runner with a collection that is right for a run: warm where the files allow it. Runs in the agent."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import anyio

from testd_daemon.agent.amending import amend
from testd_daemon.agent.collection import Collection
from testd_daemon.agent.mirror import Tell, tell_nobody
from testd_daemon.agent.pool import Pool
from testd_daemon.agent.runner import Runner
from testd_daemon.agent.selection import Argument
from testd_daemon.agent.spans import Spans
from testd_daemon.agent.spec import Spec
from testd_daemon.agent.strangers import Strangers
from testd_daemon.config import Settings
from testd_daemon.errors import ProcessCrashed

__all__ = ["Provision", "provide", "rewound", "sound"]

#: Finds a collection in a runner, or makes one: runner, spec, arguments, why the runner is cold → it, and why it is.
Find = Callable[[Runner, Spec, Sequence[Argument], str], Awaitable[tuple[Collection, str]]]

#: Collections that a runner keeps: each is a process.
MOST_COLLECTIONS: Final = 4


class Provision:
    """What a run works with: a runner and a collection, held until it is released; both change if the runner ends."""

    def __init__(
        self, pool: Pool, settings: Settings, tell: Tell = tell_nobody, find: Find | None = None, since_ns: int = 0
    ) -> None:
        """Hold nothing yet. `tell` is told what takes a while; `find` is in the place of `sound`.

        What was prepared since `since_ns` (wall clock) was prepared for this run.
        """
        self._since_ns = since_ns or time.time_ns()
        self._find = find or sound
        self._tell = tell
        self._told = False
        self._pool = pool
        self._settings = settings
        self._runner: Runner | None = None
        self._collection: Collection | None = None
        self.spans = Spans()
        self.warm = False
        self.reason = ""
        self.loaded_from = 0  # wall clock, ns: nothing was loaded for it, or found to be fresh, before

    @property
    def held(self) -> bool:
        """Whether there are both: not where one that ended could not be replaced."""
        return self._runner is not None and self._collection is not None

    @property
    def runner(self) -> Runner:
        """The runner."""
        assert self._runner is not None
        return self._runner

    @property
    def notices(self) -> list[str]:
        """What a user should know of the files that the target has."""
        return self.runner.notices

    @property
    def collection(self) -> Collection:
        """The collection."""
        assert self._collection is not None
        return self._collection

    @property
    def strangers(self) -> Strangers:
        """Folders outside from which modules came, as far as that is known."""
        return self._collection.strangers if self._collection is not None else Strangers()

    async def obtain(self, spec: Spec, arguments: Sequence[Argument], *, fresh: bool) -> None:
        """Get both. Raises what `Pool.acquire` and `Runner.collect` do.

        A warm runner may be gone, and nobody have noticed yet, or go at this moment: then another is taken. One that
        was started just now and ends is an error.
        """
        collection: Collection | None = None
        cold, began_ns = "", time.time_ns()
        self.loaded_from = self.loaded_from or began_ns
        while collection is None:
            runner, cold = await self._pool.acquire(spec, fresh=fresh, tell=self._say)
            self._runner = runner
            self.spans.mark("runner")
            warm = not cold
            try:
                async with runner.lock:
                    collection, cold = await self._take(runner, spec, arguments, cold, began_ns)
            except ProcessCrashed:
                if not warm or runner.alive:
                    raise
                await self.release()
                continue
            if collection is None:  # files have changed under those who use it: it is left to them
                runner.private = True
                await self.release()
        self.warm = not cold
        kept = f"{len(collection.ids)} test{'s' * (len(collection.ids) != 1)} kept since"
        self.reason = cold or f"{kept} {time.strftime('%H:%M', time.localtime(collection.since))}"
        _evict(self.runner)

    async def _take(
        self, runner: Runner, spec: Spec, arguments: Sequence[Argument], cold: str, began_ns: int
    ) -> tuple[Collection | None, str]:
        """Take a collection of a runner, to be called under its lock; none where its files cannot be brought now."""
        current = await runner.bring_files(self._say)
        self.spans.mark("files")
        if not current:
            return None, cold
        if self._told:
            self._say("collecting", 0, 0)
        prepared = runner.take_prepared()
        if prepared is not None:
            if prepared[0] is not None:
                cold = cold or _changed(prepared[0], spec.root)
            if prepared[1] >= self._since_ns:
                self.loaded_from = min(self.loaded_from, prepared[1])
        collection, cold = await self._find(runner, spec, arguments, cold)
        collection.users += 1
        self._collection = collection
        self.spans.mark("notice")
        if collection.began_ns >= began_ns:
            self.spans.part("collect", "notice", collection.since - collection.began_ns / 1e9)
            self.spans.inform("collect: import", collection.imported)
        return collection, cold

    def _say(self, text: str, done: int, total: int) -> None:
        self._told = True
        self._tell(text, done, total)

    async def renew(self, spec: Spec, arguments: Sequence[Argument]) -> None:
        """Get another runner and collection in the place of those that are gone."""
        await self.release()
        await self.obtain(spec, arguments, fresh=False)

    async def release(self) -> None:
        """Give both back."""
        runner, self._runner = self._runner, None
        collection, self._collection = self._collection, None
        if runner is None:
            return
        if collection is not None:
            runner.release(collection)
        await self._pool.release(runner, idle=self._settings.idle_runners, age=self._settings.runner_age)


@contextlib.asynccontextmanager
async def provide(
    pool: Pool,
    spec: Spec,
    arguments: Sequence[Argument],
    settings: Settings,
    *,
    fresh: bool,
    tell: Tell = tell_nobody,
    find: Find | None = None,
    since_ns: int = 0,
) -> AsyncIterator[Provision]:
    """Hold a runner and a collection for the length of a block; the arguments are those of `Provision`."""
    provision = Provision(pool, settings, tell, find, since_ns)
    try:
        await provision.obtain(spec, arguments, fresh=fresh)
        yield provision
    finally:
        with anyio.CancelScope(shield=True):  # counts must be right, and nothing here waits for long
            await provision.release()


async def sound(runner: Runner, spec: Spec, arguments: Sequence[Argument], cold: str) -> tuple[Collection, str]:
    """Return a collection that is right for the files as they are, and why it is cold."""
    if runner.users == 1 and runner.below.stale() is not None:
        await amend(runner)
        cold = cold or rewound(runner)
    collection, changed = await _kept(runner, arguments)
    if collection is None:
        cold = cold or changed or "these paths were not collected yet"
        collection = await _collected(runner, spec, arguments)
    return collection, cold


def rewound(runner: Runner) -> str:
    """Bring a runner's lower checkpoints up to date with the files; say what changed."""
    stale = runner.below.stale() if runner.users == 1 else None  # else: the pool has looked, and others work on it
    if stale is None:
        return ""
    checkpoint, change = stale
    runner.rewind(checkpoint)
    return _changed(change, runner.spec.root)


async def _kept(runner: Runner, arguments: Sequence[Argument]) -> tuple[Collection | None, str]:
    """Return a collection that has what is asked for and is fresh, or none and why."""
    changed = ""
    for collection in sorted(runner.collections.values(), key=lambda found: -found.since):
        if collection.retired or not collection.since or not collection.covers(arguments):
            continue
        change = collection.record.change()
        if change is not None and runner.users == 1:
            await amend(runner, [collection])
            change = collection.record.change()
        if change is None:
            return collection, ""
        changed = _changed(change, runner.spec.root)
        runner.drop(collection)
    missed, runner.missed = runner.missed, ""
    return None, changed or missed


async def _collected(runner: Runner, spec: Spec, arguments: Sequence[Argument]) -> Collection:
    absolute = tuple(dict.fromkeys(argument.path for argument in arguments))
    return await runner.collect([_short(path, spec.root) for path in absolute], absolute)


def _evict(runner: Runner) -> None:
    """Let go of collections beyond the limit, those first that were made first and that nobody uses."""
    unused = sorted((found for found in runner.collections.values() if not found.users), key=lambda c: c.since)
    for collection in unused[: max(0, len(runner.collections) - MOST_COLLECTIONS)]:
        runner.drop(collection)


def _changed(path: str, root: str) -> str:
    """Say what changed, as a user is told why a run is cold."""
    return f"{'the folder of the workspace' if path == root else _short(path, root)} changed"


def _short(path: str, root: str) -> str:
    """Return a path as seen from the workspace, where it is in there."""
    return os.path.relpath(path, root) if path == root or path.startswith(root + os.sep) else path
