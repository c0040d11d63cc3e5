"""Who runs what next, on one target in one run: events in, actions out. Pure; runs in the agent.

Jobs wait in one queue, in the order in which `jobs.py` cut them. A worker is given its next job shortly before it needs
it: it runs the last test of a job only when it knows which one follows (the framework tears down fixtures by that), and
the later a job is given out, the better the workers end together. A worker that dies costs the test that ran, never the
others: they go back to the front of the queue.

    events       begin, outcome, job_completed, worker_exited, runner_lost, resume, supersede, cancel
    actions      Start, Assign, Finish, Stop, Settle, Complete
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Container, Iterable, Iterator, Sequence
from enum import Enum, auto
from itertools import count
from typing import Final

from testd_daemon.agent.actions import Action, Assign, Complete, Exit, Finish, Settle, Start, Stop
from testd_daemon.agent.jobs import Durations
from testd_daemon.agent.plan import BAD, Plan
from testd_daemon.errors import Bug
from testd_daemon.machine import Machine

__all__ = ["Event", "Scheduler", "State"]

#: Seconds of work that a worker should have ahead of it; more would be work that no other worker can take.
AHEAD: Final = 0.1
#: No more than this part of an even share of the run: in a short one a worker would take everything at its start.
AHEAD_SHARE: Final = 0.25
#: Workers that die one after the other without getting anywhere, before the rest of the run is given up.
FUTILE_STARTS: Final = 3
#: Runners, or collections of theirs, that are lost in a row without an outcome before the rest of a run is given up.
LOSSES: Final = 4
#: How often a test may be the one that ran when a runner died before it is held to be the cause.
SUSPICIONS: Final = 2


class State(Enum):
    """What the run is about on this target."""

    NEW = auto()
    RUNNING = auto()
    STRANDED = auto()  # its runner is gone, the next one is not there yet
    STOPPING = auto()
    DONE = auto()


class Event(Enum):
    """What moves it on."""

    BEGIN = auto()
    LOSE_RUNNER = auto()
    RESUME = auto()
    STOP = auto()
    END = auto()


TABLE = {
    State.NEW: {Event.BEGIN: State.RUNNING, Event.STOP: State.STOPPING},
    State.RUNNING: {Event.LOSE_RUNNER: State.STRANDED, Event.STOP: State.STOPPING, Event.END: State.DONE},
    State.STRANDED: {Event.RESUME: State.RUNNING, Event.STOP: State.STOPPING},
    State.STOPPING: {Event.STOP: State.STOPPING, Event.LOSE_RUNNER: State.STOPPING, Event.END: State.DONE},
    State.DONE: {},
}


class _Worker:
    """One worker process, from its start to its exit."""

    __slots__ = ("ahead", "bad", "finishing", "jobs", "lingers", "long", "number", "open", "settled", "slot")

    def __init__(self, number: int, slot: int) -> None:
        self.number = number
        self.slot = slot
        self.jobs: deque[tuple[int, Sequence[int]]] = deque()
        self.open = 0  # tests that were given and have no outcome
        self.ahead = 0.0  # seconds that these are expected to take
        self.settled = 0
        self.bad = 0
        self.finishing = False
        self.long = -1  # the last test that it is known to be in for a while
        self.lingers = False  # it stops behind that test


class Scheduler:
    """The decisions of one run on one target."""

    def __init__(
        self,
        plan: Plan,
        jobs: Iterable[Sequence[int]],
        durations: Durations,
        *,
        workers: int,
        maxfail: int = 0,
        single: bool = False,
        numbers: Iterator[int] | None = None,
    ) -> None:
        """Schedule these jobs on at most so many workers at once.

        `single` gives each worker one job (mode bin). `numbers` are the numbers of workers and jobs, unique on the
        runner.
        """
        self._plan = plan
        self._queue = deque(tuple(job) for job in jobs)
        self._durations = durations
        self._limit = max(1, workers)
        self._ahead = min(AHEAD, AHEAD_SHARE * sum(map(self._weight, self._queue)) / self._limit)
        self._maxfail = maxfail
        self._single = single
        self._numbers = count(1) if numbers is None else numbers
        self._machine = Machine(TABLE, State.NEW, "schedule")
        self._workers: dict[int, _Worker] = {}
        self._job_worker: dict[int, _Worker] = {}
        self._futile = 0
        self._losses = 0
        self._progressed = False  # since the last loss
        self._adrift = ""  # why no worker can be started any more, until `resume`
        self._suspects: Counter[int] = Counter()
        self.reason = ""

    @property
    def state(self) -> State:
        """The present state."""
        return self._machine.state

    @property
    def workers(self) -> dict[int, int]:
        """The slot of every worker that has not exited."""
        return {worker.number: worker.slot for worker in self._workers.values()}

    def has_open(self, number: int) -> bool:
        """Tell whether a worker has tests without an outcome."""
        worker = self._workers.get(number)
        return worker is not None and any(self._open_tests(tests) for _, tests in worker.jobs)

    def started(self, number: int, position: int) -> None:
        """A worker has been in a test for a while. The outcomes of those before it are on their way."""
        if number in self._workers:
            self._workers[number].long = position

    @property
    def under_way(self) -> list[int]:
        """The open tests whose outcomes come if workers stop behind the long tests that they are in."""
        return [test for worker in self._workers.values() for test in self._under_way(worker)]

    @property
    def lingering(self) -> bool:
        """Whether nothing is left but workers that stop behind the long tests that they are in."""
        return (
            self.state is State.STOPPING
            and bool(self._workers)
            and all(worker.lingers for worker in self._workers.values())
        )

    def slot_of(self, job: int) -> int:
        """Return the slot of the worker that has a job."""
        worker = self._job_worker.get(job)
        return worker.slot if worker is not None else 0

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def begin(self) -> list[Action]:
        """The runner is there and warm."""
        self._machine.advance(Event.BEGIN)
        return self._fill()

    def outcome(self, job: int, position: int, verdict: str) -> Sequence[Action]:
        """A worker reported a verdict. Raises Bug for a test that is not open, or a job that nobody has."""
        worker = self._job_worker.get(job)
        if worker is None:
            raise Bug(f"{self._plan.ids[position]}: an outcome of job {job}, which no worker has")
        if position < 0:
            raise Bug(f"an outcome of job {job} for a test that is not in the plan")
        self._plan.settle(position, verdict)
        self._progressed = True
        worker.open -= 1
        worker.settled += 1
        worker.ahead -= self._durations.of(self._plan.ids[position])
        if verdict in BAD:
            worker.bad += 1
            if self._maxfail and self._plan.bad >= self._maxfail and self.state is State.RUNNING:
                return self._stop(f"stopped after {self._plan.bad} failure{'s' * (self._plan.bad != 1)}", worker)
        if position in self._suspects and self.state is State.RUNNING and not self._suspected():
            return [] if self._adrift else self._fill()
        if not worker.finishing and (worker.ahead < self._ahead or worker.open <= 1):
            return self._feed(worker)
        return ()

    def job_completed(self, job: int) -> None:
        """A worker is through with a job. What the job left without an outcome stays with the worker until it exits."""
        worker = self._job_worker.get(job)
        if worker is not None and not any(self._plan.is_open(position) for position in self._tests(worker, job)):
            worker.jobs = deque(pair for pair in worker.jobs if pair[0] != job)
            del self._job_worker[job]

    def worker_exited(self, number: int, exit: Exit) -> list[Action]:  # noqa: A002 - the field's word
        """A worker is gone."""
        worker = self._workers.pop(number, None)
        if worker is None:
            return []
        jobs = self._take_back(worker)
        if self.state is State.STOPPING:
            return self._end_if_idle()
        actions: list[Action] = []
        if exit.cause == "lost":
            return self._part(worker, exit, jobs)
        if exit.completed:
            if jobs:
                return self._stop("the test session was stopped from inside", None)
        else:
            actions += self._blame(worker, exit)
            if self._futile >= FUTILE_STARTS:
                return [*actions, *self._give_up(f"{FUTILE_STARTS} workers in a row ended before any test", exit)]
        self._requeue(jobs)
        return [*actions, *self._fill()]

    def _part(self, worker: _Worker, exit: Exit, jobs: list[Sequence[int]]) -> list[Action]:  # noqa: A002
        """A worker ended with the process that it was forked from, as all others will: nothing starts before that."""
        self._adrift = (exit.stderr or "the runner has lost what it had collected").strip().rpartition("\n")[2]
        actions: list[Action] = []
        if exit.position is not None and self._plan.is_open(exit.position):
            actions += self._suspect(exit.position, worker.slot, self._adrift)
        self._requeue(jobs)
        return [*actions, *self._strand()]

    def _suspect(self, position: int, slot: int, reason: str) -> list[Action]:
        """Note which test ran when more than its worker ended. It goes again, but not time after time."""
        self._suspects[position] += 1
        if self._suspects[position] < SUSPICIONS or self.state is not State.RUNNING:
            return []
        return [self._settle(position, "crashed", slot, reason=reason)]

    def _strand(self) -> list[Action]:
        """Ask for another collection once the last worker is gone, if there is anything left to do."""
        if self._workers:
            return []
        if not any(self._open_tests(job) for job in self._queue):
            self._queue.clear()
            return self._end_if_idle()
        self._machine.advance(Event.LOSE_RUNNER)
        return self._lose(self._adrift)

    def _lose(self, reason: str) -> list[Action]:
        """Give up when loss follows loss and no worker has reported an outcome in between."""
        self._losses = 1 if self._progressed else self._losses + 1
        self._progressed = False
        return self._give_up(f"{self._losses} times in a row: {reason}", None) if self._losses >= LOSSES else []

    def runner_lost(self, reason: str) -> list[Action]:
        """The runner and with it every worker is gone. What follows is `resume` on another one, or `cancel`."""
        if self.state in (State.DONE, State.NEW):
            return []
        actions: list[Action] = []
        jobs: list[Sequence[int]] = []
        for worker in self._workers.values():
            running = next((test for _, job in worker.jobs for test in job if self._plan.is_open(test)), None)
            if running is not None:
                actions += self._suspect(running, worker.slot, reason)
            jobs += self._take_back(worker)
        self._workers.clear()
        self._machine.advance(Event.LOSE_RUNNER)
        if self.state is State.STOPPING:
            return self._end_if_idle()
        self._requeue(jobs)
        return [*actions, *self._lose(reason)]

    def resume(self) -> list[Action]:
        """Another runner has taken the place of the lost one."""
        self._machine.advance(Event.RESUME)
        self._adrift = ""
        self._isolate()
        return self._fill()

    def missing(self, positions: Iterable[int], reason: str) -> list[Action]:
        """Settle tests that the present collection does not have."""
        return [self._settle(position, "error", 0, reason=reason) for position in positions]

    def cancel(self, reason: str) -> list[Action]:
        """The client does not want the rest."""
        if self.state is State.STOPPING:
            return self._hurry(())
        return [] if self.state is State.DONE else self._stop(reason, None)

    def supersede(self, reason: str, valid: Container[int]) -> list[Action]:
        """What has not begun is for another run, and who is in a long test that is not `valid` is stopped."""
        if self.state is State.STOPPING:
            return self._hurry(valid)
        return [] if self.state is State.DONE else self._stop(reason, None, valid)

    def _hurry(self, valid: Container[int]) -> list[Action]:
        """Wait no longer for tests that are not among these."""
        actions: list[Action] = []
        for worker in self._workers.values():
            if worker.lingers and worker.long not in valid:
                worker.lingers = False
                actions.append(Stop(worker.number))
        return actions

    def widen(self, workers: int) -> list[Action]:
        """There is room for more workers than before. There is never less: who works is not sent away."""
        if workers <= self._limit:
            return []
        self._limit = workers
        return self._fill() if self.state is State.RUNNING and self._queue and not self._adrift else []

    @property
    def adrift(self) -> str:
        """Why another collection is needed, empty where it is not."""
        return self._adrift

    def give_up(self, reason: str) -> list[Action]:
        """Nothing can run the rest: settle it as errors."""
        return self._give_up(reason, None)

    # ── decisions ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _fill(self) -> list[Action]:
        """Give work to workers that have none left, and start workers for the rest of the queue."""
        if self._adrift:
            return self._strand()
        actions: list[Action] = []
        for worker in list(self._workers.values()):
            if not worker.finishing and (worker.ahead < self._ahead or worker.open <= 1) and self._queue:
                actions += self._feed(worker)
        limit = 1 if self._suspected() else self._limit  # what ends a runner is to be caught alone
        while self._queue and len(self._workers) < limit:
            worker = _Worker(next(self._numbers), self._free_slot())
            self._workers[worker.number] = worker
            actions.append(Start(worker.number, worker.slot, self._open_tests(self._queue[0])))
            actions += self._feed(worker)
        return actions or self._end_if_idle()

    def _feed(self, worker: _Worker) -> list[Action]:
        """Give a worker jobs until it has enough ahead; tell it when there are none."""
        actions: list[Action] = []
        single = self._single or self._suspected()  # nor is a death that comes late to be put down to the next test
        while self._queue and (worker.ahead < self._ahead or worker.open <= 1):
            if single and worker.jobs:
                break
            tests = self._open_tests(self._queue.popleft())
            if not tests:
                continue
            number = next(self._numbers)
            worker.jobs.append((number, tests))
            worker.open += len(tests)
            worker.ahead += self._weight(tests)
            self._job_worker[number] = worker
            actions.append(Assign(worker.number, number, tests))
        if not self._queue or (single and worker.jobs):
            worker.finishing = True
            actions.append(Finish(worker.number))
        return actions

    def _blame(self, worker: _Worker, exit: Exit) -> list[Action]:  # noqa: A002
        """Put a worker's end down to the test that ran, if one did."""
        if exit.position is not None and self._plan.is_open(exit.position):
            self._futile = 0
            timed_out = exit.cause in ("timeout", "job timeout")
            return [self._settle(exit.position, "timed out" if timed_out else "crashed", worker.slot, exit)]
        self._futile = 0 if worker.settled else self._futile + 1
        return []

    def _stop(self, reason: str, by: _Worker | None, valid: Container[int] = ()) -> list[Action]:
        """Stop every worker, patiently where it is in a long test that is `valid`.

        The one whose own failures reached the limit stops by itself, and in order.
        """
        self._machine.advance(Event.STOP)
        self.reason = self.reason or reason
        self._queue.clear()
        actions: list[Action] = []
        for worker in self._workers.values():
            if worker is by and worker.bad >= self._maxfail:
                if not worker.finishing:
                    worker.finishing = True
                    actions.append(Finish(worker.number))
            else:
                worker.finishing = True
                worker.lingers = worker.long in valid and self._plan.is_open(worker.long)
                actions.append(Stop(worker.number, patient=worker.lingers))
        return actions or self._end_if_idle()

    def _give_up(self, reason: str, exit: Exit | None) -> list[Action]:  # noqa: A002
        """Settle everything that is open as an error and stop."""
        self.reason = reason
        self._queue.clear()
        actions: list[Action] = [
            self._settle(position, "error", 0, exit, reason) for position in list(self._plan.unsettled())
        ]
        if self.state is State.STRANDED or self.state is State.NEW:
            self._machine.advance(Event.STOP)
            return [*actions, *self._end_if_idle()]
        if self.state is State.RUNNING:
            return [*actions, *self._stop(reason, None)]
        return actions

    def _end_if_idle(self) -> list[Action]:
        """Complete once no worker is left and, unless the run was stopped, no test is open."""
        if self._workers or self._queue or self.state in (State.DONE, State.STRANDED, State.NEW):
            return []
        actions: list[Action] = [
            self._settle(position, "cancelled", 0, reason=self.reason) for position in list(self._plan.unsettled())
        ]
        self._machine.advance(Event.END)
        return [*actions, Complete(self.reason)]

    # ── bookkeeping ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _settle(
        self, position: int, verdict: str, slot: int, exit: Exit | None = None, reason: str = ""  # noqa: A002
    ) -> Settle:
        self._plan.settle(position, verdict)
        return Settle(position, verdict, slot, exit, reason)  # type: ignore[arg-type]  # the callers' literals

    def _weight(self, tests: Sequence[int]) -> float:
        """Return the seconds that these tests are expected to take."""
        return self._durations.total([self._plan.ids[test] for test in tests])

    def _take_back(self, worker: _Worker) -> list[Sequence[int]]:
        """Return what is left of a worker's jobs and forget them."""
        for number, _ in worker.jobs:
            self._job_worker.pop(number, None)
        return [left for _, tests in worker.jobs if (left := self._open_tests(tests))]

    def _requeue(self, jobs: Iterable[Sequence[int]]) -> None:
        self._queue.extendleft(left for job in reversed(list(jobs)) if (left := self._open_tests(job)))

    def _isolate(self) -> None:
        """Put the tests that ran when more than their worker ended in front, each as a job of its own."""
        jobs = [self._open_tests(job) for job in self._queue]
        alone = [(test,) for job in jobs for test in job if test in self._suspects]
        rest = [tuple([test for test in job if test not in self._suspects]) for job in jobs]
        self._queue = deque([*alone, *filter(None, rest)])

    def _suspected(self) -> bool:
        """Tell whether a test is still to be run of which it is not known whether it took the others with it."""
        return any(self._plan.is_open(test) for test in self._suspects)

    def _open_tests(self, tests: Iterable[int]) -> tuple[int, ...]:
        is_open = self._plan.is_open
        return tuple([test for test in tests if is_open(test)])

    def _under_way(self, worker: _Worker) -> tuple[int, ...]:
        """Return the open tests of a worker up to the long one that it is in; none where it is in none."""
        tests = self._open_tests(test for _, job in worker.jobs for test in job)
        return tests[: tests.index(worker.long) + 1] if worker.long in tests else ()

    def _free_slot(self) -> int:
        taken = {worker.slot for worker in self._workers.values()}
        return next(slot for slot in range(len(taken) + 1) if slot not in taken)

    @staticmethod
    def _tests(worker: _Worker, job: int) -> Sequence[int]:
        return next((tests for number, tests in worker.jobs if number == job), ())
