"""The scheduler: the exact actions that follow each event."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testd_daemon.agent.actions import Action, Assign, Complete, Exit, Finish, Settle, Start, Stop
from testd_daemon.agent.jobs import Durations
from testd_daemon.agent.plan import Plan
from testd_daemon.agent.scheduler import FUTILE_STARTS, LOSSES, Scheduler, State
from testd_daemon.errors import Bug, IllegalTransition

DONE = Exit(completed=True, status=0)


def schedule(
    jobs: Sequence[Sequence[int]], *, workers: int = 1, seconds: float = 1.0, maxfail: int = 0, single: bool = False
) -> tuple[Plan, Scheduler]:
    """Return a plan and its schedule; every test is expected to take `seconds`. Numbers begin with 1."""
    ids = [f"f.py::t{n}" for n in range(sum(len(job) for job in jobs))]
    plan = Plan(ids)
    durations = Durations(dict.fromkeys(ids, seconds))
    return plan, Scheduler(plan, jobs, durations, workers=workers, maxfail=maxfail, single=single)


def test_a_small_run_is_given_out_at_once() -> None:
    plan, scheduler = schedule([[0, 1]], seconds=0.001)
    assert scheduler.begin() == [Start(1, 0, (0, 1)), Assign(1, 2, (0, 1)), Finish(1)]
    assert scheduler.outcome(2, 0, "passed") == ()
    assert scheduler.outcome(2, 1, "passed") == ()
    assert scheduler.worker_exited(1, DONE) == [Complete("")]
    assert plan.counts == {"passed": 2}


def test_nothing_to_run_is_complete_at_once() -> None:
    _, scheduler = schedule([])
    assert scheduler.begin() == [Complete("")]


def test_a_worker_gets_its_next_job_before_the_last_test_of_this_one() -> None:
    """Else it would wait for ever: it runs a last test only when it knows what follows."""
    _, scheduler = schedule([[0, 1, 2], [3, 4], [5]])
    assert scheduler.begin() == [Start(1, 0, (0, 1, 2)), Assign(1, 2, (0, 1, 2))]
    assert scheduler.outcome(2, 0, "passed") == ()
    assert scheduler.outcome(2, 1, "passed") == [Assign(1, 3, (3, 4))]
    assert scheduler.outcome(2, 2, "passed") == ()
    assert scheduler.outcome(3, 3, "passed") == [Assign(1, 4, (5,)), Finish(1)]


def test_quick_jobs_are_given_ahead_by_their_time() -> None:
    _, scheduler = schedule([[n] for n in range(20)], seconds=0.03)
    assigned = [action.tests for action in scheduler.begin() if isinstance(action, Assign)]
    assert assigned == [(0,), (1,), (2,), (3,)]
    assert scheduler.outcome(2, 0, "passed") == [Assign(1, 6, (4,))]


def test_in_a_short_run_no_worker_takes_everything_at_its_start() -> None:
    _, scheduler = schedule([[n] for n in range(16)], workers=2, seconds=0.005)
    given = [(action.worker, action.tests) for action in scheduler.begin() if isinstance(action, Assign)]
    assert [worker for worker, _ in given] == [1, 1, 4, 4]


def test_two_workers_share_the_queue() -> None:
    _, scheduler = schedule([[0, 1], [2, 3], [4, 5]], workers=2)
    assert scheduler.begin() == [
        Start(1, 0, (0, 1)), Assign(1, 2, (0, 1)),
        Start(3, 1, (2, 3)), Assign(3, 4, (2, 3)),
    ]  # fmt: skip
    assert scheduler.outcome(4, 2, "passed") == [Assign(3, 5, (4, 5)), Finish(3)]
    assert scheduler.outcome(2, 0, "passed") == [Finish(1)]


def test_no_more_workers_than_jobs() -> None:
    _, scheduler = schedule([[0], [1]], workers=8, seconds=0.2)
    assert [action.slot for action in scheduler.begin() if isinstance(action, Start)] == [0]


def test_a_process_of_its_own_gets_one_job() -> None:
    _, scheduler = schedule([[0], [1]], single=True, seconds=0.001)
    assert scheduler.begin() == [Start(1, 0, (0,)), Assign(1, 2, (0,)), Finish(1)]
    assert scheduler.outcome(2, 0, "passed") == ()
    assert scheduler.worker_exited(1, DONE) == [Start(3, 0, (1,)), Assign(3, 4, (1,)), Finish(3)]
    scheduler.outcome(4, 1, "passed")
    assert scheduler.worker_exited(3, DONE) == [Complete("")]


def test_a_crash_costs_the_test_that_ran_and_the_others_go_to_a_fresh_worker() -> None:
    plan, scheduler = schedule([[0, 1, 2], [3]])
    scheduler.begin()
    scheduler.outcome(2, 0, "passed")
    end = Exit(completed=False, position=1, cause="signal", signal=11)
    assert scheduler.worker_exited(1, end) == [
        Settle(1, "crashed", 0, end),
        Start(3, 0, (2,)), Assign(3, 4, (2,)), Assign(3, 5, (3,)), Finish(3),
    ]  # fmt: skip
    assert plan.counts == {"passed": 1, "crashed": 1}


@pytest.mark.parametrize("cause", ["timeout", "job timeout"])
def test_a_deadline_makes_the_test_timed_out(cause: str) -> None:
    plan, scheduler = schedule([[0]])
    scheduler.begin()
    end = Exit(completed=False, position=0, cause=cause, seconds=3.0)  # type: ignore[arg-type]
    assert scheduler.worker_exited(1, end) == [Settle(0, "timed out", 0, end), Complete("")]
    assert plan.open == 0


def test_what_a_dead_worker_had_ahead_comes_before_what_was_never_given_out() -> None:
    _, scheduler = schedule([[0, 1], [2], [3]])
    scheduler.begin()
    scheduler.outcome(2, 0, "passed")
    actions = scheduler.worker_exited(1, Exit(completed=False, position=1))
    assert [action.tests for action in actions if isinstance(action, Assign)] == [(2,), (3,)]


def test_a_death_between_tests_costs_none_and_three_in_a_row_end_the_run() -> None:
    plan, scheduler = schedule([[0, 1]])
    scheduler.begin()
    end = Exit(completed=False, status=3, stderr="boom")
    for worker in (1, 3):
        assert scheduler.worker_exited(worker, end)[0] == Start(worker + 2, 0, (0, 1))
    actions = scheduler.worker_exited(5, end)
    assert [type(action) for action in actions] == [Settle, Settle, Complete]
    assert plan.counts == {"error": 2}
    assert str(FUTILE_STARTS) in scheduler.reason


def test_a_worker_that_got_somewhere_makes_the_count_begin_anew() -> None:
    _, scheduler = schedule([[n] for n in range(9)], seconds=0.0)
    scheduler.begin()
    worker, job, position = 1, 2, 0
    for _ in range(FUTILE_STARTS + 1):
        scheduler.outcome(job, position, "passed")
        actions = scheduler.worker_exited(worker, Exit(completed=False))
        started = next(action for action in actions if isinstance(action, Start))
        assigned = next(action for action in actions if isinstance(action, Assign))
        worker, job, position = started.worker, assigned.job, assigned.tests[0]
    assert scheduler.state is State.RUNNING


def test_maxfail_stops_the_others_at_once_and_lets_this_one_tear_down() -> None:
    plan, scheduler = schedule([[0, 1, 2], [3, 4], [5]], workers=2, maxfail=1)
    scheduler.begin()
    assert scheduler.outcome(2, 0, "failed") == [Finish(1), Stop(4 - 1)]
    assert scheduler.worker_exited(1, DONE) == []
    assert scheduler.worker_exited(3, Exit(completed=False, position=3, cause="stopped")) == [
        *(Settle(n, "cancelled", reason="stopped after 1 failure") for n in (1, 2, 3, 4, 5)),
        Complete("stopped after 1 failure"),
    ]
    assert plan.open == 0


def test_failures_of_several_workers_add_up() -> None:
    _, scheduler = schedule([[0, 1], [2, 3]], workers=2, maxfail=2)
    scheduler.begin()
    scheduler.outcome(2, 0, "failed")
    assert scheduler.outcome(4, 2, "crashed") == [Stop(1), Stop(3)]


def test_cancel_stops_every_worker_and_cancels_the_rest() -> None:
    plan, scheduler = schedule([[0, 1], [2]])
    scheduler.begin()
    scheduler.outcome(2, 0, "passed")
    assert scheduler.cancel("enough") == [Stop(1)]
    assert scheduler.cancel("again") == []
    assert scheduler.outcome(2, 1, "passed") == ()
    assert scheduler.worker_exited(1, Exit(completed=False, cause="stopped")) == [
        Settle(2, "cancelled", reason="enough"),
        Complete("enough"),
    ]
    assert plan.counts == {"passed": 2, "cancelled": 1}


def test_supersede_lets_valid_tests_come_to_their_end() -> None:
    plan, scheduler = schedule([[0, 1], [2, 3], [4]], workers=2)
    scheduler.begin()
    assert scheduler.under_way == []
    scheduler.started(1, 0)
    scheduler.started(3, 3)
    assert scheduler.under_way == [0, 2, 3]
    assert scheduler.supersede("changed", [2, 3]) == [Stop(1), Stop(3, patient=True)]
    assert not scheduler.lingering
    assert scheduler.worker_exited(1, DONE) == []
    assert scheduler.lingering
    assert scheduler.outcome(4, 2, "passed") == ()
    assert scheduler.under_way == [3]
    assert scheduler.outcome(4, 3, "passed") == ()
    assert scheduler.worker_exited(3, DONE) == [
        *(Settle(n, "cancelled", reason="changed") for n in (0, 1, 4)),
        Complete("changed"),
    ]
    assert plan.counts == {"passed": 2, "cancelled": 3}


@pytest.mark.parametrize("end", ["supersede", "cancel"])
def test_who_goes_on_is_stopped_by_what_comes_next(end: str) -> None:
    _, scheduler = schedule([[0, 1], [2, 3]], workers=2)
    scheduler.begin()
    scheduler.started(1, 0)
    scheduler.started(3, 2)
    scheduler.supersede("changed", [0, 2])
    assert scheduler.lingering
    actions = scheduler.cancel("enough") if end == "cancel" else scheduler.supersede("again", [2])
    assert actions == [Stop(1), Stop(3)] if end == "cancel" else [Stop(1)]
    assert scheduler.cancel("enough") == ([] if end == "cancel" else [Stop(3)])


def test_cancel_before_the_beginning() -> None:
    plan, scheduler = schedule([[0]])
    assert scheduler.cancel("never mind") == [Settle(0, "cancelled", reason="never mind"), Complete("never mind")]
    assert plan.open == 0


def test_a_session_that_stopped_itself_cancels_the_rest() -> None:
    _, scheduler = schedule([[0, 1]])
    scheduler.begin()
    scheduler.outcome(2, 0, "passed")
    actions = scheduler.worker_exited(1, DONE)
    assert actions == [
        Settle(1, "cancelled", reason="the test session was stopped from inside"),
        Complete("the test session was stopped from inside"),
    ]


def test_a_lost_runner_strands_the_run_until_the_next() -> None:
    plan, scheduler = schedule([[0, 1], [2, 3]], workers=2)
    scheduler.begin()
    scheduler.outcome(2, 0, "passed")
    assert scheduler.runner_lost("gone") == []
    assert scheduler.state is State.STRANDED
    assert scheduler.resume() == [
        Start(5, 0, (1,)), Assign(5, 6, (1,)), Finish(5),
    ]  # fmt: skip  # the two that ran go first, each on a worker of its own
    assert plan.counts == {"passed": 1}


def test_a_test_under_which_two_runners_died_is_the_cause() -> None:
    plan, scheduler = schedule([[0, 1]])
    scheduler.begin()
    assert scheduler.runner_lost("gone") == []
    scheduler.resume()
    assert scheduler.runner_lost("gone again") == [Settle(0, "crashed", 0, reason="gone again")]
    assert [action.tests for action in scheduler.resume() if isinstance(action, Assign)] == [(1,)]
    assert plan.counts == {"crashed": 1}


def test_runners_are_not_replaced_for_ever() -> None:
    plan, scheduler = schedule([[n] for n in range(100)])
    scheduler.begin()
    for _ in range(LOSSES - 1):
        scheduler.runner_lost("gone")
        scheduler.resume()
    assert isinstance(scheduler.runner_lost("gone")[-1], Complete)
    assert plan.open == 0
    assert plan.counts["error"] > 90


def test_runners_that_got_somewhere_before_they_ended_are_replaced_time_after_time() -> None:
    plan, scheduler = schedule([[n] for n in range(20)])
    actions = scheduler.begin()
    for _ in range(2 * LOSSES):
        first = next(action for action in actions if isinstance(action, Assign))
        scheduler.outcome(first.job, first.tests[0], "passed")
        assert not any(isinstance(action, Complete) for action in scheduler.runner_lost("gone"))
        actions = scheduler.resume()
    assert plan.counts["passed"] == 2 * LOSSES


def test_of_two_that_ran_when_a_runner_died_each_goes_again_alone() -> None:
    plan, scheduler = schedule([[0, 1], [2, 3], [4]], workers=2)
    scheduler.begin()
    assert scheduler.runner_lost("gone") == []
    again = scheduler.resume()
    assert next(action.tests for action in again if isinstance(action, Assign)) == (0,)
    assert sum(isinstance(action, Start) for action in again) == 1, "one worker, until it is known which it was"
    first = next(action for action in again if isinstance(action, Assign))
    assert not scheduler.outcome(first.job, 0, "passed")
    assert sum(isinstance(action, Start) for action in scheduler.worker_exited(first.worker, DONE)) == 1
    assert scheduler.runner_lost("gone again") == [Settle(2, "crashed", 0, reason="gone again")]
    assert sum(isinstance(action, Start) for action in scheduler.resume()) == 2
    assert plan.counts == {"passed": 1, "crashed": 1}


def lost(position: int | None = None) -> Exit:
    return Exit(completed=False, cause="lost", position=position, stderr="its stem ended: killed by SIGKILL")


def test_a_lost_collection_strands_the_run_when_its_last_worker_is_gone() -> None:
    plan, scheduler = schedule([[0, 1], [2, 3], [4, 5]], workers=2)
    scheduler.begin()
    first, second = sorted(scheduler.workers)
    assert scheduler.worker_exited(first, lost(0)) == [], "nothing is started from a collection that is gone"
    assert (scheduler.state, scheduler.adrift) == (State.RUNNING, "its stem ended: killed by SIGKILL")
    assert scheduler.worker_exited(second, lost()) == []
    assert scheduler.state is State.STRANDED
    again = [test for action in scheduler.resume() if isinstance(action, Assign) for test in action.tests]
    assert again[0] == 0, "what ran is tried again alone"
    assert scheduler.adrift == ""
    assert plan.open == 6


def test_a_test_that_ran_twice_when_its_collection_was_lost_is_the_cause() -> None:
    plan, scheduler = schedule([[0, 1]])
    scheduler.begin()
    assert scheduler.worker_exited(next(iter(scheduler.workers)), lost(0)) == []
    scheduler.resume()
    (settled,) = scheduler.worker_exited(next(iter(scheduler.workers)), lost(0))
    assert settled == Settle(0, "crashed", 0, reason="its stem ended: killed by SIGKILL")
    assert plan.counts == {"crashed": 1}


def test_a_collection_that_is_lost_with_nothing_left_to_do_ends_the_run() -> None:
    _, scheduler = schedule([[0]])
    (start, assign, _) = scheduler.begin()
    scheduler.outcome(assign.job, 0, "passed")
    assert not scheduler.has_open(start.worker)
    assert scheduler.worker_exited(start.worker, lost()) == [Complete("")]


def test_cancel_while_stranded() -> None:
    plan, scheduler = schedule([[0]])
    scheduler.begin()
    scheduler.runner_lost("gone")
    assert scheduler.cancel("enough") == [Settle(0, "cancelled", reason="enough"), Complete("enough")]
    assert plan.open == 0


def test_outcomes_that_cannot_be_are_bugs() -> None:
    _, scheduler = schedule([[0, 1]])
    scheduler.begin()
    with pytest.raises(Bug, match="job 99"):
        scheduler.outcome(99, 0, "passed")
    scheduler.outcome(2, 0, "passed")
    with pytest.raises(Bug, match="second outcome"):
        scheduler.outcome(2, 0, "passed")
    with pytest.raises(IllegalTransition):
        scheduler.begin()


def test_a_worker_that_nobody_knows_changes_nothing() -> None:
    _, scheduler = schedule([[0]])
    scheduler.begin()
    assert scheduler.worker_exited(77, DONE) == []


class Model:
    """A runner that may do anything a runner may do, and checks that nothing is asked of it that cannot be."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.workers: dict[int, list[tuple[int, int]]] = {}
        self.finished: set[int] = set()
        self.stopped: set[int] = set()
        self.settled: list[int] = []
        self.complete = False

    def perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            assert not self.complete, "nothing comes after Complete"
            match action:
                case Start():
                    assert action.worker not in self.workers
                    self.workers[action.worker] = []
                case Assign():
                    assert action.worker not in self.finished
                    self.workers[action.worker] += [(action.job, test) for test in action.tests]
                case Finish():
                    self.finished.add(action.worker)
                case Stop():
                    self.stopped.add(action.worker)
                case Settle():
                    self.settled.append(action.position)
                case Complete():
                    self.complete = True

    def can_run(self, worker: int) -> bool:
        tests = self.workers[worker]
        return len(tests) > 1 or (bool(tests) and worker in self.finished)

    def step(self, choice: int) -> None:
        """Do the `choice`-th of what can happen next."""
        worker = sorted(self.workers)[choice % len(self.workers)] if self.workers else None
        kind = choice // 7 % 12
        if self.scheduler.state is State.STRANDED:
            self.perform(self.scheduler.resume())
        elif worker is None:
            return
        elif kind == 0:
            running = self.workers.pop(worker)
            position = running[0][1] if running and choice % 2 else None
            self.perform(self.scheduler.worker_exited(worker, Exit(completed=False, position=position)))
        elif kind == 1 and choice % 5 == 0:
            self.workers.clear()
            self.perform(self.scheduler.runner_lost("gone"))
        elif worker in self.stopped or (worker in self.finished and not self.workers[worker]):
            del self.workers[worker]
            self.perform(self.scheduler.worker_exited(worker, Exit(completed=worker not in self.stopped)))
        elif self.can_run(worker):
            job, test = self.workers[worker].pop(0)
            self.settled.append(test)
            self.perform(self.scheduler.outcome(job, test, "failed" if kind == 2 else "passed"))


