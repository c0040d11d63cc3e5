"""The same target with podman in place of docker: the same command line, another engine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from contained import Contained, killed

from container_engine import Engine
from house import House
from interpreters import found as pythons

#: Making images takes longer than any test.
pytestmark = pytest.mark.timeout(900)

SUITE = """
import os, pathlib

def reads():
    assert pathlib.Path("data.txt").read_text() == "VALUE"
def writes():
    pathlib.Path("written").write_text("x")
def fails():
    assert pathlib.Path("data.txt").read_text() == "other"
def dies():
    os._exit(3)
"""
VERDICTS = {"reads": "passed", "writes": "passed", "fails": "failed", "dies": "crashed"}


@pytest.fixture
def contained(house: House, podman_engine: Engine, tmp_path: Path) -> Contained:
    """A project whose tests run in containers of podman."""
    made = Contained(house, podman_engine, tmp_path / "project")
    made.configure(docker=podman_engine.image("bare", next(iter(pythons()))), engine="podman", kind="exports")
    return made


def test_it_runs_there_is_warm_the_next_time_and_leaves_nothing(contained: Contained) -> None:
    contained.write("all_test.py", SUITE.replace("VALUE", "1"))
    contained.write("data.txt", "1")
    first = contained.run()
    assert first.verdicts == {f"all_test.py::{name}": verdict for name, verdict in VERDICTS.items()}, first.reason
    (target,) = first.of("target")
    assert (target["warm"], target["python"].startswith(next(iter(pythons())))) == (False, True)
    assert (contained.project / "written").stat().st_uid == os.getuid()
    contained.write("data.txt", "2")  # nothing that was loaded: the container stays warm, and sees it
    second = contained.run()
    assert second.of("target")[0]["warm"], second.reason
    assert second.verdicts["all_test.py::reads"] == "failed"
    contained.house.stop()
    assert not contained.left()


def test_nothing_stays_when_the_agent_is_killed(contained: Contained) -> None:
    contained.write("all_test.py", "def passes():\n    pass\n")
    assert contained.run().code == 0
    assert contained.containers()
    killed(contained.process("testd_daemon.agent"))
    assert not contained.left()
    assert contained.run().code == 0


def test_an_image_without_python_is_said_so(contained: Contained) -> None:
    """What podman's init said of a missing interpreter was taken for a missing init, and no other name was tried."""
    contained.write("all_test.py", "def passes():\n    pass\n")
    name = contained.engine.image("nothing")
    contained.configure(docker=name, engine="podman")
    told = contained.run()
    assert told.code == 4
    assert f"the image {name} has no Python (looked for python3, python, python3.14" in told.reason
