"""Where time went: spans in order, parts of spans, and what workers do side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testd_daemon.agent import spans
from testd_daemon.agent.spans import Spans, WorkerClock
from testd_protocol.messages import Profile

Make = Callable[..., Path]
StartAgent = Callable[..., Any]


class Clock:
    """Stands for the module `time`."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(spans, "time", made)
    return made


def test_spans_follow_each_other_and_have_parts(clock: Clock) -> None:
    measured = Spans()
    clock.now += 1
    measured.mark("one")
    clock.now += 5
    measured.mark("two")
    measured.part("three", "two", 2.0)
    measured.part("three", "two", 99.0)
    clock.now += 1
    measured.mark("one")
    other = Spans()
    clock.now += 4
    other.mark("one")
    measured.take(other)
    clock.now += 1
    measured.mark("four")
    assert list(measured.seconds.items()) == [("one", 6.0), ("two", 0.0), ("three", 5.0), ("four", 1.0)]


def test_workers_side_by_side(clock: Clock) -> None:
    worker = WorkerClock()
    worker.started()
    worker.started()
    clock.now += 3
    worker.outcome(1.0)
    worker.outcome(2.0)
    clock.now += 4
    worker.outcome(3.0)
    clock.now += 1
    worker.exited()
    measured = Spans()
    measured.work(worker, most=2)
    assert measured.seconds == {"fork": 1.0, "tests": 6.0, "tests: bodies": 6.0, "tests: idle": 6.0, "end": 1.0}


def test_no_worker_has_no_spans(clock: Clock) -> None:
    measured = Spans()
    measured.work(WorkerClock(), most=2)
    assert measured.seconds == {}


def test_a_run_tells_where_its_time_went_if_it_is_asked_to(project: Make, agent: StartAgent) -> None:
    text = "import time\ntime.sleep(0.2)\n\ndef test_a():\n    time.sleep(0.1)\n\ndef test_b(): pass\n"
    driver = agent(project(test_a_py=text))
    cold = driver.run(profile=True)
    (profile,) = cold.of(Profile)
    assert cold.events[-2] is profile
    (seconds,) = profile.targets.values()
    assert list(seconds) == [
        "target", "history", "runner", "files", "notice", "collect", "collect: import", "select", "plan", "fork",
        "tests", "tests: bodies", "tests: idle", "end",
    ]  # fmt: skip
    assert seconds["collect"] >= seconds["collect: import"] >= 0.2
    assert seconds["tests: bodies"] >= 0.1
    assert all(value >= 0 for value in seconds.values())
    whole = sum(value for name, value in seconds.items() if ":" not in name)
    assert whole <= profile.ended - profile.began
    warm = driver.run(profile=True)
    assert "collect" not in next(iter(warm.of(Profile)[0].targets.values()))
    assert driver.run().of(Profile) == []
