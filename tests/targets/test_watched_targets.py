"""`testd watch` where the workspace's files have to travel, or are mounted: every kind of edit, and what dies.

Everything is real: the command, its daemon, the container engine, sshd.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from follower import Follower
from mixed import GATE, Gate, Mixed, host_folder, versions

from container_engine import Engine
from house import House, find_testd
from ssh_hosts import Hosts

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "daemon" / "cli"))  # typist

from typist import Typist

#: Making images takes longer than any test, where that is not done yet.
pytestmark = pytest.mark.timeout(900)

SOURCE = "def value():\n    return 1\n"
CONFTEST = "import pytest\n\n@pytest.fixture\ndef number():\n    return 1\n"
VALUE = "from code_of_it import value\n\ndef test_value():\n    assert value() == 1\n"
ALONE = "def test_alone():\n    pass\n"
BROKEN = "def value(:\n"
TEST_VALUE, TEST_FIXTURE, TEST_ALONE = (f"test_{name}.py::test_{name}" for name in ("value", "fixture", "alone"))


class Watched(NamedTuple):
    """A project and the target on which it is watched."""

    project: Mixed
    target: str
    kill: Callable[[], None]  # what connects with the target, or the target itself
    outside: Path  # a folder that tests on the target see too, as it is seen here
    inside: str  # and as they see it


@pytest.fixture(params=["docker", "ssh"])
def watched(request: pytest.FixtureRequest, house: House, tmp_path: Path) -> Iterator[Watched]:
    """The project, watched in a container or on a host, where nothing may be left."""
    made = in_container if request.param == "docker" else on_host
    yield from made(Mixed(house, tmp_path / "project"), request)


def in_container(project: Mixed, request: pytest.FixtureRequest) -> Iterator[Watched]:
    engine: Engine = request.getfixturevalue("container_engine")
    project.use(engine)
    target = f"docker:{engine.image('full', versions()[1])}"
    write_all(project)

    def kill() -> None:
        for name in engine.containers(project.label, running=True):
            engine.run("kill", name, check=False)  # it may be ending already

    yield Watched(project, target, kill, project.project, str(project.project))
    project.end()
    assert not engine.left(project.label)


def on_host(project: Mixed, request: pytest.FixtureRequest) -> Iterator[Watched]:
    hosts: Hosts = request.getfixturevalue("ssh_hosts")
    host = hosts["build1"]
    project.configure(build1={"ssh": "build1", "ssh_config": str(hosts.config), "python": sys.executable})
    write_all(project)

    def kill() -> None:
        for pid in host.connections():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    yield Watched(project, "build1", kill, host_folder(host), str(host.home))
    project.end()
    assert not host.left()


def write_all(project: Mixed) -> None:
    project.write("code_of_it.py", SOURCE)
    project.write("conftest.py", CONFTEST)
    project.write("test_value.py", VALUE)
    project.write("test_fixture.py", "def test_fixture(number):\n    assert number == 1\n")
    project.write("test_alone.py", ALONE)


def test_every_edit_runs_what_it_affects(watched: Watched) -> None:
    project = watched.project
    watch = Follower(project, watched.target)
    passed = dict.fromkeys((TEST_VALUE, TEST_FIXTURE, TEST_ALONE), "passed")
    assert watch.after() == passed

    project.write("code_of_it.py", SOURCE.replace("1", "2"))
    assert watch.after("code_of_it.py") == {TEST_VALUE: "failed"}
    project.write("code_of_it.py", SOURCE)
    assert watch.after("code_of_it.py") == {TEST_VALUE: "passed"}

    project.write("test_alone.py", "def test_alone():\n    assert 0\n")
    assert watch.after("test_alone.py") == {TEST_ALONE: "failed"}
    project.write("test_alone.py", ALONE)
    assert watch.after("test_alone.py") == {TEST_ALONE: "passed"}

    project.write("conftest.py", CONFTEST.replace("1", "2"))
    assert watch.after("conftest.py")[TEST_FIXTURE] == "failed"
    project.write("conftest.py", BROKEN)
    assert watch.after("conftest.py") == {}
    project.write("conftest.py", CONFTEST)
    assert watch.after("conftest.py")[TEST_FIXTURE] == "passed"

    project.write("test_new.py", "def test_new():\n    pass\n")
    assert watch.after("test_new.py")["test_new.py::test_new"] == "passed"
    (project.project / "test_new.py").unlink()
    assert "test_new.py::test_new" not in watch.after("test_new.py")

    for name, text in (("test_value.py", VALUE), ("code_of_it.py", SOURCE)):
        project.write(name, BROKEN)
        assert watch.after(name) == {"test_value.py": "error"}
        project.write(name, text)
        assert watch.after(name) == {TEST_VALUE: "passed"}

    (project.project / "code_of_it.py").unlink()
    assert watch.after("code_of_it.py") == {"test_value.py": "error"}
    as_a_fresh_run(watched, watch)


def as_a_fresh_run(watched: Watched, watch: Follower) -> None:
    """The watch holds what a run in new processes says."""
    fresh = watched.project.run("--fresh", "--target", watched.target).verdicts()[watched.target]
    assert {test: watch.standing.get(test) for test in fresh} == fresh


def test_a_watch_goes_on_where_its_runner_was_killed_between_two_edits(watched: Watched) -> None:
    """One that was killed as the generation began, and held for warm, ended that: nothing ran before the next edit."""
    watch = Follower(watched.project, watched.target)
    watch.after()
    for text, verdict in ((SOURCE.replace("1", "2"), "failed"), (SOURCE, "passed")):
        watched.kill()
        watched.project.write("code_of_it.py", text)
        assert watch.after("code_of_it.py")[TEST_VALUE] == verdict
        as_a_fresh_run(watched, watch)


def test_a_watch_goes_on_where_its_runner_is_killed_in_a_generation(watched: Watched) -> None:
    watch = Follower(watched.project, watched.target)
    watch.after()
    gate = Gate(watched.outside / "held", f"{watched.inside}/held")
    with contextlib.closing(gate):
        watched.project.write("test_gate.py", GATE.replace('os.environ.get("GATE", "")', repr(gate.folder)))
        gate.wait()
        watched.kill()
        gate.open()
        ran = watch.after("test_gate.py")
        held = {f"test_gate.py::test_{name}": "passed" for name in ("before", "gate", "after")}
        assert {test: ran.get(test) for test in held} == held
        watched.project.write("code_of_it.py", SOURCE.replace("1", "2"))
        assert watch.after("code_of_it.py")[TEST_VALUE] == "failed"
        as_a_fresh_run(watched, watch)


def test_a_terminal_shows_each_edit_whatever_was_killed(watched: Watched) -> None:
    project = watched.project
    environment = {name: value for name, value in project.environment.items() if name not in ("COLUMNS", "LINES")}
    environment |= {"TERM": "xterm", "NO_COLOR": "1", "LC_ALL": "C.UTF-8"}
    argv = [str(find_testd()), "watch", "--target", watched.target]
    with Typist(argv, columns=120, cwd=project.project, env=environment) as person:
        person.until("? help")
        project.write("code_of_it.py", SOURCE.replace("1", "2"))
        person.until("FAILED test_value.py::test_value")
        watched.kill()
        project.write("code_of_it.py", SOURCE)
        person.until("FAILED", gone=True)
        person.until("3 passed")
        person.until("? help")
        person.type("q")
        assert person.ended()[0] == 0
