"""No container stays, whatever dies: by the end of its stdin, or by the next agent. Docker and podman alike."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psutil
import pytest
from contained import Contained, killed, told

from container_engine import Dockerd, Engine, engine
from house import House
from interpreters import found as pythons
from testd_daemon.agent.leftovers import lives, owner
from testd_runners.docker import LAUNCH_LABEL, NAME_PREFIX

#: Making images takes longer than any test.
pytestmark = pytest.mark.timeout(900)

GATE = """
import os

def test_before():
    pass

def test_gate():
    if os.path.exists("gate"):
        with open("gate", "w") as gate:
            gate.write("here")
        with open("pass") as way:
            way.read(1)

def test_after():
    pass
"""
ALL = {f"test_gate.py::test_{name}": "passed" for name in ("before", "gate", "after")}
CLIENT, AGENT, HANDLER = "--interactive", "testd_daemon.agent", "testd_daemon.handler"


@pytest.fixture(params=["container_engine", "podman_engine"], ids=["docker", "podman"])
def contained(house: House, tmp_path: Path, request: pytest.FixtureRequest) -> Contained:
    """A project whose tests run in containers of either engine."""
    return Contained(house, request.getfixturevalue(request.param), tmp_path / "project")


@pytest.fixture
def gated(contained: Contained) -> Contained:
    """A project with a test that waits for the test here."""
    contained.configure(docker=image(contained.engine), engine=contained.engine.program)
    contained.write("test_gate.py", GATE)
    return contained


def image(found: Engine) -> str:
    return found.image("full", list(pythons())[-1])


def started(contained: Contained) -> tuple[subprocess.Popen[str], str]:
    """Start a run, wait until it is at the gate, and open that for every later try. Returns the container too."""
    os.mkfifo(contained.project / "gate")
    os.mkfifo(contained.project / "pass")
    client = contained.start("run", "--format", "json", "--target", "box")
    assert (contained.project / "gate").read_text() == "here"
    (contained.project / "gate").unlink()
    (name,) = contained.containers()
    return client, name


@pytest.mark.parametrize("victim", [CLIENT, AGENT, HANDLER])
def test_a_killed_process_costs_no_test_its_outcome_and_leaves_no_container(gated: Contained, victim: str) -> None:
    client, name = started(gated)
    killed(gated.process(victim))
    result = told(client)
    assert (result.code, result.verdicts) == (0, ALL), result.reason
    assert not gated.engine.left(f"name={name}")
    gated.house.stop()
    assert not gated.left()


@pytest.mark.parametrize("contained", ["podman_engine"], ids=["podman"], indirect=True)
def test_a_killed_monitor_of_podman_costs_no_outcome_and_leaves_no_container(gated: Contained) -> None:
    """Podman's `rm --force` fails once where the monitor is gone, and the container stayed in its list for good."""
    client, name = started(gated)
    monitors = [one for one in psutil.process_iter(["name", "cmdline"]) if one.info["name"] == "conmon"]
    (monitor,) = [one for one in monitors if name in (one.info["cmdline"] or [])]
    killed(monitor)
    result = told(client)
    assert (result.code, result.verdicts) == (0, ALL), result.reason
    gated.house.stop()
    assert not gated.left()


def test_nothing_stays_when_all_die_at_once(gated: Contained) -> None:
    assert gated.run().code == 0
    assert gated.containers()
    for process in [gated.process(victim) for victim in (HANDLER, AGENT, CLIENT)]:
        process.kill()
    assert not gated.left()
    (gated.house.runtime / "testd.sock").unlink()  # the next handler would do so


def test_a_stop_leaves_nothing(gated: Contained) -> None:
    assert gated.run().code == 0
    (name,) = gated.containers()
    gated.house.stop()
    assert not gated.left(), name


def test_a_container_that_cannot_end_is_removed_by_the_next_agent(gated: Contained) -> None:
    assert gated.run().code == 0
    (name,) = gated.containers()
    gated.engine.run("pause", name)
    for process in [gated.process(victim) for victim in (HANDLER, AGENT, CLIENT)]:
        killed(process)
    assert gated.containers() == [name]
    result = gated.run()
    assert (result.code, result.verdicts) == (0, ALL), result.reason
    assert name not in gated.containers()


def test_an_agent_that_needs_no_container_removes_those_of_an_earlier_one(gated: Contained) -> None:
    assert gated.run().code == 0
    (name,) = gated.containers()
    gated.engine.run("pause", name)
    for process in [gated.process(victim) for victim in (HANDLER, AGENT, CLIENT)]:
        killed(process)
    client = gated.start("run", "--format", "json")
    told(client)
    assert not gated.left()


def test_only_what_nobody_owns_is_removed(gated: Contained) -> None:
    ended = subprocess.run(["true"], check=True)
    assert ended.returncode == 0
    pid, begun, boot, here = owner().split("-")
    launches = {
        "living": f"{owner()}-1",
        "elsewhere": f"{pid}-{begun}-{boot}-000000000000-1",
        "number taken again": f"{pid}-{int(begun) - 1}-{boot}-{here}-1",
        "before the last start": f"{pid}-{begun}-00000000-{here}-1",
    }
    gone = {"number taken again", "before the last start"}
    assert {what for what, launch in launches.items() if not lives(launch)} == gone
    try:
        for launch in launches.values():
            gated.engine.run(
                "create", "--name", NAME_PREFIX + launch, "--label", f"{LAUNCH_LABEL}={launch}", "--entrypoint",
                "python3", image(gated.engine),
            )  # fmt: skip
        assert gated.run().code == 0
        there = gated.engine.containers(f"label={LAUNCH_LABEL}")
        assert {what for what, launch in launches.items() if NAME_PREFIX + launch not in there} == gone
    finally:
        gated.engine.run("rm", *(NAME_PREFIX + launch for launch in launches.values()), check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="left out: only root can start a container engine")
@pytest.mark.parametrize("contained", ["container_engine"], ids=["docker"], indirect=True)
def test_an_engine_that_is_killed_is_told_and_the_next_one_is_clean(contained: Contained) -> None:
    with engine() as own:
        assert isinstance(own, Dockerd)
        contained.engine = own
        contained.environment.update(own.environment)
        contained.configure(docker=image(own))
        contained.write("test_gate.py", GATE)
        assert contained.run().code == 0
        assert contained.containers()
        own.kill()
        result = contained.run()
        assert result.code == 4
        assert "no docker engine answers" in result.reason
        own.start()
        result = contained.run()
        assert (result.code, result.verdicts) == (0, ALL), result.reason
        assert len(contained.containers()) == 1, "that of the run before is gone"
        contained.house.stop()
        assert not contained.left()
