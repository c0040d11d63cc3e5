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
from testd_daemon.agent.collection import Collection
from testd_daemon.agent.freshness import Change, Checkpoint, Record, first_change, settling
from testd_daemon.agent.mirror import Mirror, MirroredRecord, Tell, tell_nobody
from testd_daemon.agent.runner_process import RunnerProcess, fault_error
from testd_daemon.agent.spec import Spec
from testd_daemon.config.units import machine_memory
from testd_daemon.errors import DeadlineExpired, ProcessCrashed, TestdError
from testd_daemon.link import close_all
from testd_protocol.framing import Unknown
from testd_protocol.messages import (
    Amend,
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
#: Seconds for `Amend`: files are compiled, and what was made of them is looked for.
AMEND_DEADLINE: Final = 30.0
#: Files that have changed at once, above which it is not tried.
MOST_AMENDED: Final = 20
#: Checkpoints below the collected ones, of which a runner has one each; some kinds of suites have no plugins.
_KEPT: Final = (Checkpoint.STARTED, Checkpoint.PLUGINS, Checkpoint.CONFIGURED)
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
        self._prepared: tuple[Change | None, int] | None = None  # why and when (ns) it was, until a run takes it over
        self.missed = ""  # why a collection that was kept is gone, until somebody is told
        self.lock = anyio.Lock()  # one run at a time looks at freshness and collects
        opening = spec.message() if mirror is None else mirror.opening(spec.message())
        self._process = RunnerProcess(f"runner {spec.target}", command, opening, self)
        self._records = {checkpoint: self._record() for checkpoint in _KEPT}
        self._began_ns = time.time_ns()
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
        records = {(checkpoint, 0): record for checkpoint, record in self._records.items()}
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
            await self._ask_for(
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
        reached = max((checkpoint for checkpoint, record in self._records.items() if len(record)), default=0)
        failed = next((checkpoint for checkpoint in _KEPT if checkpoint > reached), None)
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
        answer = await self._ask_for(order, number, "selecting tests", SELECT_DEADLINE)
        assert isinstance(answer, Selected)
        return answer.tests

    async def _ask_for(self, order: Message, number: int, what: str, deadline: float) -> Message:
        """Send an order and wait for its answer."""
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

    def files(self) -> list[str]:
        """Return what its lower checkpoints have loaded, read or looked for."""
        return [path for record in self._records.values() for path in record.files()]

    def loaded(self) -> Callable[[str], tuple[int, int] | None]:
        """Return what tells modification time (ns) and size of a file as its lower checkpoints now have it, or None."""
        records = list(self._records.values())
        return lambda path: next(filter(None, (record.loaded(path) for record in records)), None)

    def installed(self) -> list[str]:
        """Return the folders of installed modules in which its lower checkpoints have looked."""
        return [path for record in self._records.values() for path in record.installed()]

    def folders(self) -> list[str]:
        """Return the folders that user code has listed in its lower checkpoints."""
        return [path for record in self._records.values() for path in record.folders()]

    def stale(self) -> tuple[Checkpoint, Change] | None:
        """Return the lowest checkpoint below the collected ones that files have changed under."""
        return first_change(self._records)

    def rewind(self, checkpoint: Checkpoint) -> None:
        """Go back below a checkpoint: it and all above it are made anew when they are next needed."""
        for found in _KEPT:
            if found >= checkpoint:
                self._records[found] = self._record()
        self._began_ns = time.time_ns()
        self._lose_all()
        self.catalogue = None
        started, plugins = checkpoint <= Checkpoint.STARTED, checkpoint <= Checkpoint.PLUGINS
        self.send(DropCollection(collection=0, configured=True, started=started, plugins=plugins))

    async def prepare(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Have ready, before it is known what is to be collected, what files have changed under.

        What cannot be amended below the collections is made anew. It has started when what takes longest is under way.
        """
        async with self.lock:
            if self.users or not self.alive:
                task_status.started()
                return
            amended_ns = await self._amend([*self.collections.values()], task_status.started)
            if amended_ns:
                self._prepared = None, amended_ns
            changes = [change for record in self._records.values() for change in record.changes()]
            if changes:
                await self._make_anew(changes)

    async def _make_anew(self, changes: Sequence[Change]) -> None:
        """Begin with what has changed below the collections.

        A file that was written just now cannot be told from one that is written next, so that has to be over.
        """
        await anyio.sleep(min(settling(changes), LONGEST_SETTLING))
        stale = self.stale()
        if stale is not None and self.alive:
            self.rewind(stale[0])
            self._prepared = stale[1], self._began_ns
            self.send(Prepare())
            with contextlib.suppress(ProcessCrashed):
                await self.flushed()

    def take_prepared(self) -> tuple[Change | None, int] | None:
        """Return what changed under what `prepare` has made anew, if anything, and when it began (wall clock, ns)."""
        prepared, self._prepared = self._prepared, None
        return prepared

    async def amend(self, collection: Collection | None = None) -> None:
        """Have code exchanged where that is all that files have changed: below the collections, or in this one.

        To be called under the lock, by the only one who uses it. What cannot be amended is as stale as before, or gone.
        """
        if self.alive and self.users == 1:
            await self._amend([collection] if collection is not None else [])

    async def _amend(self, collections: Sequence[Collection], sent: Callable[[], None] = lambda: None) -> int:
        """Amend *configured*, with all that was collected above it, and collections; `sent` is called meanwhile.

        What they depend on is another record then: who has the old one knows what was loaded before. Returns when the
        files were read (wall clock, ns), 0 where nothing was amended.
        """
        below = self._amendable_below()
        wanted: dict[Collection | None, list[str]] = {}
        if below:
            wanted = {None: below, **dict.fromkeys(self.collections.values(), below)}
        if below is not None:
            for found in collections:
                own = _amendable(found.record)
                if own:
                    wanted[found] = [*wanted.get(found, []), *own]
        moments: list[int] = []
        async with anyio.create_task_group() as asking:
            for collection, paths in wanted.items():
                asking.start_soon(self._amend_one, collection, paths, bool(below), moments)
            await anyio.lowlevel.checkpoint()
            with contextlib.suppress(ProcessCrashed):
                await self.flushed()
            sent()
        return min(moments, default=0)

    async def _amend_one(self, collection: Collection | None, paths: list[str], below: bool, read: list[int]) -> None:
        """Amend one process; `read` gets when. A collection that cannot take what has changed `below` it goes."""
        order = Amend(id=next(self.numbers), collection=collection.number if collection else 0, paths=paths)
        try:
            answer = await self._ask_for(order, order.id, "exchanging functions", AMEND_DEADLINE)
        except TestdError:  # it is told by whoever uses the runner next
            return
        assert isinstance(answer, Amended)
        if not answer.reason:
            read.append(answer.at)
        if collection is None:
            if not answer.reason:
                self._records[Checkpoint.CONFIGURED] = self._records[Checkpoint.CONFIGURED].amended(answer.files)
        elif not answer.reason:
            collection.record = collection.record.amended(answer.files)
        elif below:
            self.drop(collection)

    def _amendable_below(self) -> list[str] | None:
        """Return the Python files that have changed under *configured*; None where that is not all that has changed."""
        if self._mirror is not None or self.spec.launcher == "node" or self.spec.mode != "worker":
            return None
        if any(self._records[checkpoint].change() for checkpoint in (Checkpoint.STARTED, Checkpoint.PLUGINS)):
            return None
        return _amendable(self._records[Checkpoint.CONFIGURED])

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
            self._records[checkpoint].add(message, self._began_ns)
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


def _amendable(record: Record) -> list[str] | None:
    """Return the Python files that have changed under a checkpoint; None where that is not all that has changed."""
    changes = record.changes()
    sources = all(change.endswith(".py") and record.loaded(change) is not None for change in changes)
    return [str(change) for change in changes] if sources and len(changes) <= MOST_AMENDED else None


def _narrower(paths: Sequence[str], others: Sequence[str]) -> bool:
    """Tell whether a collection of these paths has less than one of the others; none: the framework's default."""
    if not paths or paths == others:
        return False
    return not others or all(any(path.startswith(other.rstrip(os.sep) + os.sep) for other in others) for path in paths)
