"""One run on one target: performs what its scheduler decides, and tells it what the runner says. Runs in the agent.

Everything here is synchronous: messages come in from the runner's reader and go out through its queue, and what the
user is to see goes to the reporter. `wake` tells the run's task that something needs it.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Literal

import anyio
import msgspec

from testd_daemon.agent.actions import Action, Assign, Complete, Exit, Finish, Settle, Start, Stop
from testd_daemon.agent.affected import Told
from testd_daemon.agent.collection import Collection
from testd_daemon.agent.history import TestRecord
from testd_daemon.agent.plan import Plan
from testd_daemon.agent.reporter import Sink
from testd_daemon.agent.runner import Runner
from testd_daemon.agent.scheduler import Scheduler, State
from testd_daemon.agent.spans import WorkerClock
from testd_daemon.agent.verdicts import explain, hung_in
from testd_daemon.errors import Bug
from testd_protocol.messages import (
    Detail,
    FinishWorker,
    JobCompleted,
    Message,
    Notice,
    Outcome,
    Output,
    Row,
    RunJob,
    Started,
    StartWorker,
    StopWorker,
    Used,
    WorkerExited,
)

__all__ = ["Limits", "TargetRun"]

#: Seconds that a worker gets to stop when a run is cancelled, its teardown included.
GRACE = 1.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What every worker of a run is told."""

    run: str
    stream: bool = False
    update_snapshots: bool = False
    timeout: float = 0.0
    job_timeout: float = 0.0
    memory_limit: int = 0
    workers: int = 1
    maxfail: int = 0
    documents: bool = False
    record: bool = True


