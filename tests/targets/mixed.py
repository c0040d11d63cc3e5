"""A project whose tests run on targets of every kind, by the command and a daemon of its own.

What runs where the workspace's disk is not, can only be held at a gate on that target: a pair of named pipes on its own
disk, which the test here reaches as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

import nodes
from container_engine import Engine
from house import House, find_testd
from interpreters import found
from ssh_hosts import Host, Hosts
from testd_runners.docker import WORKSPACE_LABEL

__all__ = ["HERE", "HOSTS", "Gate", "Mixed", "Told", "host_folder", "mixed", "versions"]

#: How long a run may take, in seconds: far more than it needs on a busy machine.
DEADLINE = 100.0
HERE = "{}.{}".format(*sys.version_info)
HOSTS = ("build1", "build2")

GATE = """
import os

def test_before():
    pass

def test_gate():
    gate = os.environ.get("GATE", "")
    if os.path.exists(f"{gate}/gate"):
        with open(f"{gate}/gate", "w") as file:
            file.write("here")
        with open(f"{gate}/pass") as file:
            file.read(1)

def test_after():
    pass
"""
DATES = """
import sys

def test_reads_week_dates():
    assert sys.version_info[:2] != {old}, "no week dates before"
"""
PRICES = """
import assert from 'node:assert';

export function addsUp() {
  assert.strictEqual(1 + 1, 2);
}

