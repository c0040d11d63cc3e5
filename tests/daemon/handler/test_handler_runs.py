"""Runs from outside: a real handler, a fake agent, real kills."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from daemon_house import is_alive, kinds, outcomes, until

from testd_daemon.errors import FaultError


def numbers(events):
    return [event["seq"] for event in events]


def once_each(events, tests):
    """Every test has exactly one outcome, and every number comes once, in order, without a gap."""
    assert sorted(outcomes(events)) == sorted((str(number), "passed") for number in range(tests))
    assert numbers(events) == list(range(1, len(events) + 1))
    assert kinds(events).count("RunCompleted") == 1
    assert kinds(events)[-1] == "RunCompleted"


def test_a_run_from_submission_to_completion(daemon):
    daemon.start()
    client = daemon.client()
    run = client.submit(daemon.request(TESTS=5))
    events = list(client.events(run))
    assert kinds(events) == ["Planned", *["Outcomes"] * 5, "RunCompleted"]
    once_each(events, 5)
    (status,) = client.status()["runs"]
    assert status | {"accepted_at": 0} == {
        "run": run, "workspace": daemon.workspace, "state": "finished", "accepted_at": 0, "counts": {"passed": 5},
        "tests": 5, "exit_code": 0, "detach": False, "watch": False, "events": len(events),
    }  # fmt: skip


def test_the_handler_is_killed_and_the_client_sees_each_event_once(daemon):
    process = daemon.start()
    gate = daemon.gate()
    client = daemon.client()
    run = client.submit(daemon.request(TESTS=10, GATE=gate.at(5)))
    stream = client.events(run)
    seen = [next(stream) for _ in range(6)]  # Planned, and the outcomes of 0 to 4
    agent = daemon.only_agent(daemon.client())["pid"]
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: not is_alive(agent))
    gate_opened = []
    for event in stream:
        seen.append(event)
        if event["body"]["type"] == "Planned" and not gate_opened:
            gate_opened.append(True)
            gate.open()
    once_each(seen, 10)
    assert client.welcome["pid"] != process.pid
    assert client.status()["runs"][0]["counts"] == {"passed": 10}


def test_an_attached_client_starts_after_the_event_that_it_names(daemon):
    daemon.start()
    client = daemon.client()
    run = client.submit(daemon.request(TESTS=5))
    everything = list(client.events(run))
    other = daemon.client()
    assert list(other.events(run, 3)) == everything[3:]
    assert list(daemon.client().events("")) == everything
    with pytest.raises(FaultError, match="ended with event 7; there is none after 7"):
        list(other.events(run, 7))


def test_an_agent_is_killed_and_another_one_finishes(daemon):
    daemon.start()
    client = daemon.client()
    run = client.submit(daemon.request(TESTS=20, DIE_ONCE=f"{daemon.base}/died:7"))
    events = list(client.events(run))
    once_each(events, 20)
    (notice,) = [event["body"] for event in events if event["body"]["type"] == "Notice"]
    assert notice["text"] == "the agent was killed by SIGKILL; another one goes on with what is not finished"


def test_an_agent_that_always_dies_is_given_up(daemon):
    daemon.configure(backoff=[0.0, 0.0])
    daemon.start()
    client = daemon.client()
    run = client.submit(daemon.request(TESTS=3, DIE=1))
    *events, last = list(client.events(run))
    assert outcomes(events) == [("0", "passed")]
    assert last["body"]["exit_code"] == 3
    assert "was killed by SIGKILL" in last["body"]["reason"]
    assert "giving up" in last["body"]["reason"]
    assert last["body"]["detail"].endswith("the last words of the agent")
    assert client.status()["agents"][0]["state"] == "failed"
    run = client.submit(daemon.request(TESTS=1))  # a new run is a new beginning
    once_each(list(client.events(run)), 1)


@pytest.mark.parametrize(
    ("manner", "reason", "detail"),
    [
        ("die", "exited with status 1", "the agent cannot start: a module is missing"),
        ("silent", "it was not ready after 0.3 s", ""),
        ("fault", "there is nothing here", ""),
    ],
)
def test_an_agent_that_cannot_start(daemon, monkeypatch, manner, reason, detail):
    monkeypatch.setenv("FAKE_AGENT", manner)
    daemon.configure(backoff=[0.0], deadlines={"ready": 0.3 if manner == "silent" else 30})
    daemon.start()
    client = daemon.client()
    *_, last = list(client.events(client.submit(daemon.request())))
    assert (last["body"]["exit_code"], last["body"]["detail"]) == (3, detail)
    assert reason in last["body"]["reason"]


def test_an_agent_that_hangs_is_killed_and_replaced(daemon):
    daemon.configure(deadlines={"heartbeat": 0.05, "pong": 0.3})
    daemon.start()
    client = daemon.client()
    run = client.submit(daemon.request(TESTS=6, HANG_ONCE=f"{daemon.base}/hung:3"))
    events = list(client.events(run))
    once_each(events, 6)
    assert any("did not answer" in event["body"].get("text", "") for event in events)


def test_a_client_that_is_gone_has_its_run_cancelled(daemon):
    daemon.start()
    gate = daemon.gate()
    client = daemon.client()
    run = client.submit(daemon.request(TESTS=4, GATE=gate.at(1)))
    next(event for event in client.events(run) if event["body"]["type"] == "Outcomes")
    client.close()
    other = daemon.client()
    status = until(lambda: next((each for each in other.status()["runs"] if each["state"] == "finished"), None))
    assert (status["exit_code"], status["counts"]) == (2, {"passed": 1, "cancelled": 3})
    assert list(other.events(run))[-1]["body"]["exit_code"] == 2


def test_a_detached_run_goes_on_without_its_client(daemon):
    daemon.start()
    gate = daemon.gate()
    client = daemon.client()
    run = client.submit(daemon.request(TESTS=4, GATE=gate.at(1), detach=True))
    client.close()
    other = daemon.client()
    gate.open()
    events = list(other.events(""))
    assert {event["run"] for event in events} == {run}
    once_each(events, 4)


def test_a_run_lives_as_long_as_anybody_follows_it(daemon):
    daemon.start()
    gate = daemon.gate()
    client, other = daemon.client(), daemon.client()
    run = client.submit(daemon.request(TESTS=4, GATE=gate.at(1)))
    next(client.events(run))
    stream = other.events(run)
    events = [next(stream)]
    client.close()
    gate.open()
    events += stream
    once_each(events, 4)


def test_cancel_names_what_did_not_run(daemon):
    daemon.start()
    gate = daemon.gate()
    client = daemon.client()
    run = client.submit(daemon.request(TESTS=3, GATE=gate.at(1)))
    stream = client.events(run)
    events = [next(stream), next(stream)]
    client.cancel(run, "enough")
    events += stream
    assert outcomes(events) == [("0", "passed"), ("1", "cancelled"), ("2", "cancelled")]
    assert events[-1]["body"]["exit_code"] == 2


def test_after_a_handlers_death_a_run_without_its_client_is_cancelled_and_a_detached_one_is_not(daemon):
    daemon.configure(deadlines={"reclaim": 0.1})
    process = daemon.start()
    gates = [daemon.gate("first"), daemon.gate("second")]
    client = daemon.client()
    lost = client.submit(daemon.request(TESTS=3, GATE=gates[0].at(1)))
    events = client.events(lost)
    next(events), next(events)  # an outcome is there
    Path(daemon.workspace, "other").mkdir()
    kept = daemon.client().submit(
        daemon.request(TESTS=3, GATE=gates[1].at(1), detach=True) | {"workspace": f"{daemon.workspace}/other"}
    )
    process.kill()
    process.wait()
    client.close()
    daemon.start()
    other = daemon.client()
    gates[1].open()
    once_each(list(other.events(kept)), 3)

    def finished():
        return {each["run"]: each["exit_code"] for each in other.status()["runs"] if each["state"] == "finished"}

    assert until(lambda: len(finished()) == 2 and finished()) == {lost: 2, kept: 0}
    first = list(other.events(lost))
    assert sorted(outcomes(first)) == [("0", "passed"), ("1", "cancelled"), ("2", "cancelled")]


def test_the_same_key_is_the_same_run(daemon):
    daemon.start()
    wire = daemon.wire()
    wire.greet()
    message = {"type": "Submit", "request": daemon.request(TESTS=1, detach=True), "key": "k1"}
    wire.send(message)
    first = wire.receive(10)
    other = daemon.wire()
    other.greet()
    other.send(message)
    assert other.receive(10) == first
    assert len(daemon.client().status()["runs"]) == 1
    wire.close()
    other.close()


def test_what_a_dead_agent_leaves_behind_is_ended(daemon):
    daemon.configure(backoff=[], deadlines={"orphans": 0.05})
    daemon.start()
    client = daemon.client()
    note = daemon.base / "orphan"
    list(client.events(client.submit(daemon.request(TESTS=3, DIE=1, ORPHAN=note))))
    orphan = int(note.read_text())
    try:
        until(lambda: not Path(f"/proc/{orphan}").exists())
    finally:
        if is_alive(orphan):
            os.kill(orphan, signal.SIGKILL)


def test_a_client_that_does_not_read_holds_up_nobody(daemon):
    daemon.configure(window=64 * 1024)
    daemon.start()
    slow = daemon.client()
    run = slow.submit(daemon.request(TESTS=400, BODY=10_000))  # more than socket buffers and the window hold
    quick = daemon.client()
    once_each(list(quick.events(quick.submit(daemon.request(TESTS=50) | {"workspace": str(daemon.base)}))), 50)
    until(lambda: {each["run"]: each["state"] for each in quick.status()["runs"]}[run] == "finished")
    once_each(list(slow.events(run)), 400)


def test_history_is_the_agents(daemon):
    daemon.start()
    (entry,) = daemon.client().history(daemon.workspace, "test_it")["entries"]
    assert entry["test"] == "test_it"
