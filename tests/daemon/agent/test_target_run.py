"""What a run on one target makes of its runner's messages."""

from __future__ import annotations

from typing import Any, cast

import anyio

from testd_daemon.agent.collection import Collection
from testd_daemon.agent.jobs import Durations
from testd_daemon.agent.plan import Plan
from testd_daemon.agent.reporter import Reporter
from testd_daemon.agent.runner import Runner
from testd_daemon.agent.scheduler import Scheduler
from testd_daemon.agent.target_run import Limits, TargetRun
from testd_protocol.messages import Outcome, Started, StartWorker


class Heard:
    """Stands for the runner and for the reporter: keeps what they are given."""

    def __init__(self) -> None:
        """Hear nothing yet."""
        self.gone = anyio.Event()
        self.sent: list[Any] = []
        self.events: list[Any] = []

    def send(self, *messages: Any) -> None:
        """Be a runner."""
        self.sent += messages

    def own_worker(self, worker: int, owner: Any) -> None:
        """Be a runner."""

    def own_job(self, job: int, owner: Any) -> None:
        """Be a runner."""

    def event(self, body: Any) -> None:
        """Be a reporter."""
        self.events.append(body)

    def row(self, row: Any) -> None:
        """Be a reporter."""


def test_a_test_that_has_its_outcome_does_not_run_any_more() -> None:
    """It was shown as running until the end: its slot is looked at between its outcome and the next test, too."""
    heard, ids = Heard(), ["a.py::one", "a.py::two"]
    plan = Plan(ids)
    scheduler = Scheduler(plan, [[0, 1]], Durations({}), workers=1)
    run = TargetRun("py3", plan, scheduler, cast("Reporter", heard), Limits(run="r"))
    run.attach(cast("Runner", heard), Collection(1, [], "/w"), [0, 1], alone=False)
    started = next(message for message in heard.sent if isinstance(message, StartWorker))
    job = next(message.job for message in heard.sent if hasattr(message, "job"))

    run.progress(Started(test=0, worker=started.worker, seconds=0.3))
    run.outcome(Outcome(job=job, test=0, verdict="passed", duration=0.3, memory=0, detail=None))
    run.progress(Started(test=0, worker=started.worker, seconds=0.4))
    run.progress(Started(test=1, worker=started.worker, seconds=0.3))
    assert [(event.test, event.seconds) for event in heard.events] == [("a.py::one", 0.3), ("a.py::two", 0.3)]
