"""Where functions run: one target, one folder of code. Runs in the agent.

It holds a runner of the pool, and in it a stem that has the functions' modules imported; each call of a function is a
worker that is forked from it, or a new process where that is not safe.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import anyio
import msgspec

from testd_daemon.agent.collection import Collection
from testd_daemon.agent.mirror import Tell
from testd_daemon.agent.pool import Pool
from testd_daemon.agent.runner import Runner
from testd_daemon.agent.selection import Argument
from testd_daemon.agent.spec import Spec
from testd_daemon.agent.warm import Provision, rewound
from testd_daemon.agent.workflow.attempt import Attempt
from testd_daemon.config import Settings
from testd_protocol.messages import FinishWorker, Invocation, Message, RunJob, StartWorker, StopWorker
from testd_protocol.workflows import Action

__all__ = ["Order", "Place", "Roots", "code_name"]

#: Seconds for a worker to end that was told to; after that its runner is killed.
STOP_DEADLINE: Final = 5.0
#: Seconds that a function has to stop when its run is cancelled.
GRACE: Final = 1.0


#: Makes what is imported ready, and says what it is.
Outfit = Callable[[], Awaitable["Roots"]]
#: Makes an attempt of a worker's number and the way to it.
Make = Callable[[int, Callable[[Message], None]], Attempt]


def code_name(action: Action) -> str:
    """Return what a runner calls an action's function."""
    return f"{action.function_name}@R" if action.type == "R" else action.function_name


class Roots(msgspec.Struct, frozen=True):
    """What is imported: a folder of code, the functions in it, and folders of packages that come first."""

    source: str  # as the target finds it: absolute, or relative to the workspace
    names: tuple[str, ...]
    code: str = ""  # a folder outside of the workspace that the target has to be given
    packages: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()  # of packages that the target is to install itself
    r_library: str = ""  # has packages of R
    r_packages: tuple[str, ...] = ()  # of R, that the target is to install itself

    @property
    def paths(self) -> list[str]:
        """The paths of the collection."""
        asked = [*(f"={name}" for name in self.requirements), *(f"+{folder}" for folder in self.packages)]
        asked += [*(f"?{name}" for name in self.r_packages), *([f"&{self.r_library}"] if self.r_library else ())]
        return [*asked, *(f"{self.source}::{name}" for name in self.names)]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a function."""

    function: str  # its name in the code
    invocation: Invocation
    limit: float  # seconds that it may take; 0: no limit
    memory: int  # KiB that its process may use; 0: what the target says


class Place:
    """One target with one folder of code, while a run uses it."""

    def __init__(
        self, pool: Pool, spec: Spec, settings: Settings, outfit: Outfit, run: str, tell: Tell, *, fresh: bool
    ) -> None:
        """Describe it; a runner is taken when it is needed, and another one when that has ended.

        `outfit` says what is imported, once all of it is there.
        """
        self.spec = spec
        self.installed = 0.0  # seconds until all that is imported was there
        self._outfit = outfit
        self._roots: Roots | None = None
        self._run = run
        self._provision = Provision(pool, settings, tell, self._find)
        self._lock = anyio.Lock()
        self._fresh = fresh

    async def release(self) -> None:
        """Give everything back."""
        await self._provision.release()

    @property
    def provision(self) -> Provision:
        """The runner and what it has imported."""
        return self._provision

    async def ready(self) -> tuple[Runner, Collection]:
        """Return a runner that has everything imported. Raises what `Pool.acquire` and `Runner.collect` do."""
        async with self._lock:
            if self._roots is None:
                began = time.monotonic()
                self._roots = await self._outfit()
                if self._roots.code:
                    given = {**self.spec.options, "code": self._roots.code}
                    self.spec = msgspec.structs.replace(self.spec, options=given)
                self.installed = time.monotonic() - began
            provision = self._provision
            if provision.held:
                runner, collection = provision.runner, provision.collection
                if runner.alive and collection.number in runner.collections:
                    return runner, collection
                await provision.release()
            await provision.obtain(self.spec, _arguments(self._roots), fresh=self._fresh)
            return provision.runner, provision.collection

    async def call(self, order: Order, attempt: Make) -> Attempt:
        """Have a function called in a process of its own, and wait for its end. A cancellation ends the process."""
        runner, collection = await self.ready()
        assert self._roots is not None
        path = f"{self._roots.source}::{order.function}"
        alone = self.spec.mode == "bin" or not collection.forkable
        made = attempt(next(runner.numbers), runner.send)
        job = next(runner.numbers)
        runner.own_function(made.worker, job, made)
        runner.send(
            StartWorker(
                worker=made.worker, collection=collection.number, stream=True, timeout=order.limit, run=self._run,
                memory_limit=order.memory,
                paths=self._roots.paths if alone else [],
            ),
            RunJob(
                job=job, worker=made.worker, tests=[collection.ids.index(path)], ids=[path] if alone else [],
                invocation=order.invocation,
            ),
            FinishWorker(worker=made.worker),
        )  # fmt: skip
        if runner.gone.is_set():  # it ended before it knew whom to tell
            made.runner_lost(runner.lost)
        try:
            await made.ended.wait()
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._stop(runner, made)
            raise
        return made

    async def _stop(self, runner: Runner, attempt: Attempt) -> None:
        runner.send(StopWorker(worker=attempt.worker, grace=GRACE))
        with anyio.move_on_after(STOP_DEADLINE) as deadline:
            await attempt.ended.wait()
        if deadline.cancelled_caught:
            runner.kill(f"its workers did not end within {STOP_DEADLINE:g} s")
            await runner.gone.wait()

    # ── what is warm ─────────────────────────────────────────────────────────────────────────────────────────────────

    @staticmethod
    async def _find(
        runner: Runner, spec: Spec, arguments: Sequence[Argument], cold: str
    ) -> tuple[Collection, str]:
        """Return a collection of exactly these functions that is right for the files, and why it is cold."""
        cold = cold or rewound(runner)
        paths = tuple(argument.path for argument in arguments)
        for collection in list(runner.collections.values()):
            if collection.paths != paths or collection.retired or not collection.since:
                continue
            change = collection.record.change()
            if change is None:
                return collection, cold
            cold = cold or f"{change} changed"
            runner.drop(collection)
        return await runner.collect(list(paths), paths), cold or "these functions were not imported yet"


def _arguments(roots: Roots) -> Sequence[Argument]:
    return [Argument(path, path, folder=False) for path in roots.paths]
