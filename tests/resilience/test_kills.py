"""Each process of a run is killed or told to end in the middle of it, by real signals; its client is told the truth."""

from __future__ import annotations

import os
import signal

import psutil
import pytest
from suite_under_fire import DEADLINE, TESTS, Fire, gone

IN_TARGET = ("worker", "collected", "configured", "plugins", "started")
ALL = (*IN_TARGET, "runner", "agent", "handler")


@pytest.mark.parametrize("victim", ALL)
def test_a_killed_process_costs_no_test_its_outcome(fire: Fire, victim: str) -> None:
    fire.fill()
    fire.close_gate()
    client = fire.start("run", "--format", "json")
    chain = fire.chain(fire.at_gate())
    below = chain[victim].children(recursive=True)
    (fire.project / "gate").unlink()
    chain[victim].kill()
    if victim != "handler":  # its children are found by the next one, or end by themselves
        gone(below)
    told = fire.told(client)
    assert len(told.verdicts) == TESTS, told.err
    if victim == "worker":
        assert told.counts == {"passed": TESTS - 1, "crashed": 1}
        assert told.verdicts["test_gate.py::test_gate"] == "crashed"
        assert told.code == 1
    else:
        assert told.counts == {"passed": TESTS}, "the test that ran is run again: it did nothing wrong"
        assert told.code == 0
    assert told.completed["counts"] == told.counts
    gone(below)
    again = fire.run()
    assert (again.code, again.counts) == (0, {"passed": TESTS}), "what was hurt is made anew"


@pytest.mark.parametrize("victim", ["collected", "configured", "plugins", "started", "runner", "agent", "handler"])
def test_a_process_that_dies_between_runs_is_made_anew(fire: Fire, victim: str) -> None:
    fire.fill()
    fire.close_gate()
    client = fire.start("run", "--format", "json")
    chain = fire.chain(fire.at_gate())
    fire.open_gate()
    assert fire.told(client).code == 0
    chain[victim].kill()
    gone([chain[victim]])
    again = fire.run()
    assert (again.code, again.counts) == (0, {"passed": TESTS}), again.notices
    (target,) = again.of("target")
    assert target["warm"] is False
    assert fire.run().of("target")[0]["warm"] is True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("victim", ALL)
def test_a_process_that_is_told_to_end_costs_no_test_its_outcome(
    fire: Fire, victim: str, number: signal.Signals
) -> None:
    fire.fill()
    fire.close_gate()
    client = fire.start("run", "--format", "json")
    chain = fire.chain(fire.at_gate())
    below = chain[victim].children(recursive=True)
    chain[victim].send_signal(number)
    if number == signal.SIGINT and victim not in ("worker", "handler"):
        fire.open_gate()  # a terminal's interrupt is the client's to pass on: an agent and a runner go on
    else:
        (fire.project / "gate").unlink()
    told = fire.told(client)
    assert len(told.verdicts) == TESTS, told.err
    if victim == "handler":  # asked to end, it cancels what runs
        assert told.code == 2
        assert told.verdicts["test_gate.py::test_gate"] == "cancelled"
    elif victim == "worker":
        assert told.code == 1
        assert told.counts["passed"] == TESTS - 1
        assert told.verdicts["test_gate.py::test_gate"] in ("crashed", "failed", "error")
    else:
        assert (told.code, told.counts) == (0, {"passed": TESTS}), told.notices
    if victim == "handler":
        gone(below)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_client_that_ends_takes_its_run_along(fire: Fire, number: signal.Signals) -> None:
    fire.fill()
    fire.close_gate()
    client = fire.start("run", "--format", "json")
    worker = psutil.Process(fire.at_gate())
    client.send_signal(number)
    client.communicate(timeout=DEADLINE)
    gone([worker])
    (run,) = fire.verb("status")["runs"]
    (fire.project / "gate").unlink()
    assert fire.told(fire.start("attach", run["run"], "--format", "json")).completed["exit_code"] == 2
    assert fire.run().code == 0


def test_a_client_that_ends_leaves_a_detached_run_alone(fire: Fire) -> None:
    fire.fill()
    fire.close_gate()
    client = fire.start("run", "--detach")
    out, _ = client.communicate(timeout=DEADLINE)
    follower = fire.start("attach", out.split()[0], "--format", "json")
    fire.at_gate()
    follower.kill()
    follower.communicate(timeout=DEADLINE)
    fire.open_gate()
    told = fire.told(fire.start("attach", out.split()[0], "--format", "json"))
    assert (told.code, told.counts) == (0, {"passed": TESTS})


def test_a_client_that_is_killed_leaves_no_orphans_of_a_private_daemon(fire: Fire) -> None:
    fire.fill()
    fire.close_gate()
    client = fire.start("run", "--no-daemon", "--format", "json")
    fire.at_gate()
    theirs = psutil.Process(client.pid).children(recursive=True)
    client.kill()
    client.communicate(timeout=DEADLINE)
    gone(theirs)


@pytest.mark.parametrize("victim", ["agent", "handler"])
def test_two_deaths_in_a_row(fire: Fire, victim: str) -> None:
    fire.fill()
    fire.close_gate()
    client = fire.start("run", "--format", "json")
    first = fire.chain(fire.at_gate())
    first[victim].kill()
    second = fire.chain(fire.at_gate())  # the run has come back to the gate, in other processes
    assert second["worker"].pid != first["worker"].pid
    second["runner" if victim == "agent" else "agent"].kill()
    (fire.project / "gate").unlink()
    told = fire.told(client)
    assert len(told.verdicts) == TESTS
    assert set(told.counts) <= {"passed", "crashed"}
    assert told.counts["passed"] >= TESTS - 1
    assert os.listdir(fire.house.runtime) == ["testd.sock"]
