"""A project whose tests run in containers, by the command and a daemon of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from container_engine import Engine
from house import House, find_testd, survivors
from testd_runners.docker import WORKSPACE_LABEL

#: How long a run may take, in seconds: far more than it needs on a busy machine.
DEADLINE = 100.0


class Told(NamedTuple):
    """What a run told."""

    code: int
    events: list[dict[str, Any]]
    err: str

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] == kind]

    @property
    def verdicts(self) -> dict[str, str]:
        return {event["test"]: event["verdict"] for event in self.of("outcome")}

    @property
    def reason(self) -> str:
        """What went wrong, the hint and the detail with it."""
        return json.dumps([event for event in self.events if event["event"] not in ("outcome", "plan")]) + self.err


class Contained:
    """The project, and what its daemon has started."""

    def __init__(self, house: House, engine: Engine, project: Path) -> None:
        project.mkdir()
        self.project = project
        self.engine = engine
        self.house = house
        self.environment = {**house.environment, **engine.environment}

    def write(self, name: str, text: str) -> None:
        (self.project / name).write_text(text)

    def configure(self, **settings: str | float) -> None:
        """Give the project one target, `box`."""
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        self.write("testd.toml", "\n".join(["[targets.box]", *lines, ""]))

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(find_testd()), *arguments], cwd=self.project, env={**self.environment, **variables}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *arguments: str, target: str = "box", **variables: str) -> Told:
        return told(self.start("run", "--format", "json", "--target", target, *arguments, **variables))

    def containers(self) -> list[str]:
        """Return the names of this project's containers, stopped ones too."""
        return self.engine.containers(self.label)

    def left(self) -> list[str]:
        """Return those that are still there after they had time to go."""
        return self.engine.left(self.label)

    @property
    def label(self) -> str:
        return f"label={WORKSPACE_LABEL}={self.project}"

    def process(self, part: str) -> psutil.Process:
        """Return the handler, the agent or the client of the engine: the one whose command line has this part."""
        (found,) = [one for one in self.house.processes() if any(part in word for word in _words(one))]
        return found


def _words(process: psutil.Process) -> list[str]:
    """Return a command line, none of what has ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def told(client: subprocess.Popen[str]) -> Told:
    """Wait for a run and return what it told."""
    try:
        out, err = client.communicate(timeout=DEADLINE)
    except subprocess.TimeoutExpired:
        client.kill()
        out, err = client.communicate()
        raise AssertionError(f"the run did not end\n{out}\n{err}") from None
    return Told(client.returncode, [json.loads(line) for line in out.splitlines()], err)


def killed(process: psutil.Process) -> None:
    """Kill a process, and wait until it is gone."""
    process.kill()
    assert not survivors([process], DEADLINE)
