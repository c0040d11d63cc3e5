"""What an engine's client says of where its engine is. The client is a stand-in: no engine here is elsewhere."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from testd_daemon.agent.engine import Answer, Engine
from testd_daemon.errors import EnvironmentFault


def client(folder: Path, name: str, says: str, status: int = 0, **environment: str) -> Engine:
    program = folder / name
    program.write_text(f"#!/bin/sh\necho '{says}'\nexit {status}\n")
    program.chmod(0o755)
    return Engine(name, str(program), {"PATH": "/usr/bin:/bin", **environment})


@pytest.mark.parametrize("host", ["ssh://eve@build1", "tcp://10.0.0.7:2376"])
def test_docker_on_another_machine_is_no_place_for_the_workspace(tmp_path: Path, host: str) -> None:
    """The mount of a folder that is not there was the engine's own error, or an empty folder."""
    with pytest.raises(EnvironmentFault, match=f"docker engine at {host} is on another machine") as caught:
        anyio.run(client(tmp_path, "docker", host).check_place)
    assert 'ssh = "' in caught.value.hint
    assert "unset DOCKER_HOST" in caught.value.hint


def test_podman_on_another_machine_is_none_either(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"podman engine at ssh://build1/run/podman\.sock is on another machine"):
        anyio.run(client(tmp_path, "podman", "", CONTAINER_HOST="ssh://build1/run/podman.sock").check_place)
    anyio.run(client(tmp_path, "podman", "", CONTAINER_HOST="unix:///run/podman.sock").check_place)


@pytest.mark.parametrize("host", ["unix:///var/run/docker.sock", "tcp://localhost:2375", "tcp://[::1]:2375", ""])
def test_an_engine_of_this_machine_is_let_through(tmp_path: Path, host: str) -> None:
    anyio.run(client(tmp_path, "docker", host).check_place)


def test_a_client_that_does_not_know_lets_the_engine_say_what_is_wrong(tmp_path: Path) -> None:
    engine = client(tmp_path, "docker", "no such context", status=1)
    anyio.run(engine.check_place)
    assert anyio.run(engine.ask, "info") == Answer(1, "no such context", "")