@settings(max_examples=150)
@given(
    st.lists(st.integers(1, 4), max_size=8),
    st.integers(1, 3),
    st.integers(0, 3),
    st.booleans(),
    st.lists(st.integers(0, 10_000), max_size=120),
)
def test_whatever_happens_every_test_is_settled_once_and_the_run_ends(
    lengths: list[int], workers: int, maxfail: int, single: bool, choices: list[int]
) -> None:
    numbers = iter(range(1000))
    plan, scheduler = schedule(
        [[next(numbers) for _ in range(n)] for n in lengths], workers=workers, maxfail=maxfail, single=single
    )
    model = Model(scheduler)
    model.perform(scheduler.begin())
    for choice in choices:
        model.step(choice)
    for choice in range(10_000):  # from here on nothing dies any more
        if model.complete:
            break
        model.step(choice % 7 + 21)
    assert model.complete
    assert plan.open == 0
    assert sorted(model.settled) == list(range(len(plan)))


def test_more_room_starts_more_workers_and_less_sends_nobody_away() -> None:
    _, scheduler = schedule([[0], [1], [2], [3]])
    assert scheduler.begin() == [Start(1, 0, (0,)), Assign(1, 2, (0,)), Assign(1, 3, (1,))]
    assert scheduler.widen(1) == []
    assert scheduler.widen(2) == [Start(4, 1, (2,)), Assign(4, 5, (2,)), Assign(4, 6, (3,)), Finish(4)]
    assert scheduler.widen(1) == []
    assert scheduler.widen(3) == []
