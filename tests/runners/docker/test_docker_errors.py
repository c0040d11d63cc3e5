"""What is wrong with an engine or an image is told: what was tried, and what would be right."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from contained import Contained

from interpreters import found

#: Making images takes longer than any test.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def project(contained: Contained) -> Contained:
    contained.write("test_it.py", "def test_it():\n    pass\n")
    return contained


def broken(project: Contained, *words: str, target: str = "box", **variables: str) -> str:
    """Run a target that is not usable, and return what was told; nothing may be left of the try."""
    told = project.run(target=target, **variables)
    assert told.code == 4, told.reason
    assert not told.verdicts
    for word in words:
        assert word in told.reason
    assert not project.left()
    return told.reason


def test_an_image_that_is_nowhere(project: Contained) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:  # a registry's address at which nobody serves
        name = f"127.0.0.1:{nobody.getsockname()[1]}/box:1"
    broken(
        project, name, "is not there, and it cannot be pulled", "build it (docker build", "pulling it",
        target=f"docker:{name}",
    )  # fmt: skip


def test_an_image_without_python(project: Contained) -> None:
    name = project.engine.image("nothing")
    project.configure(docker=name)
    broken(project, f"the image {name} has no Python", "looked for python3, python, python3.14", "name the interpreter")


def test_an_interpreter_that_is_not_in_the_image(project: Contained) -> None:
    name = project.engine.image("full", list(found())[-1])
    project.configure(docker=name, python="/opt/python/bin/python3")
    broken(project, f"the image {name} has no Python", "looked for /opt/python/bin/python3")


def test_a_python_that_is_too_old(project: Contained) -> None:
    name = project.engine.image("old")
    project.configure(docker=name)
    broken(project, f"python3 in the image {name} is Python 2.7.18", "3.8 or newer", "use an image with a newer Python")


def test_an_image_without_pytest(project: Contained) -> None:
    name = project.engine.image("bare", next(iter(found())))
    project.configure(docker=name, kind="pytest")
    broken(project, "no pytest", name, "pip install pytest")


def test_an_image_with_only_pythonX_Y_runs_exports(project: Contained) -> None:
    project.configure(docker=project.engine.image("bare", next(iter(found()))), kind="exports")
    told = project.run()
    assert told.verdicts == {"test_it.py::test_it": "passed"}, told.reason
    assert told.of("target")[0]["python"].startswith(next(iter(found())))


def test_an_engine_that_is_not_there(project: Contained, tmp_path: Path) -> None:
    project.configure(docker="python:3.12")
    broken(
        project, f"no docker engine answers at unix://{tmp_path}/nobody.sock", "DOCKER_HOST",
        DOCKER_HOST=f"unix://{tmp_path}/nobody.sock",
    )  # fmt: skip


def test_no_engine_is_installed(project: Contained, tmp_path: Path) -> None:
    project.configure(docker="python:3.12")
    broken(project, "docker and podman are not on PATH", "install docker or podman", PATH=str(tmp_path))


def test_a_socket_that_this_user_may_not_use(project: Contained, tmp_path: Path) -> None:
    """A client that says what docker's says: root may use every socket."""
    client = tmp_path / "docker"
    text = "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock"
    client.write_text(f"#!/bin/sh\necho '{text}' >&2\nexit 1\n")
    client.chmod(0o755)
    project.configure(docker="python:3.12")
    path = f"{tmp_path}:{os.environ['PATH']}"
    broken(project, "this user may not speak with the docker engine", "group docker", PATH=path)
