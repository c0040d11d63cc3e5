"""Connections that drop, that hang, and ends that die: nothing stays behind, and the run goes on or says why not."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from testd_protocol.messages import Notice

Project = Any  # of conftest.py
Until = Callable[[Callable[[], bool]], None]

#: Seconds of silence that these tests allow.
SILENCE = 3

WAITS = """
import os, threading
def wait(name):
    print("begun " + name, flush=True)
    while not os.path.exists(os.environ["HOME"] + "/go"):
        threading.Event().wait(0.02)
def test_one(): pass
def test_two(): wait("two")
def test_three(): pass
"""


@pytest.fixture
def go(project: Project) -> Iterator[Path]:
    """The file for which the tests wait."""
    host = project.hosts["build1"]
    path = Path(f"/proc/{host._sshd.pid}/root{host.home}/go")
    path.unlink(missing_ok=True)
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture
def waiting(project: Project, go: Path) -> str:
    """A run in the middle of its second test."""
    project.configure(build1={"silence": SILENCE})
    project.write("test_it.py", WAITS)
    run: str = project.agent.submit(targets=["build1"], stream=True, jobs=1)
    result = project.agent.follow(run, until=lambda found: "begun two" in found.output)
    assert set(result.verdicts) <= {"test_one"}
    return run


def clients(project: Project) -> list[psutil.Process]:
    """Return the ssh processes of the project's agent."""
    return [process for process in project.agent.family() if process.name() == "ssh"]


def test_a_connection_that_drops_is_made_again_and_the_run_goes_on(project: Project, waiting: str, go: Path) -> None:
    for process in clients(project):
        process.kill()
    go.touch()
    result = project.agent.follow(waiting)
    assert {name: verdict for name, verdict in result.verdicts.items() if name != "test_one"} == {
        "test_two": "passed", "test_three": "passed"
    }  # fmt: skip
    assert result.completed.exit_code == 0
    assert any("the runner ended; its tests go on in another one" in notice.text for notice in result.of(Notice))


def test_what_ran_on_the_host_ends_with_the_connection(project: Project, waiting: str, until: Until) -> None:
    host = project.hosts["build1"]
    before = set(host.runners())
    assert before
    for process in clients(project):
        process.kill()
    until(lambda: not before & set(host.runners()))
    project.agent.cancel(waiting)
    project.agent.follow(waiting)


def test_the_hosts_sshd_dies(project: Project, waiting: str, go: Path) -> None:
    host = project.hosts["build1"]
    host.stop_sshd()
    host.start_sshd()
    Path(f"/proc/{host._sshd.pid}/root{host.home}/go").touch()
    assert project.agent.follow(waiting).verdicts["test_two"] == "passed"


def test_a_runner_killed_on_the_host(project: Project, waiting: str, go: Path) -> None:
    for pid in project.hosts["build1"].runners():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    go.touch()
    assert project.agent.follow(waiting).verdicts["test_two"] == "passed"


def test_a_network_that_hangs_is_noticed_on_both_sides(project: Project, waiting: str, go: Path, until: Until) -> None:
    """Nobody is told that a connection hangs: each side has only the other one's silence to go by."""
    host = project.hosts["build1"]
    before = set(host.runners())
    here = clients(project)
    host.cut()
    try:
        until(lambda: not before & set(host.runners()))
        until(lambda: not any(process.is_running() and process.status() != "zombie" for process in here))
    finally:
        host.mend()
    go.touch()
    result = project.agent.follow(waiting)
    assert {name: verdict for name, verdict in result.verdicts.items() if name != "test_one"} == {
        "test_two": "passed", "test_three": "passed"
    }  # fmt: skip


def test_a_host_that_is_away_for_a_moment_is_waited_for(project: Project, waiting: str, until: Until) -> None:
    host = project.hosts["build1"]
    host.stop_sshd()
    until(lambda: not clients(project))  # the first attempt has come and gone, or is about to
    host.start_sshd()
    Path(f"/proc/{host._sshd.pid}/root{host.home}/go").touch()
    result = project.agent.follow(waiting)
    assert result.verdicts["test_two"] == "passed"
    assert result.completed.exit_code == 0


def test_a_host_that_does_not_come_back_is_said(project: Project, waiting: str) -> None:
    host = project.hosts["build1"]
    host.stop_sshd()
    try:
        result = project.agent.follow(waiting)
    finally:
        host.start_sshd()
    assert result.verdicts["test_two"] in ("error", "crashed")
    assert "nothing accepts connections there" in result.completed.reason
    assert result.completed.exit_code != 0


def test_a_quiet_connection_stays(project: Project, until: Until) -> None:
    """An idle runner hears from its agent often enough to know that it is still wanted."""
    project.configure(build1={"silence": 2})
    project.write("test_it.py", "def test_it():\n    pass\n")
    project.run()
    (client,) = clients(project)
    begun = os.times().elapsed
    until(lambda: os.times().elapsed - begun > 5)  # more than twice the silence that would end it
    assert project.run().ready.warm
    assert clients(project) == [client]


def test_the_agent_dies(project: Project, waiting: str, until: Until) -> None:
    host = project.hosts["build1"]
    family = project.agent.family()
    os.kill(project.agent.process.pid, signal.SIGKILL)
    until(lambda: not host.runners())
    until(lambda: not any(process.is_running() and process.status() != "zombie" for process in family))


def test_a_cancelled_run_leaves_nothing_running(project: Project, waiting: str) -> None:
    project.agent.cancel(waiting)
    result = project.agent.follow(waiting)
    assert result.verdicts["test_two"] == "cancelled"
    assert result.completed.exit_code == 2
