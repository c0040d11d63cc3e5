"""A project whose tests run on hosts, and an agent for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "daemon" / "agent"))  # agent_driver

from agent_driver import AgentDriver, RunResult

from ssh_hosts import Hosts
from testd_daemon.agent.mirror.mirror import mirror_name
from testd_protocol.messages import RunCompleted

#: Long before any test: what was written just now is not trusted to be what was loaded.
LONG_AGO = 1_600_000_000


class Project:
    """A workspace with a target for each host, and one agent."""

    def __init__(self, root: Path, hosts: Hosts, state: Path) -> None:
        self.root = root
        self.hosts = hosts
        self._state = state
        self._agent: AgentDriver | None = None
        root.mkdir(parents=True)
        self.configure(build1={}, build2={})

    def configure(self, **targets: dict[str, Any]) -> None:
        """Write the configuration: a table for each target, its host being its name unless it says otherwise."""
        lines = ["[tool.pytest.ini_options]", 'addopts = "-p no:cacheprovider"']
        for name, more in targets.items():
            settings = {"ssh": name, "ssh_config": str(self.hosts.config), "python": sys.executable, **more}
            lines += [f"[tool.testd.targets.{name}]", *(f"{key} = {value!r}" for key, value in settings.items())]
        self.write("pyproject.toml", "\n".join(lines) + "\n")

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self._ticks = getattr(self, "_ticks", 0) + 1
        os.utime(path, (LONG_AGO + self._ticks,) * 2)
        return path

    @property
    def agent(self) -> AgentDriver:
        if self._agent is None:
            self._agent = AgentDriver(self.root, self._state / "state", self._state / "cache").__enter__()
        return self._agent

    def run(self, *paths: str, target: str = "build1", **more: Any) -> RunResult:
        return self.agent.run(*paths, targets=[target], **more)

    def unavailable(self, target: str = "build1") -> RunCompleted:
        """Run, and return why the target could not be used."""
        result = self.run(target=target)
        assert not result.rows
        assert result.completed.exit_code in (3, 4)
        return result.completed

    def copies(self, host: str = "build1") -> list[Path]:
        """Return the copies of the workspace on a host."""
        name, _, project = mirror_name(str(self.root), host).partition("/")
        return sorted(self.hosts[host].mirrors.glob(f"{name}/*/files/{project}"))

    def close(self) -> None:
        if self._agent is not None:
            agent, self._agent = self._agent, None
            agent.__exit__(None, None, None)


@pytest.fixture
def project(tmp_path: Path, ssh_hosts: Hosts) -> Iterator[Project]:
    """A project of its own. Nothing of its runners may be left on any host."""
    made = Project(tmp_path / "project", ssh_hosts, tmp_path)
    try:
        yield made
    finally:
        made.close()
    left = [process for host in ssh_hosts.by_name.values() for process in host.left()]
    assert not left, f"left on a host: {left}"


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], None]:
    """Wait until something is so that nobody tells of, or fail."""

    def wait(so: Callable[[], bool], deadline: float = 60.0) -> None:
        import time

        end = time.monotonic() + deadline
        while not so():
            assert time.monotonic() < end, "it did not come to that"
            time.sleep(0.02)

    return wait
