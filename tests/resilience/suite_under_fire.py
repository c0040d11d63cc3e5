"""Runs of a real daemon that are hurt from outside, and what their client saw.

A gate stops the run at a chosen place without any sleep: one test opens a named pipe for writing, which blocks it until
the test here reads, so both sides know exactly where the run is.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from house import House, survivors

#: How long anything may take that is waited for, in seconds: far more than it needs on a busy machine.
DEADLINE = 60.0
#: What outlives the death of its parent for longer than this is an orphan, in seconds.
ORPHAN = 2.0
FILES, EACH = 4, 60
TESTS = FILES * EACH + 1

ORDINARY = f"""
import pytest

@pytest.mark.parametrize("n", range({EACH}))
def test_ordinary(n):
    pass
"""

#: Waits at the gate as long as the project has one, in the middle of the run.
GATE = """
import os

def test_gate():
    if os.path.exists("gate"):
        with open("gate", "w") as gate:
            gate.write(str(os.getpid()))
        with open("pass") as way:
            way.read(1)
"""


class Told:
    """What a client told with `--format json`, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.err = code, err
        self.events: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Every event of a kind."""
        return [event for event in self.events if event["event"] == kind]

    @property
    def verdicts(self) -> dict[str, str]:
        """The verdict on each test; fails if a test has two outcomes."""
        found = [event["test"] for event in self.of("outcome")]
        assert len(found) == len(set(found)), [test for test, times in Counter(found).items() if times > 1]
        return {event["test"]: event["verdict"] for event in self.of("outcome")}

    @property
    def counts(self) -> Counter[str]:
        """How often each verdict was told."""
        return Counter(self.verdicts.values())

    @property
    def notices(self) -> list[str]:
        """What else was said."""
        return [event["text"] for event in self.of("notice")]

    @property
    def completed(self) -> dict[str, Any]:
        """The last event."""
        (completed,) = self.of("completed")
        assert self.events[-1] is completed
        assert completed["exit_code"] == self.code
        return completed


class Fire:
    """A project under a daemon of its own."""

    def __init__(self, house: House, project: Path) -> None:
        self.house, self.project = house, project
        self.environment = {**house.environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        self._clients: list[subprocess.Popen[str]] = []
        self._way = -1
        project.mkdir()
        (project / "pyproject.toml").write_text("[tool.testd]\njobs = 2\n")

    # ── the project ──────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, name: str, text: str) -> None:
        """Write a file of the project."""
        (self.project / name).write_text(text)

    def fill(self) -> None:
        """Write a few hundred tests, and one that waits at the gate."""
        for number in range(FILES):
            self.write(f"test_{number}.py", ORDINARY)
        self.write("test_gate.py", GATE)

    def close_gate(self) -> None:
        """Make the next run wait at the gate."""
        for name in ("gate", "pass"):
            os.mkfifo(self.project / name)

    def at_gate(self) -> int:
        """Wait until a run is at the gate; return the worker that waits there."""
        give_up = time.monotonic() + DEADLINE
        fd = os.open(self.project / "gate", os.O_RDONLY | os.O_NONBLOCK)
        try:
            while True:
                poll = select.poll()
                poll.register(fd, select.POLLIN)
                assert poll.poll(max(0.0, give_up - time.monotonic()) * 1000), "no run came to the gate"
                told = os.read(fd, 64)
                if told:
                    return int(told)
                # Who came has died without a word. A new descriptor waits for the next one, with no moment in which
                # nobody listens.
                old, fd = fd, os.open(self.project / "gate", os.O_RDONLY | os.O_NONBLOCK)
                os.close(old)
        finally:
            os.close(fd)

    def open_gate(self) -> None:
        """Let go whoever waits, and nobody else will."""
        (self.project / "gate").unlink()
        self._way = os.open(self.project / "pass", os.O_RDWR)  # what is written stays as long as this is open
        os.write(self._way, b"!")

    # ── the command ──────────────────────────────────────────────────────────────────────────────────────────────────

    def start(
        self,
        *arguments: str,
        python: str = sys.executable,
        testd: tuple[str, ...] = ("-m", "testd_daemon.cli"),
        **variables: str,
    ) -> Any:
        """Start a command."""
        process = subprocess.Popen(
            [python, *testd, *arguments],
            cwd=self.project,
            env={**self.environment, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._clients.append(process)
        return process

    @staticmethod
    def told(process: Any, deadline: float = DEADLINE * 2) -> Told:
        """Wait for a command that was started with `--format json`."""
        out, err = process.communicate(timeout=deadline)
        return Told(process.returncode, out, err)

    def run(self, *arguments: str, **variables: str) -> Told:
        """Run tests to the end."""
        return self.told(self.start("run", "--format", "json", *arguments, **variables))

    def verb(self, *arguments: str) -> Any:
        """Give any command, and return what it printed as an object."""
        out, err = self.start(*arguments, "--format", "json").communicate(timeout=DEADLINE)
        assert out, err
        return json.loads(out)

    # ── its processes ────────────────────────────────────────────────────────────────────────────────────────────────

    def chain(self, worker: int) -> dict[str, psutil.Process]:
        """The processes above a worker, by what they are."""
        names = ("worker", "collected", "configured", "plugins", "started", "runner", "agent", "handler")
        own = psutil.Process(worker)
        return dict(zip(names, [own, *own.parents()], strict=False))

    def end(self) -> None:
        """End the commands, and the daemon in order: the house then looks for survivors."""
        for process in self._clients:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.communicate(timeout=DEADLINE)
        if self._way >= 0:
            os.close(self._way)


def gone(processes: list[psutil.Process]) -> None:
    """Fail where one of these processes lives on; a zombie that init will reap does not."""
    left = survivors(processes, ORPHAN)
    assert not left, f"orphans: {left}"
