"""Starts a runner as its launcher describes it, and speaks with it as an agent does."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import psutil

from testd.framing import FrameBuffer
from testd_protocol.framing import decode, decoder, encode
from testd_protocol.messages import (
    Collect,
    Collected,
    ConfigureRunner,
    FinishWorker,
    Message,
    Ready,
    RunJob,
    RunnerMessage,
    StartWorker,
)
from testd_runners import bundle
from testd_runners.choose import choose
from testd_runners.launcher import LaunchSettings, with_channel

#: How long any one answer may take, in seconds: far more than it needs on a busy machine.
PATIENCE = 60.0
_decoder = decoder(RunnerMessage)
M = TypeVar("M", bound=Message)


class Launched:
    """One runner. Leaving the block closes the channel, and checks that nothing outlives it."""

    def __init__(self, kind: str, python: str, root: Path, cache: Path, **settings: Any) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "TESTD_"))}
        launch = LaunchSettings(python, bundle.unpack(str(cache)), str(root), environment)
        command = choose(kind).command(launch)
        assert command.channel == "socketpair", "a launcher over stdio needs its own start here"
        near, far = socket.socketpair()
        near.settimeout(PATIENCE)
        with far:
            self.process = subprocess.Popen(
                with_channel(command, far.fileno()),
                pass_fds=[far.fileno()],
                env=dict(command.env),
                cwd=command.cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._command = command
        self._sock = near
        self._buffer = FrameBuffer()
        self._messages: list[Any] = []
        self._paths: list[Path] = []
        self.send(
            ConfigureRunner(
                **{"kind": "exports", "mode": "worker", "root": str(root), "cwd": str(root),
                   "environment": environment, **settings}
            )
        )  # fmt: skip
        try:
            self.ready = self.until(Ready)
        except BaseException:  # nobody has it yet who could end it
            self._sock.close()
            self.process.kill()
            self.process.wait()
            raise

    def __enter__(self) -> Launched:  # noqa: PYI034  typing has no Self in 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        family = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self._sock.close()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
        for cleanup in self._command.cleanup:
            subprocess.run(cleanup, check=False, timeout=PATIENCE)
        _, alive = psutil.wait_procs(family, timeout=PATIENCE)
        assert not alive, f"outlived the runner: {alive}"

    def send(self, *messages: Message) -> None:
        for message in messages:
            self._sock.sendall(encode(message))

    def send_bytes(self, data: bytes) -> None:
        self._sock.sendall(data)

    def receive(self) -> Any:
        while not self._messages:
            data = self._sock.recv(65536)
            assert data, f"the runner ended with {self.process.wait(PATIENCE)}"
            self._buffer.feed(data)
            self._messages += [decode(payload, _decoder) for payload in self._buffer.frames()]
        return self._messages.pop(0)

    def until(self, kind: type[M], others: list[Any] | None = None, *, that: Callable[[M], bool] | None = None) -> M:
        """Return the next message of a kind; what comes before it goes to `others`."""
        while True:
            message = self.receive()
            if isinstance(message, kind) and (that is None or that(message)):
                return message
            if others is not None:
                others.append(message)

    def collect(self, number: int = 1, paths: tuple[str, ...] = ()) -> list[str]:
        """Collect and return the ids."""
        self.send(Collect(collection=number, paths=list(paths)))
        pages: list[Any] = []
        last = self.until(Collected, pages, that=lambda page: page.done)
        return [item.id for page in (*pages, last) if isinstance(page, Collected) for item in page.items]

    def work(self, tests: list[int], *, worker: int = 1, collection: int = 1, finish: bool = True, **more: Any) -> None:
        """Start a worker and give it one job, whose number is the worker's times ten."""
        self.send(
            StartWorker(worker=worker, collection=collection, **more),
            RunJob(job=worker * 10, worker=worker, tests=tests),
        )
        if finish:
            self.send(FinishWorker(worker=worker))