export async function groups() {
  const major = Number(process.versions.node.split('.')[0]);
  assert.ok(major > %s, 'no grouping before');
}
"""


class Told(NamedTuple):
    """What a run told with `--format json`."""

    code: int
    events: list[dict[str, Any]]
    err: str

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    def verdicts(self) -> dict[str, dict[str, str]]:
        """Return target → test → verdict; fails where a test has two outcomes on a target."""
        rows = [(event["target"], event["test"]) for event in self.of("outcome")]
        assert len(rows) == len(set(rows)), [row for row, times in Counter(rows).items() if times > 1]
        verdicts: dict[str, dict[str, str]] = {}
        for event in self.of("outcome"):
            verdicts.setdefault(event["target"], {})[event["test"]] = event["verdict"]
        return verdicts

    @property
    def completed(self) -> dict[str, Any]:
        (completed,) = self.of("completed")
        assert self.events[-1] is completed
        assert completed["exit_code"] == self.code
        return completed


class Gate:
    """Holds one test on one target until it is opened. `folder` is where it is as that target sees it."""

    def __init__(self, seen_from_here: Path, folder: str) -> None:
        self.folder = folder
        self._here = seen_from_here
        self._here.mkdir(parents=True)
        for name in ("gate", "pass"):
            os.mkfifo(self._here / name)
        self._came = os.open(self._here / "gate", os.O_RDONLY | os.O_NONBLOCK)
        self._way = os.open(self._here / "pass", os.O_RDWR)  # what is written stays as long as this is open

    def wait(self) -> None:
        """Wait until the test is at the gate, which is there for no later one."""
        assert select.select([self._came], [], [], DEADLINE)[0], f"nobody came to {self._here}"
        (self._here / "gate").unlink()

    def open(self) -> None:
        """Let go the one that waits, if it still does."""
        os.write(self._way, b"!")

    def close(self) -> None:
        for descriptor in (self._came, self._way):
            os.close(descriptor)
        for path in (self._here / "gate", self._here / "pass"):
            path.unlink(missing_ok=True)
        self._here.rmdir()


class Mixed:
    """The project: its targets, its command, and what runs because of it."""

    def __init__(self, house: House, project: Path, engine: Engine | None = None) -> None:
        project.mkdir()
        self.house = house
        self.project = project
        self.environment = {**house.environment, "COLUMNS": "120"}
        self._engine: Engine | None = None
        if engine is not None:
            self.use(engine)
        self.targets: dict[str, dict[str, Any]] = {}
        self._clients: list[subprocess.Popen[str]] = []

    # ── the project ──────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, name: str, text: str) -> Path:
        path = self.project / name
        path.write_text(text)
        return path

    def configure(self, **targets: dict[str, Any]) -> None:
        """Give the project these targets, beside those that it has."""
        self.targets.update(targets)
        lines = ["[dependency-groups]", 'test = ["pytest"]']
        for name, settings in self.targets.items():
            lines += [f'[tool.testd.targets."{name}"]', *(f"{key} = {_toml(value)}" for key, value in settings.items())]
        self.write("pyproject.toml", "\n".join([*lines, ""]))

    # ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, *arguments: str, before: Sequence[str] = (), **variables: str) -> subprocess.Popen[str]:
        """Start the command, by way of another one that stands `before` it."""
        client = subprocess.Popen(
            [*before, str(find_testd()), *arguments], cwd=self.project, env={**self.environment, **variables},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._clients.append(client)
        return client

    def say(self, *arguments: str, **variables: str) -> tuple[int, str]:
        """Give a command, and return its exit status and all that it printed."""
        client = self.start(*arguments, **variables)
        out, err = client.communicate(timeout=DEADLINE)
        return client.returncode, out + err

    def run(self, *arguments: str, **variables: str) -> Told:
        return self.told(self.start("run", "--format", "json", *arguments, **variables))

    @staticmethod
    def told(client: subprocess.Popen[str]) -> Told:
        """Wait for a run that was started with `--format json`."""
        out, err = client.communicate(timeout=DEADLINE)
        return Told(client.returncode, [json.loads(line) for line in out.splitlines()], err)

    # ── what runs because of it ──────────────────────────────────────────────────────────────────────────────────────

    def use(self, engine: Engine) -> None:
        """Let the command find this engine."""
        self._engine = engine
        self.environment |= engine.environment

    @property
    def engine(self) -> Engine:
        assert self._engine is not None, "this project has no containers"
        return self._engine

    @property
    def label(self) -> str:
        return f"label={WORKSPACE_LABEL}={self.project}"

    def process(self, *words: str) -> psutil.Process:
        """Return the one process of the daemon whose command line has all these words."""
        matching = []
        for process in self.house.processes():
            with contextlib.suppress(psutil.Error):
                line = process.cmdline()
                if all(word in line for word in words):
                    matching.append(process)
        (process,) = matching
        return process

    def end(self) -> None:
        """End the commands, and the daemon in order."""
        for client in self._clients:
            if client.poll() is None:
                client.kill()
            client.communicate(timeout=DEADLINE)
        self.house.stop()


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


def versions() -> tuple[str, str, str, str]:
    """Return the oldest and the newest Python, and the oldest and the newest Node.js."""
    pythons, engines = list(found()), list(nodes.found())
    return pythons[0], pythons[-1], engines[0], engines[-1]


def host_folder(host: Host) -> Path:
    """Return a host's home as it looks from here."""
    assert host._sshd is not None
    return Path(f"/proc/{host._sshd.pid}/root{host.home}")


def mixed(house: House, project: Path, engine: Engine, hosts: Hosts) -> Mixed:
    """Make a project with two targets of each kind, but one container, and two that cannot start."""
    old, new, first_node, last_node = versions()
    made = Mixed(house, project, engine)
    far = {"ssh_config": str(hosts.config), "python": sys.executable}
    made.configure(
        **{
            "old": {"python": found()[old], "install": ["pytest"]},
            "new": {"python": found()[new], "groups": ["test"]},
            f"node{first_node}": {"node": nodes.found()[first_node]},
            f"node{last_node}": {"node": nodes.found()[last_node]},
            "box": {"docker": engine.image("full", new)},
            **{host: {"ssh": host, **far} for host in HOSTS},
        }
    )
    made.write("test_gate.py", GATE)
    made.write("test_dates.py", DATES.format(old=tuple(map(int, old.split(".")))))
    made.write("prices.test.mjs", PRICES % first_node)
    return made
