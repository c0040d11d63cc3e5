"""Drives a real agent process over a socketpair, as the handler does."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from house import survivors
from testd.framing import FrameBuffer
from testd_protocol.framing import decoder, encode
from testd_protocol.messages import (
    AgentMessage,
    AgentReport,
    Cancel,
    Configure,
    Message,
    Notice,
    Outcomes,
    Output,
    Ping,
    Planned,
    Ready,
    Report,
    Row,
    Run,
    RunCompleted,
    RunEvent,
    RunRequest,
    TargetReady,
)

#: How long any one answer may take, in seconds: far more than it needs on a busy machine.
PATIENCE = 60.0
_messages = decoder(AgentMessage)
_events = decoder(RunEvent)


class RunResult:
    """What came of a run."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.reports: list[Report] = []
        self.rows: list[Row] = []

    def add(self, report: Report) -> None:
        event = _events.decode(report.body)
        self.reports.append(report)
        self.events.append(event)
        if isinstance(event, Outcomes):
            self.rows += event.rows
            assert report.counts == Counter(row.verdict for row in event.rows)
        else:
            assert not report.counts

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def completed(self) -> RunCompleted:
        assert isinstance(self.events[-1], RunCompleted)
        return self.events[-1]

    @property
    def ready(self) -> TargetReady:
        return self.of(TargetReady)[-1]

    @property
    def planned(self) -> Planned:
        return self.of(Planned)[-1]

    @property
    def notices(self) -> list[str]:
        return [notice.text for notice in self.of(Notice)]

    @property
    def output(self) -> str:
        """What was printed, worker by worker and stream by stream: they write beside each other."""
        texts: dict[tuple[str, int, str], list[str]] = {}
        for output in self.of(Output):
            texts.setdefault((output.target, output.worker, output.stream), []).append(output.text)
        return "".join(text for each in texts.values() for text in each)

    @property
    def verdicts(self) -> dict[str, str]:
        names = [row.test for row in self.rows]
        assert len(names) == len(set(names)), "each test has exactly one outcome"
        return {row.test.partition("::")[2] or row.test: row.verdict for row in self.rows}

    def row(self, name: str) -> Row:
        return next(row for row in self.rows if row.test.endswith(name))


class AgentDriver:
    """One agent. Leaving the block closes the link and waits for the process, and for all that it started."""

    def __init__(self, workspace: Path, state: Path, cache: Path, *, ephemeral: bool = False) -> None:
        self.workspace = str(workspace.resolve())
        near, far = socket.socketpair()
        near.settimeout(PATIENCE)
        with far:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "testd_daemon.agent", "--fd", str(far.fileno())],
                pass_fds=[far.fileno()],
                start_new_session=True,
            )
        self._sock = near
        self._buffer = FrameBuffer()
        self._payloads: list[bytes] = []
        self._runs = 0
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST", "TESTD_", "VIRTUAL_ENV", "COVERAGE"))
        }
        self.environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # hypothesis' plugin costs a second at each start
        self.send(Configure(workspace=self.workspace, state_dir=str(state), cache_dir=str(cache), ephemeral=ephemeral))
        ready = self.receive()
        assert isinstance(ready, Ready)
        assert ready.pid == self.process.pid

    def __enter__(self) -> AgentDriver:  # noqa: PYI034  typing has no Self in 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        family = self.family() if self.process.poll() is None else []
        self._sock.close()
        try:
            assert self.process.wait(PATIENCE) in (0, -signal.SIGKILL) or kind is not None
        finally:
            self.process.kill()
            self.process.wait()
        alive = survivors(family, PATIENCE)
        assert not alive, f"outlived the agent: {alive}"

    def family(self) -> list[psutil.Process]:
        """Every process below the agent."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def send(self, message: Message) -> None:
        self._sock.sendall(encode(message))

    def send_bytes(self, data: bytes) -> None:
        self._sock.sendall(data)

    def receive(self) -> Any:
        while True:
            message = self._next()
            unasked = isinstance(message, AgentReport) and not message.id  # it comes after each run
            if not unasked and not isinstance(message, Ping):
                return message

    def _next(self) -> Any:
        while not self._payloads:
            data = self._sock.recv(65536)
            assert data, f"the agent ended with {self.process.wait(PATIENCE)}"
            self._buffer.feed(data)
            self._payloads += self._buffer.frames()
        return _messages.decode(self._payloads.pop(0))

    def submit(self, *paths: str, finished: list[str] | None = None, counts: dict[str, int] | None = None,
               environment: dict[str, str] | None = None, **request: Any) -> str:  # fmt: skip
        self._runs += 1
        name = f"run{self._runs}"
        request = {
            "workspace": self.workspace, "cwd": self.workspace, "python": sys.executable, "paths": list(paths),
            "environment": {**self.environment, **(environment or {})}, **request,
        }  # fmt: skip
        self.send(Run(run=name, request=RunRequest(**request), finished=finished or [], counts=counts or {}))
        return name

    def follow(self, *runs: str, until: Any = None) -> RunResult:
        """Collect a run's events to its end, or until `until(result)` is true. Several: to the end of all."""
        result = RunResult()
        open_runs = set(runs)
        while open_runs:
            message = self.receive()
            assert isinstance(message, Report), message
            assert message.run in runs
            result.add(message)
            if message.final:
                open_runs.discard(message.run)
            if until is not None and until(result):
                break
        return result

    def run(self, *paths: str, **request: Any) -> RunResult:
        return self.follow(self.submit(*paths, **request))

    def cancel(self, run: str, reason: str = "enough") -> None:
        self.send(Cancel(run=run, reason=reason))