class TargetRun:
    """The owner of a run's workers on one target."""

    def __init__(self, target: str, plan: Plan, scheduler: Scheduler, reporter: Sink, limits: Limits) -> None:
        """Carry out `plan`; `attach` gives it a runner."""
        self.plan = plan
        self.records: list[TestRecord] = []
        self.told: list[Told] = []  # what tests have used
        self.clock = WorkerClock()
        self.wake = anyio.Event()
        self.done = False
        self.broken = False  # a worker's session did not come to its end: whatever the verdicts, this is no success
        self.reason = ""
        self._target = target
        self._scheduler = scheduler
        self._reporter = reporter
        self._limits = limits
        self._runner: Runner | None = None
        self._collection: Collection | None = None
        self._alone = False
        self._index: Sequence[int] = ()  # position → index in the runner's collection
        self._position: dict[int, int] = {}
        self._slots: dict[int, int] = {}
        self._cancelled: list[str] = []
        self._valid: Container[str] = ()  # once it is superseded

    @property
    def stopping(self) -> bool:
        """Whether what is left is only the end of its workers."""
        return self._scheduler.state is State.STOPPING

    @property
    def stranded(self) -> bool:
        """Whether it needs another runner."""
        return self._scheduler.state is State.STRANDED

    def attach(self, runner: Runner, collection: Collection, index: Sequence[int], *, alone: bool) -> None:
        """Begin, or go on, on this runner. `index` has each position's index in the collection, -1 for none."""
        self._runner, self._collection, self._index, self._alone = runner, collection, index, alone
        self._position = {found: position for position, found in enumerate(index) if found >= 0}
        if self._scheduler.state is State.NEW:
            self._perform(self._scheduler.begin())
        else:
            gone = [position for position in self.plan.unsettled() if index[position] < 0]
            self._perform(self._scheduler.missing(gone, "the test was not found when its file was collected again"))
            self._perform(self._scheduler.resume())
        if runner.gone.is_set() and not self.done:  # it ended before it knew whom to tell
            self.runner_lost(runner.lost)

    @property
    def under_way(self) -> list[str]:
        """The tests whose outcomes would come if it were superseded and all of these were valid."""
        return [self.plan.ids[position] for position in self._scheduler.under_way]

    @property
    def going_on(self) -> list[str]:
        """The tests that were superseded and whose outcomes come nevertheless."""
        return [test for test in self.under_way if test in self._valid] if self.lingering else []

    @property
    def unfinished(self) -> list[str]:
        """The tests that have no outcome and get none."""
        going_on = set(self.going_on)
        left = [test for test in map(self.plan.ids.__getitem__, self.plan.unsettled()) if test not in going_on]
        return [*self._cancelled, *left]

    @property
    def lingering(self) -> bool:
        """Whether nothing is left but long tests that were superseded and are valid."""
        return self._scheduler.lingering

    def supersede(self, reason: str, valid: Container[str]) -> None:
        """Stop, but let workers come to the end of the long tests that they are in, if these are valid."""
        self._valid = valid
        positions = [position for position in self._scheduler.under_way if self.plan.ids[position] in valid]
        self._perform(self._scheduler.supersede(reason, positions))
        self.wake.set()

    def cancel(self, reason: str) -> None:
        """Stop; what has not run is cancelled."""
        self._perform(self._scheduler.cancel(reason))
        self.wake.set()

    def widen(self, workers: int) -> None:
        """Have more workers than before."""
        self._perform(self._scheduler.widen(workers))

    def give_up(self, reason: str) -> None:
        """Nothing can run the rest."""
        self._perform(self._scheduler.give_up(reason))
        self.wake.set()

    # ── what the runner says ─────────────────────────────────────────────────────────────────────────────────────────

    def outcome(self, message: Outcome) -> None:
        """A test has its verdict."""
        position = self._position.get(message.test, -1)
        slot = self._scheduler.slot_of(message.job)
        try:
            actions = self._scheduler.outcome(message.job, position, message.verdict)
        except (Bug, IndexError) as error:
            self._reporter.event(Notice(level="error", text=f"an outcome was ignored: {error}", target=self._target))
            return
        self.clock.outcome(message.duration)
        self._report(position, message.verdict, message.duration, message.memory, slot, message.detail)
        if actions:
            self._perform(actions)

    def job_completed(self, message: JobCompleted) -> None:
        """A job is through."""
        self._scheduler.job_completed(message.job)

    def worker_exited(self, message: WorkerExited) -> None:
        """A worker is gone."""
        self.clock.exited()
        slot = self._slots.pop(message.worker, 0)
        position = self._position.get(message.test) if message.test >= 0 else None
        end = Exit(
            completed=message.completed, position=position, cause=message.cause, status=message.status,
            signal=message.signal, seconds=message.seconds, memory=message.memory, stderr=message.stderr,
            stacks=message.stacks,
        )  # fmt: skip
        if message.cause == "timeout" or (not message.completed and not self.stopping and message.cause != "lost"):
            self._note_end(message, slot, position)
        drifting = self._scheduler.adrift
        self._perform(self._scheduler.worker_exited(message.worker, end))
        if self._scheduler.adrift and not drifting:
            self._notice("warning", "a process of the runner ended; the rest is collected again", end.stderr)
        if self.stranded or self.lingering:
            self.wake.set()

    def _note_end(self, message: WorkerExited, slot: int, position: int | None) -> None:
        """Say that a worker ended where no test is to blame: between two tests, or in the end of its session."""
        if position is not None and self.plan.is_open(position):
            return
        detail = "\n".join(filter(None, (message.stderr, message.stacks.rstrip())))
        if message.completed:
            text = f"exit functions of worker {slot + 1} did not end{hung_in(message.stacks)}: it was killed"
            self._notice("warning", text, detail)
            return
        worker = f"worker {slot + 1} ended"
        if self._scheduler.has_open(message.worker):
            self._notice("warning", f"{worker} between two tests ({_how(message)}); another one goes on", detail)
            return
        self.broken = True
        text = f"{worker} after its last test, before its session was torn down ({_how(message)}): the run has failed"
        if message.cause == "timeout":
            text = (
                f"the end of worker {slot + 1}'s session took longer than {message.seconds:.0f} s"
                f"{hung_in(message.stacks)}: it was killed, and the run has failed"
            )
        self._notice("error", text, detail)

    def _notice(self, level: Literal["warning", "error"], text: str, detail: str) -> None:
        self._reporter.event(Notice(level=level, text=text, target=self._target, detail=detail))

    def progress(self, message: Started | Output) -> None:
        """A worker has something to show."""
        position = self._position.get(message.test, -1) if isinstance(message.test, int) else -1
        if isinstance(message, Started) and (position < 0 or not self.plan.is_open(position)):
            return  # it was looked at between its outcome and what came next
        if isinstance(message, Started):
            self._scheduler.started(message.worker, position)
        name = self.plan.ids[position] if position >= 0 else ""
        slot = self._slots.get(message.worker, 0)
        self._reporter.event(msgspec.structs.replace(message, test=name, worker=slot, target=self._target))

    def used(self, message: Used) -> None:
        """A worker tells what its tests have used."""
        if self._collection is not None and self._collection.number == message.collection:
            self.told.append(Told(self._collection, message))

    def runner_lost(self, reason: str) -> None:
        """The runner is gone, and every worker with it."""
        self._slots.clear()
        self._notice("warning", "the runner ended; its tests go on in another one", reason)
        self._perform(self._scheduler.runner_lost(f"the runner ended: {reason}"))
        self.wake.set()

    # ── what the scheduler wants ─────────────────────────────────────────────────────────────────────────────────────

    def _perform(self, actions: Iterable[Action]) -> None:
        messages: list[Message] = []
        for action in actions:
            match action:
                case Start():
                    messages.append(self._start(action))
                case Assign():
                    messages.append(self._assign(action))
                case Finish():
                    messages.append(FinishWorker(worker=action.worker))
                case Stop():
                    messages.append(StopWorker(worker=action.worker, grace=GRACE, patient=action.patient))
                    self.wake.set()
                case Settle():
                    self._settle(action)
                case Complete():
                    self.done, self.reason = True, action.reason
                    self.wake.set()
        if messages and self._runner is not None:
            self._runner.send(*messages)

    def _start(self, action: Start) -> StartWorker:
        assert self._runner is not None
        assert self._collection is not None
        self.clock.started()
        self._slots[action.worker] = action.slot
        self._runner.own_worker(action.worker, self)
        limits = self._limits
        paths: list[str] = []
        if self._alone:
            paths = list(dict.fromkeys(self._collection.path_of(self.plan.ids[test]) for test in action.first))
        return StartWorker(
            worker=action.worker, collection=self._collection.number, stream=limits.stream,
            update_snapshots=limits.update_snapshots, timeout=limits.timeout, job_timeout=limits.job_timeout,
            workers=limits.workers, paths=paths, run=limits.run, maxfail=limits.maxfail,
            place=action.slot, documents=limits.documents, record=limits.record,
        )  # fmt: skip

    def _assign(self, action: Assign) -> RunJob:
        assert self._runner is not None
        self._runner.own_job(action.job, self)
        tests = [self._index[position] for position in action.tests]
        ids = [self.plan.ids[position] for position in action.tests] if self._alone else []
        return RunJob(job=action.job, worker=action.worker, tests=tests, ids=ids)

    def _settle(self, action: Settle) -> None:
        limits = self._limits
        detail = explain(
            action, timeout=limits.timeout, job_timeout=limits.job_timeout, memory_limit=limits.memory_limit
        )
        seconds, memory = (action.exit.seconds, action.exit.memory) if action.exit is not None else (0.0, 0)
        self._report(action.position, action.verdict, seconds, memory, action.slot, detail)

    def _report(
        self, position: int, verdict: str, duration: float, memory: int, slot: int, detail: Detail | None
    ) -> None:
        test = self.plan.ids[position]
        if self.lingering and test not in self._valid:
            return  # it runs again beside
        self._reporter.row(Row(test, self._target, verdict, duration, memory, slot, detail))  # type: ignore[arg-type]  # a Verdict
        if verdict == "cancelled":
            self._cancelled.append(test)
        else:
            self.records.append(TestRecord(test, verdict, duration, detail.message if detail is not None else ""))


def _how(message: WorkerExited) -> str:
    if message.cause in ("timeout", "memory"):
        return message.cause
    if message.signal:
        return f"signal {message.signal}"
    return message.cause if message.status is None else f"status {message.status}"
