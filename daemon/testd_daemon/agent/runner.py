"""One runner: its process, its link, its collections. Runs in the agent, on its event loop.

What a runner says is handled as it comes, without a task or an await for each message: a batch of outcomes goes
straight to the run that owns the job. What is said to it goes through a queue that one task empties, so that reading
never waits for writing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Final, Protocol

import anyio
from anyio.abc import TaskStatus

from testd.framing import FrameError
from testd_daemon.agent.collection import Collection
from testd_daemon.agent.freshness import Change, Checkpoint, Record
from testd_daemon.agent.runner_state import TABLE, RunnerEvent, RunnerState
from testd_daemon.agent.spec import Spec
from testd_daemon.errors import DeadlineExpired, FaultError, LinkClosed, ProcessCrashed, TestdError
from testd_daemon.link import Link
from testd_daemon.machine import Machine
from testd_daemon.process import Child, Patience, owned, start
from testd_protocol.framing import ProtocolError, Unknown, decoder, encode
from testd_protocol.messages import (
    Collect,
    Collected,
    Dependencies,
    DropCollection,
    Fault,
    JobCompleted,
    Message,
    Modules,
    Outcome,
    Output,
    Ping,
    Pong,
    Ready,
    RunnerMessage,
    RunnerStatus,
    Select,
    Selected,
    Started,
    Unsupported,
    WorkerExited,
)
from testd_runners.launcher import Command, with_channel

__all__ = ["Owner", "Runner"]

#: Seconds for a runner to start and answer `Configure`; it loads no user code by then.
START_DEADLINE: Final = 30.0
#: Seconds for a collection: user code runs, but one that takes this long will not come back.
COLLECT_DEADLINE: Final = 900.0
#: Seconds for `Select`: the expression is matched against every test.
SELECT_DEADLINE: Final = 60.0
#: Seconds between two pings of a runner that is at work, and how long it may be silent before it is held for dead.
PING_INTERVAL: Final = 5.0
SILENCE_DEADLINE: Final = 30.0
#: Seconds between two reads of a flood of outcomes.
COALESCE: Final = 0.004
#: How long a stop takes at most, per step: an agent that lost its handler is to be gone within two seconds.
PATIENCE: Final = Patience(ask=0.8, term=0.3, kill=2.0)
_decoder = decoder(RunnerMessage)


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

    def runner_lost(self, reason: str) -> None:
        """The runner is gone, and every worker with it."""


class Runner:
    """A runner from its start to its end. `serve` is its life; everything else may be called while that runs."""

    def __init__(self, spec: Spec, command: Command) -> None:
        """Describe a runner that is yet to start."""
        self.spec = spec
        self.numbers = count(1)  # of workers, jobs, collections and selections
        self.collections: dict[int, Collection] = {}
        self.ready: Ready | None = None
        self.started_at = time.time()
        self.used_at = time.monotonic()
        self.runs = 0
        self.users = 0
        self.private = False  # --fresh: never reused
        self.lock = anyio.Lock()  # one run at a time looks at freshness and collects
        self.lost = ""  # why it ended, once it has
        self.gone = anyio.Event()
        self._command = command
        self._machine: Machine[RunnerState, RunnerEvent] = Machine(
            TABLE, RunnerState.STARTING, f"runner {spec.target}"
        )
        self._records = {Checkpoint.STARTED: Record(), Checkpoint.CONFIGURED: Record()}
        self._began_ns = time.time_ns()
        self._child: Child | None = None
        self._scope = anyio.CancelScope()
        self._outbox: list[bytes] = []
        self._outgoing = anyio.Event()
        self._working = anyio.Event()
        self._heard = time.monotonic()
        self._workers: dict[int, Owner] = {}
        self._jobs: dict[int, Owner] = {}
        self._answers: dict[int, Callable[[Message | TestdError], None]] = {}

    # ── its life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def serve(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Start the process, configure it, and serve it until it ends or `stop` is called.

        Raises ProcessCrashed, DeadlineExpired, FaultError or OSError if it does not come up; never afterwards.
        """
        near, far = socket.socketpair()
        up = False
        problem: TestdError | None = None
        try:
            with far:
                child = self._child = self._spawn(far.fileno())
            with self._scope:
                # The link is closed before the child is waited for: to a runner that means "end with all you started".
                async with owned(child, ask=_ask_nothing, patience=PATIENCE), Link(near, _decoder, COALESCE) as link:
                    self._machine.advance(RunnerEvent.SPAWNED)
                    problem = await self._configure(link, child)
                    if problem is None:
                        self._machine.advance(RunnerEvent.CONFIGURED)
                        up = True
                        task_status.started()
                        await self._attend(link, child)
        finally:
            near.close()
            self._end(up=up)
        if not up:
            raise problem or ProcessCrashed(child.name, child.status, state="starting", stderr=child.stderr.text)

    def stop(self) -> None:
        """End the runner in order; `gone` tells when it is."""
        if self._machine.allows(RunnerEvent.STOP):
            self._machine.advance(RunnerEvent.STOP)
            self.lost = self.lost or "it was stopped"
            self._scope.cancel()

    def kill(self, reason: str) -> None:
        """End a runner that cannot be trusted any more."""
        self.lost = self.lost or reason
        self.stop()

    @property
    def alive(self) -> bool:
        """Whether it can be given work."""
        return self._machine.state in (RunnerState.READY, RunnerState.BUSY)

    def _spawn(self, descriptor: int) -> Child:
        command = self._command
        return start(
            with_channel(command, descriptor),
            name=f"runner {self.spec.target}",
            env=command.env,
            cwd=command.cwd,
            pass_fds=[descriptor],
            stderr=subprocess.PIPE,
        )

    async def _configure(self, link: Link[RunnerMessage], child: Child) -> TestdError | None:
        """Go through the handshake; return what went wrong, for an exception would be grouped on its way out."""
        try:
            with anyio.fail_after(START_DEADLINE):
                await link.send(self.spec.message())
                while self.ready is None:
                    for message in await link.receive():
                        if isinstance(message, Fault):
                            return _fault(message)
                        if isinstance(message, Ready):
                            self.ready = message
                        else:
                            self._handle(message)
        except TimeoutError:
            return DeadlineExpired("the start of a runner", START_DEADLINE, detail=child.stderr.text)
        except (LinkClosed, ProtocolError, FrameError) as error:
            status = await self._status(child)
            detail = child.stderr.text or f"{' '.join(self._command.argv)}\n{error}"
            return ProcessCrashed(child.name, status, state="starting", stderr=detail)
        return None

    async def _attend(self, link: Link[RunnerMessage], child: Child) -> None:
        """Read, write and ping until the link ends, and note why it did."""
        problem: Exception | None = None

        async def until_closed(work: Callable[[Link[RunnerMessage]], Awaitable[None]]) -> None:
            nonlocal problem
            try:
                await work(link)
            except (LinkClosed, ProtocolError, FrameError) as error:
                problem = problem or error
                tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(until_closed, self._write)
            tasks.start_soon(until_closed, self._read)
            tasks.start_soon(self._ping)
        status = await self._status(child)
        _sweep(child.pid)
        crash = ProcessCrashed(child.name, status, state=self._machine.state.value, stderr=child.stderr.text)
        what = str(crash) if isinstance(problem, LinkClosed) else f"{child.name}: {problem}"
        self.lost = self.lost or "\n".join(filter(None, (what, crash.stderr)))

    async def _read(self, link: Link[RunnerMessage]) -> None:
        while True:
            messages = await link.receive()
            self._heard = time.monotonic()
            for message in messages:
                self._handle(message)

    async def _write(self, link: Link[RunnerMessage]) -> None:
        while True:
            await self._outgoing.wait()
            self._outgoing = anyio.Event()
            frames, self._outbox = b"".join(self._outbox), []
            await link.send_frames(frames)

    async def _ping(self) -> None:
        """Ping while there is work; a runner never runs user code itself, so silence means that it is broken."""
        while True:
            await self._working.wait()
            self._heard = time.monotonic()
            while self._working.is_set():
                await anyio.sleep(PING_INTERVAL)
                silent = time.monotonic() - self._heard
                if silent > SILENCE_DEADLINE:
                    self.kill(f"the runner gave no answer for {silent:.0f} s")
                self.send(Ping(id=next(self.numbers)))

    async def _status(self, child: Child) -> int | None:
        with anyio.move_on_after(PATIENCE.ask):
            return await child.wait()
        return child.status

    def _end(self, *, up: bool) -> None:
        """Tell everybody who waits."""
        if not self._machine.final:
            self._machine.advance(RunnerEvent.END)
        self.lost = self.lost or "it ended"
        for answer in list(self._answers.values()):
            answer(ProcessCrashed(f"runner {self.spec.target}", None, hint=self.lost))
        if up:
            for owner in {id(owner): owner for owner in self._workers.values()}.values():
                owner.runner_lost(self.lost)
        self._workers.clear()
        self._jobs.clear()
        self.gone.set()

    # ── what it is told ──────────────────────────────────────────────────────────────────────────────────────────────

    def send(self, *messages: Message) -> None:
        """Put messages in the queue. What is said to a runner that is gone is lost, as it would be on the way."""
        self._outbox += [encode(message) for message in messages]
        self._outgoing.set()

    def own_worker(self, number: int, owner: Owner) -> None:
        """Deliver what comes of this worker to its owner."""
        self._workers[number] = owner
        self._update()

    def own_job(self, number: int, owner: Owner) -> None:
        """Deliver the outcomes of this job to its owner."""
        self._jobs[number] = owner

    async def collect(self, paths: list[str], absolute: tuple[str, ...]) -> Collection:
        """Collect, and return what came of it. Raises FaultError, ProcessCrashed, DeadlineExpired."""
        collection = Collection(next(self.numbers), absolute, self.spec.root)
        self.collections[collection.number] = collection
        try:
            await self._ask_for(
                Collect(collection=collection.number, paths=paths), collection.number, "collecting", COLLECT_DEADLINE
            )
        except BaseException:
            self.collections.pop(collection.number, None)
            self._forget_failed()
            raise
        return collection

    def _forget_failed(self) -> None:
        """Make a checkpoint anew that was not reached: it did not tell what it depends on."""
        failed = next((checkpoint for checkpoint, record in self._records.items() if not len(record)), None)
        if failed is not None and self.alive:
            self.rewind(failed)

    async def select(self, collection: Collection, keyword: str) -> list[int]:
        """Return the indexes that an expression selects. Raises FaultError, ProcessCrashed, DeadlineExpired."""
        number = next(self.numbers)
        order = Select(id=number, collection=collection.number, keyword=keyword)
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
            raise ProcessCrashed(f"runner {self.spec.target}", None, hint=self.lost)
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
            self.send(DropCollection(collection=collection.number))

    def release(self, collection: Collection) -> None:
        """Say that a run does not use a collection any more."""
        collection.users -= 1
        if collection.retired:
            self.drop(collection)

    # ── freshness ────────────────────────────────────────────────────────────────────────────────────────────────────

    def stale(self) -> tuple[Checkpoint, Change] | None:
        """Return the lowest of *started* and *configured* that files have changed under."""
        for checkpoint, record in self._records.items():
            change = record.change()
            if change is not None:
                return checkpoint, change
        return None

    def rewind(self, checkpoint: Checkpoint) -> None:
        """Go back below a checkpoint: it and all above it are made anew when they are next needed."""
        for found in Checkpoint.STARTED, Checkpoint.CONFIGURED:
            if found >= checkpoint:
                self._records[found] = Record()
        self._began_ns = time.time_ns()
        self.collections.clear()
        self.send(DropCollection(collection=0, configured=True, started=checkpoint is Checkpoint.STARTED))

    # ── what it says ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _handle(self, message: RunnerMessage | Unknown) -> None:
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
                if owner is not None:
                    owner.worker_exited(message)
                self._update()
            case Started() | Output():
                owner = self._workers.get(message.worker)
                if owner is not None:
                    owner.progress(message)
            case Collected():
                self._collected(message)
            case Dependencies():
                self._depends(message)
            case Selected():
                self._answer(message.id, message)
            case Fault():
                self._answer(message.id, _fault(message))
            case Ping():
                self.send(Pong(id=message.id))
            case Unknown():
                self.send(Unsupported(of=message.type))
            case Pong() | Modules() | Unsupported() | Ready():
                pass  # heard; that is all there is to it

    def _collected(self, page: Collected) -> None:
        collection = self.collections.get(page.collection)
        if collection is not None:
            collection.add(page)
            if page.done:
                self._answer(page.collection, page)

    def _depends(self, message: Dependencies) -> None:
        match message.checkpoint:
            case "started":
                self._records[Checkpoint.STARTED].add(message, self._began_ns)
            case "configured":
                self._records[Checkpoint.CONFIGURED].add(message, self._began_ns)
            case "collected":
                collection = self.collections.get(message.collection)
                if collection is not None:
                    collection.record.add(message, collection.began_ns)

    def _answer(self, number: int, message: Message | TestdError) -> None:
        answer = self._answers.get(number)
        if answer is not None:
            answer(message)

    def _update(self) -> None:
        """Follow what is going on in the state and the pings."""
        working = bool(self._workers or self._answers)
        if working and self._machine.allows(RunnerEvent.WORK):
            self._machine.advance(RunnerEvent.WORK)
            self._working.set()
        elif not working and self._machine.allows(RunnerEvent.IDLE):
            self._machine.advance(RunnerEvent.IDLE)
            self._working = anyio.Event()

    def status(self) -> RunnerStatus:
        """Return what `testd status` shows."""
        return RunnerStatus(
            target=self.spec.target,
            state=self._machine.state.value,
            pid=self._child.pid if self._child is not None else 0,
            python=self.ready.python if self.ready is not None else "",
            tests=max((len(collection.ids) for collection in self.collections.values()), default=0),
            memory=_resident(self._child.pid) if self._child is not None and self.alive else 0,
            age=time.time() - self.started_at,
        )


def _fault(message: Fault) -> FaultError:
    return FaultError(
        message.code, message.message, hint=message.hint, detail=message.detail, exit_code=message.exit_code
    )


def _sweep(session: int) -> None:
    """Kill and reap what a runner that was killed has left: its orphans are ours, and still in its session."""
    try:
        texts = [(task / "children").read_text("ascii") for task in Path("/proc/self/task").iterdir()]
    except OSError:  # no such files: the stems end by themselves when their channels close
        return
    for pid in map(int, " ".join(texts).split()):
        with contextlib.suppress(ProcessLookupError, PermissionError, ChildProcessError):
            if os.getsid(pid) == session:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


async def _ask_nothing() -> None:
    """Closing the link has asked already."""


def _resident(pid: int) -> int:
    """Return the memory of a process and all below it in KiB: pages that are shared do not count."""
    import psutil  # 40 ms, and only who asks for it needs it

    total = 0
    try:
        process = psutil.Process(pid)
        for found in (process, *process.children(recursive=True)):
            memory = found.memory_info()
            total += memory.rss - getattr(memory, "shared", 0)
    except psutil.Error:
        return total // 1024
    return total // 1024
