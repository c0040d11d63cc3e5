"""One runner as the agent uses it: its collections, and who gets what it says. Runs in the agent, on its event loop.

A batch of outcomes goes straight to the run that owns the job. The process behind it is `runner_process.py`'s.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from typing import Final, Protocol

import anyio
from anyio.abc import TaskStatus

from testd_daemon.agent import memory
from testd_daemon.agent.checkpoints import Checkpoints
from testd_daemon.agent.collection import Collection
from testd_daemon.agent.freshness import Change, Checkpoint, Record, settling
from testd_daemon.agent.mirror import Mirror, MirroredRecord, Tell, tell_nobody
from testd_daemon.agent.runner_process import RunnerProcess, fault_error
from testd_daemon.agent.spec import Spec
from testd_daemon.config.units import machine_memory
from testd_daemon.errors import DeadlineExpired, ProcessCrashed, TestdError
from testd_daemon.link import close_all
from testd_protocol.framing import Unknown
from testd_protocol.messages import (
    Amended,
    CallApi,
    Collect,
    Collected,
    CommandEnded,
    Dependencies,
    DropCollection,
    Fault,
    FilesReceived,
    FilesSynced,
    FilesWanted,
    FunctionEnded,
    JobCompleted,
    Judge,
    Judged,
    Message,
    Modules,
    Outcome,
    Output,
    Ping,
    Pong,
    Prepare,
    Ready,
    RunnerMessage,
    RunnerStatus,
    Select,
    Selected,
    StartCommand,
    Started,
    Unsupported,
    Used,
    WorkerExited,
)
from testd_runners.launcher import Command

__all__ = ["FunctionOwner", "Owner", "Runner"]

#: Takes a question, and what is to be called with the answer.
Asked = Callable[[Judge, Callable[[Judged], None]], None]
#: Seconds for a collection: user code runs, but one that takes this long will not come back.
COLLECT_DEADLINE: Final = 900.0
#: Seconds to wait for files to settle: the clock of a file system may be ahead.
LONGEST_SETTLING: Final = 0.05
#: Seconds for `Select`: the expression is matched against every test.
SELECT_DEADLINE: Final = 60.0
#: Launchers whose process here is not the runner: it says itself how much memory it holds.
_ELSEWHERE: Final = ("docker", "ssh")


class Owner(Protocol):
    """What has workers on a runner: a run, on one target."""

    def outcome(self, message: Outcome) -> None:
        """A test has its verdict."""

    def job_completed(self, message: JobCompleted) -> None:
        """A job is through."""

    def worker_exited(self, message: WorkerExited) -> None:
        """A worker is gone."""

    def progress(self, message: Started | Output) -> None:
        """A worker has something to show."""

    def used(self, message: Used) -> None:
        """A worker tells what its tests have used."""

    def runner_lost(self, reason: str) -> None:
        """The runner is gone, and every worker with it."""


class FunctionOwner(Owner, Protocol):
    """What has a worker that calls a function of a workflow."""

    def called(self, message: CallApi) -> None:
        """The function asks for something."""

    def function_ended(self, message: FunctionEnded) -> None:
        """The function has returned, or failed."""


class Runner:
    """A runner from its start to its end. `serve` is its life; everything else may be called while that runs."""

    def __init__(self, spec: Spec, command: Command, mirror: Mirror | None = None, judge: Asked | None = None) -> None:
        """Describe a runner that is yet to start; `mirror` is its copy of the workspace, where it needs one.

        `judge` is given what its workers want to have judged.
        """
        self.spec = spec
        self._judge = judge
        self._mirror = mirror
        self.numbers = count(1)  # of workers, jobs, collections and selections
        self.collections: dict[int, Collection] = {}
        self.catalogue: Collection | None = None  # what was collected, also where nothing can be forked from it
        self.started_at = time.time()
        self.used_at = time.monotonic()
        self.runs = 0
        self.users = 0
        self.private = False  # --fresh: never reused
        self.launch = ""  # the id under which it was started
        self.most_age = 0.0  # seconds after which it goes when nobody uses it; 0: no limit
        self._reported = 0  # KiB that it said it holds, and those while nobody used it
        self._rested = 0
        #: For the next run: what was made anew, if anything, and when (wall clock, ns) that or amending began.
        self.prepared: tuple[Change | None, int] | None = None
        self.refusals: dict[str, None] = {}  # why files had to be loaded anew, until somebody is told
        self.missed = ""  # why a collection that was kept is gone, until somebody is told
        self.lock = anyio.Lock()  # one run at a time looks at freshness and collects
        opening = spec.message() if mirror is None else mirror.opening(spec.message())
        self._process = RunnerProcess(f"runner {spec.target}", command, opening, self)
        self.below = Checkpoints(self._record)
        self._workers: dict[int, Owner] = {}
        self._jobs: dict[int, Owner] = {}
        self._functions: dict[int, FunctionOwner] = {}
        self._commands: dict[int, anyio.Event] = {}
        self._answers: dict[int, Callable[[Message | TestdError], None]] = {}

    # ── its life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def serve(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Start the process, and serve it until it ends or `stop` is called. Raises what `RunnerProcess.serve` does."""
        await self._process.serve(task_status=task_status)

    def stop(self) -> None:
        """End the runner in order; `gone` tells when it is."""
        self._process.stop()

    def kill(self, reason: str) -> None:
        """End a runner that cannot be trusted any more."""
        self._process.kill(reason)

    @property
    def alive(self) -> bool:
        """Whether it can be given work."""
        return self._process.alive

    @property
    def ready(self) -> Ready | None:
        """What it said of itself, once it came up."""
        return self._process.ready

    @property
    def lost(self) -> str:
        """Why it ended, once it has."""
        return self._process.lost

    @property
    def gone(self) -> anyio.Event:
        """Set when nothing of it is left."""
        return self._process.gone

    def ended(self, *, up: bool) -> None:
        """Tell everybody who waits."""
        for answer in list(self._answers.values()):
            answer(ProcessCrashed(self._process.name, None, hint=self.lost))
        if self._mirror is not None:
            self._mirror.heard(ProcessCrashed(self._process.name, None, hint=self.lost))
        if up:
            for owner in {id(owner): owner for owner in self._workers.values()}.values():
                owner.runner_lost(self.lost)
        self._workers.clear()
        self._jobs.clear()
        self._functions.clear()
        for ended in self._commands.values():
            ended.set()
        for collection in self.collections.values():
            collection.lose()

    # ── what it is told ──────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, *messages: Message) -> None:
        """Put messages in the queue. What is said to a runner that is gone is lost, as it would be on the way."""
        if self._mirror is not None:
            messages = tuple(map(self._mirror.outward, messages))
        self._process.send(*messages)

    @property
    def shares_files(self) -> bool:
        """Whether it has the files of the workspace themselves, and no copy of them."""
        return self._mirror is None

    async def flushed(self) -> None:
        """Wait until all that was sent is on its way. Raises ProcessCrashed."""
        await self._process.flushed()

    async def bring_files(self, tell: Tell = tell_nobody) -> bool:
        """Bring the files of a target that shares no disk up to date; False: others use it, and they have changed.

        To be called under the lock. `tell` is told how far it is. Raises FaultError, ProcessCrashed, DeadlineExpired.
        """
        if self._mirror is None:
            return True
        if self.users > 1:
            return await self._mirror.same()
        if not self.alive:
            raise ProcessCrashed(self._process.name, None, hint=self.lost)
        if self.ready is not None:
            self._mirror.root = self.ready.root
        records = {(checkpoint, 0): record for checkpoint, record in self.below.records.items()}
        for collection in self.collections.values():
            records[Checkpoint.COLLECTED, collection.number] = collection.record
        mirrored = {key: record for key, record in records.items() if isinstance(record, MirroredRecord)}
        await self._mirror.update(self, self.numbers, mirrored, tell)
        return True

    @property
    def notices(self) -> list[str]:
        """What a user should know of the files that the target has."""
        return self._mirror.notices if self._mirror is not None else []

    def own_worker(self, number: int, owner: Owner) -> None:
        """Deliver what comes of this worker to its owner."""
        self._workers[number] = owner
        self._update()

    def own_job(self, number: int, owner: Owner) -> None:
        """Deliver the outcomes of this job to its owner."""
        self._jobs[number] = owner

    def own_function(self, worker: int, job: int, owner: FunctionOwner) -> None:
        """Deliver what comes of this worker, whose one job is to call a function, to its owner."""
        self._functions[worker] = owner
        self.own_job(job, owner)
        self.own_worker(worker, owner)

    async def command(self, start: StartCommand, descriptors: tuple[int, ...]) -> None:
        """Have a command's process started, and wait for its end or the runner's. The descriptors are closed."""
        if not self.alive:  # the client hears that its line has closed
            close_all(descriptors)
            return
        ended = self._commands[start.command] = anyio.Event()
        self._update()
        try:
            self._process.send_along(start, descriptors)
            await ended.wait()
        finally:
            del self._commands[start.command]
            self._update()

    async def collect(self, paths: list[str], absolute: tuple[str, ...]) -> Collection:
        """Collect, and return what came of it. Raises FaultError, ProcessCrashed, DeadlineExpired."""
        collection = Collection(next(self.numbers), absolute, self.spec.root)
        collection.record = self._record()
        self.collections[collection.number] = collection
        try:
            await self.ask(
                Collect(collection=collection.number, paths=paths), collection.number, "collecting", COLLECT_DEADLINE
            )
        except BaseException:  # a cancellation too: nobody would take what comes of it
            if self.collections.pop(collection.number, None) is not None:
                self.send(DropCollection(collection=collection.number))
            self._forget_failed()
            raise
        if self._mirror is None and (self.catalogue is None or not _narrower(absolute, self.catalogue.paths)):
            self.catalogue = collection
        return collection

    def _record(self) -> Record:
        """Return a record for what a checkpoint depends on: in a container only the workspace is what it is here."""
        if self._mirror is not None:
            return self._mirror.record()
        return Record(self.spec.root if self.spec.launcher == "docker" else "")

    def _forget_failed(self) -> None:
        """Make the first checkpoint anew that was not reached: neither it nor one above told what it depends on."""
        failed = self.below.unreached()
        if failed is not None and self.alive:
            self.rewind(failed)

    async def select(
        self, collection: Collection, keyword: str, filters: Mapping[str, str] | None = None
    ) -> list[int]:
        """Return the indexes that an expression selects, and filters, which are of cases alone.

        Raises FaultError, ProcessCrashed, DeadlineExpired.
        """
        number = next(self.numbers)
        order = Select(id=number, collection=collection.number, keyword=keyword, filters=dict(filters or {}))
        answer = await self.ask(order, number, "selecting tests", SELECT_DEADLINE)
        assert isinstance(answer, Selected)
        return answer.tests

    async def ask(self, order: Message, number: int, what: str, deadline: float) -> Message:
        """Send an order and wait for its answer. Raises FaultError, ProcessCrashed, DeadlineExpired."""
        answers: list[Message | TestdError] = []
        there = anyio.Event()

        def answer(message: Message | TestdError) -> None:
            answers.append(message)
            there.set()

        if not self.alive:
            raise ProcessCrashed(self._process.name, None, hint=self.lost)
        self._answers[number] = answer
        self._update()
        try:
            self.send(order)
            with anyio.fail_after(deadline):
                await there.wait()
        except TimeoutError:
            self.kill(f"{what} took longer than {deadline:g} s")
            raise DeadlineExpired(what, deadline) from None
        finally:
            del self._answers[number]
            self._update()
        if isinstance(answers[0], TestdError):
            raise answers[0]
        return answers[0]

    def drop(self, collection: Collection) -> None:
        """Let go of a collection, now or when its last user has done so."""
        collection.retired = True
        if not collection.users and self.collections.pop(collection.number, None) is not None:
            collection.lose()
            self.send(DropCollection(collection=collection.number))

    def release(self, collection: Collection) -> None:
        """Say that a run does not use a collection any more."""
        collection.users -= 1
        if collection.retired:
            self.drop(collection)

    # ── freshness ────────────────────────────────────────────────────────────────────────────────────────────────────

    def rewind(self, checkpoint: Checkpoint) -> None:
        """Go back below a checkpoint: it and all above it are made anew when they are next needed."""
        self.below.rewind(checkpoint)
        self._lose_all()
        self.catalogue = None
        started, plugins = checkpoint <= Checkpoint.STARTED, checkpoint <= Checkpoint.PLUGINS
        self.send(DropCollection(collection=0, configured=True, started=started, plugins=plugins))

    async def make_anew(self) -> None:
        """Make anew, before it is known what is to be collected, what files have changed under below that.

        A file that was written just now cannot be told from one that is written next, so that has to be over. To be
        called under the lock.
        """
        await anyio.sleep(min(settling(self.below.changes()), LONGEST_SETTLING))
        stale = self.below.stale()
        if stale is not None and self.alive:
            self.rewind(stale[0])
            self.prepared = stale[1], self.below.began_ns
            self.send(Prepare())
            with contextlib.suppress(ProcessCrashed):
                await self.flushed()

    def take_prepared(self) -> tuple[Change | None, int] | None:
        """Return what `prepared` is: it is taken over."""
        prepared, self.prepared = self.prepared, None
        return prepared

    def take_refusals(self) -> list[str]:
        """Return why files that have changed had to be loaded anew since this was asked for last."""
        refusals, self.refusals = list(self.refusals), {}
        return refusals

    # ── what it says ─────────────────────────────────────────────────────────────────────────────────────────────────

    def heard(self, message: RunnerMessage | Unknown) -> None:
        """Give a message to whom it concerns."""
        if self._mirror is not None:
            message = self._mirror.inward(message)
        match message:
            case Outcome():
                owner = self._jobs.get(message.job)
                if owner is not None:
                    owner.outcome(message)
            case JobCompleted():
                owner = self._jobs.pop(message.job, None)
                if owner is not None:
                    owner.job_completed(message)
            case WorkerExited():
                owner = self._workers.pop(message.worker, None)
                self._functions.pop(message.worker, None)
                if owner is not None:
                    owner.worker_exited(message)
                self._update()
            case CallApi():
                if message.worker in self._functions:
                    self._functions[message.worker].called(message)
            case FunctionEnded():
                if message.worker in self._functions:
                    self._functions[message.worker].function_ended(message)
            case Judge():
                if self._judge is not None:
                    self._judge(message, self.send)
            case CommandEnded():
                if message.command in self._commands:
                    self._commands[message.command].set()
            case Started() | Output():
                owner = self._workers.get(message.worker)
                if owner is not None:
                    owner.progress(message)
            case Used():
                self._used(message)
            case Collected():
                self._collected(message)
            case Dependencies():
                self._depends(message)
            case Selected() | Amended():
                self._answer(message.id, message)
            case FilesWanted() | FilesReceived() | FilesSynced():
                if self._mirror is not None:
                    self._mirror.heard(message)
            case Fault():
                if self._mirror is not None:
                    self._mirror.heard(message)
                self._answer(message.id, fault_error(message))
                if message.code == "lost":
                    self._collection_lost(message)
            case Ping():
                self.send(Pong(id=message.id))
            case Unknown():
                self.send(Unsupported(of=message.type))
            case Modules():
                collection = self.collections.get(message.collection)
                if collection is not None:
                    collection.learn(message)
            case Pong():
                self._reported = message.memory or self._reported
                if not self.users:
                    self._rested = message.memory or self._rested
            case Unsupported() | Ready():
                pass  # heard; that is all there is to it

    def _collected(self, page: Collected) -> None:
        collection = self.collections.get(page.collection)
        if collection is not None:
            collection.add(page)
            if page.done:
                self._answer(page.collection, page)

    def _used(self, message: Used) -> None:
        if message.worker:
            owner = self._workers.get(message.worker)
            if owner is not None:
                owner.used(message)
        else:
            collection = self.collections.get(message.collection)
            if collection is not None:
                collection.shared_code = message

    def _collection_lost(self, fault: Fault) -> None:
        """The process that kept a collection is gone: nothing can be forked from it any more."""
        collection = self.collections.pop(fault.id, None)
        if collection is not None:
            collection.lose()
            self.missed = fault.message

    def _lose_all(self) -> None:
        for collection in self.collections.values():
            collection.lose()
        self.collections.clear()

    def _depends(self, message: Dependencies) -> None:
        checkpoint = Checkpoint[message.checkpoint.upper()]
        if checkpoint is not Checkpoint.COLLECTED:
            self.below.add(checkpoint, message)
            return
        collection = self.collections.get(message.collection)
        if collection is not None:
            collection.record.add(message, collection.began_ns)

    def _answer(self, number: int, message: Message | TestdError) -> None:
        answer = self._answers.get(number)
        if answer is not None:
            answer(message)

    def _update(self) -> None:
        """Tell the process whether there is work."""
        self._process.work(bool(self._workers or self._answers or self._commands))

    def memory(self) -> int:
        """Return what its processes hold, in KiB; of a container or a host, when it was last asked."""
        if not self.alive:
            return 0
        return self._reported if self.spec.launcher in _ELSEWHERE else memory.of_tree(self._process.pid)

    def at_rest(self) -> float:
        """Return which part of its machine's memory its processes hold between runs; 0 where that is not known."""
        if self.spec.launcher not in _ELSEWHERE:
            return self.memory() * 1024 / machine_memory()
        there = self.ready.memory if self.ready is not None else 0
        return self._rested / there if there else 0.0

    def ask_memory(self) -> None:
        """Have a runner in a container or on a host say what it holds."""
        if self.alive and self.spec.launcher in _ELSEWHERE:
            self.send(Ping(id=0))

    def status(self) -> RunnerStatus:
        """Return what `testd status` shows."""
        return RunnerStatus(
            target=self.spec.target,
            state=self._process.state,
            pid=self._process.pid,
            python=self.ready.python if self.ready is not None else "",
            tests=max((len(collection.ids) for collection in self.collections.values()), default=0),
            memory=self.memory(),
            age=time.time() - self.started_at,
        )


def _narrower(paths: Sequence[str], others: Sequence[str]) -> bool:
    """Tell whether a collection of these paths has less than one of the others; none: the framework's default."""
    if not paths or paths == others:
        return False
    return not others or all(any(path.startswith(other.rstrip(os.sep) + os.sep) for other in others) for path in paths)
