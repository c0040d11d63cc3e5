"""Where runners of each kind are started for the conformance suite. A new launcher gets a class here, no more."""

from __future__ import annotations

import os
from typing import Protocol

import pytest
from launched import Place
from projects import JAVASCRIPT

import nodes
from container_engine import Engine
from interpreters import found
from ssh_hosts import Hosts
from testd_runners.choose import KINDS
from testd_runners.docker import LAUNCH_LABEL

__all__ = ["PLACES"]


class Places(Protocol):
    """The places of one kind."""

    def names(self, versions: list[str]) -> list[str]:
        """Return what there is to choose from, `versions` being the interpreters that the case is for."""

    def place(self, name: str, request: pytest.FixtureRequest) -> Place:
        """Return one of them; `request` gives the fixtures that it needs."""


class Local:
    """Every interpreter on this machine."""

    def names(self, versions: list[str]) -> list[str]:
        return versions

    def place(self, name: str, request: pytest.FixtureRequest) -> Place:
        return Place("subprocess", found()[name], name)


class Nodes:
    """Every Node.js, with workers that are threads and with workers that are processes."""

    def names(self, versions: list[str]) -> list[str]:
        return [f"{version}-{mode}" for version in nodes.found() for mode in ("worker", "bin")]

    def place(self, name: str, request: pytest.FixtureRequest) -> Place:
        version, _, mode = name.partition("-")
        return Place("node", nodes.found()[version], version, project=JAVASCRIPT, alone=mode == "bin")


class Containers:
    """An image that is like the official ones of Python, and one that has just an old interpreter, in one engine."""

    def __init__(self, engine: str) -> None:
        self._engine = engine

    def names(self, versions: list[str]) -> list[str]:
        return [f"full{versions[-1]}", f"bare{versions[0]}"]

    def place(self, name: str, request: pytest.FixtureRequest) -> Place:
        engine: Engine = request.getfixturevalue(self._engine)
        kind, version = name[:4], name[4:]
        runtime = "python3" if kind == "full" else f"python{version}"
        user = f"{os.getuid()}:{os.getgid()}"
        options = {"image": engine.image(kind, version), "user": user, "engine": engine.program}
        return Place(
            "docker", runtime, version, options, engine.environment, extend=True,
            left=lambda launch: engine.left(f"label={LAUNCH_LABEL}={launch}"),
            inside=lambda launch: engine.containers(f"label={LAUNCH_LABEL}={launch}", running=True),
        )  # fmt: skip


class Machines:
    """The oldest and the newest interpreter on a machine that shares no disk with this one."""

    def names(self, versions: list[str]) -> list[str]:
        return [version for version in (versions[0], versions[-1]) if os.access(found()[version], os.X_OK)]

    def place(self, name: str, request: pytest.FixtureRequest) -> Place:
        hosts: Hosts = request.getfixturevalue("ssh_hosts")
        host = hosts["build1"]
        return Place(
            "ssh", found()[name], name, {"host": host.name, "config": str(hosts.config)}, extend=True,
            left=lambda launch: host.left(), inside=lambda launch: [str(pid) for pid in host.runners()],
        )  # fmt: skip


#: Those of each launcher's kind under its name; podman's are of the kind docker.
PLACES: dict[str, Places] = {
    "subprocess": Local(),
    "node": Nodes(),
    "docker": Containers("container_engine"),
    "podman": Containers("podman_engine"),
    "ssh": Machines(),
}
assert set(KINDS) <= set(PLACES), "a launcher has no place"
