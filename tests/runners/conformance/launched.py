"""Starts a runner as its launcher describes it, and speaks with it as an agent does."""

from __future__ import annotations

import os
import select
import socket
import subprocess
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import psutil
from projects import PYTHON, Project

from house import survivors
from testd.framing import FrameBuffer
from testd_daemon.agent.mirror import Scanner
from testd_daemon.agent.mirror.contents import pieces
from testd_protocol.framing import decode, decoder, encode
from testd_protocol.messages import (
    Collect,
    Collected,
    ConfigureRunner,
    FilesSynced,
    FilesWanted,
    FinishWorker,
    Message,
    Ready,
    RunJob,
    RunnerMessage,
    StartWorker,
    SyncFiles,
    WriteFiles,
)
from testd_runners import bundle
from testd_runners.choose import choose
from testd_runners.launcher import Command, LaunchSettings, with_channel

#: How long any one answer may take, in seconds: far more than it needs on a busy machine.
PATIENCE = 60.0
_decoder = decoder(RunnerMessage)
_launches = count(1)
_syncs = count(1)


class Place(NamedTuple):
    """Where a runner of a kind can be started, and how to see what is there."""

    kind: str
    runtime: str
    version: str
    options: Mapping[str, str] = {}
    environment: Mapping[str, str] = {}  # what the command needs beside the tests' own
    extend: bool = False  # user code has the environment of the place
    project: Project = PYTHON  # in the language that it runs
    alone: bool = False  # each worker is a new process (mode bin)
    #: What a launch has left behind, waiting for it to go; and what runs, if that is not below the process here.
    left: Callable[[str], list[str]] = lambda launch_id: []
    inside: Callable[[str], list[str]] = lambda launch_id: []


class Line:
    """This end of a runner's channel: a socket, or the pipes from its stdout and to its stdin."""

    def __init__(self, reader: int, writer: int) -> None:
        self._reader, self._writer = reader, writer

    def send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._writer, rest) :]

    def wait(self) -> None:
        """Wait until there is something to read, or the end."""
        assert select.select([self._reader], [], [], PATIENCE)[0], "the runner says nothing"

    def receive(self) -> bytes:
        self.wait()
        return os.read(self._reader, 65536)

    def close(self) -> None:
        for descriptor in {self._reader, self._writer}:
            os.close(descriptor)


def _start(command: Command) -> tuple[subprocess.Popen[bytes], Line]:
    """Start what a launcher describes, with its channel."""
    settings: dict[str, Any] = {"env": dict(command.env), "cwd": command.cwd, "start_new_session": True}
    if command.channel == "stdio":
        reader, told = os.pipe()
        heard, writer = os.pipe()
        process = subprocess.Popen(command.argv, stdin=heard, stdout=told, **settings)
        os.close(heard)
        os.close(told)
        return process, Line(reader, writer)
    near, far = socket.socketpair()
    none = subprocess.DEVNULL
    with far:
        argv = with_channel(command, far.fileno())
        process = subprocess.Popen(argv, pass_fds=[far.fileno()], stdin=none, stdout=none, **settings)
    end = near.detach()
    return process, Line(end, end)


class Launched:
    """One runner. Leaving the block closes the channel, and checks that nothing outlives it."""

    def __init__(self, place: Place, root: Path, cache: Path, **settings: Any) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "TESTD_"))}
        launch_id = f"test-{os.getpid()}-{next(_launches)}"
        launch = LaunchSettings(
            place.runtime, bundle.unpack(str(cache)), str(root), {**environment, **place.environment}, place.options,
            launch_id,
        )  # fmt: skip
        launcher = choose(place.kind)
        if not launcher.shares_disk:
            launch = launch._replace(archive=bundle.archive())
        command = launcher.command(launch)
        self.process, self.line = _start(command)
        self.line.send(command.preamble)
        self._place = place
        self._launch_id = launch_id
        self._command = command
        self._buffer = FrameBuffer()
        self._messages: list[Any] = []
        self._paths: list[Path] = []
        self._ids: list[str] = []
        self._root = str(root)
        self._scanner = None if launcher.shares_disk else Scanner(self._root)
        where = str(root) if launcher.shares_disk else ""
        self.send(
            ConfigureRunner(
                **{"kind": "exports", "mode": "worker", "root": where, "cwd": where,
                   "mirror": "" if launcher.shares_disk else f"{launch_id}/{root.name}",
                   "environment": {} if place.extend else environment, "extend": place.extend, **settings}
            )
        )  # fmt: skip
        try:
            self.ready = self.until(Ready)
        except BaseException:  # nobody has it yet who could end it
            self.line.close()
            self.process.kill()
            self.process.wait()
            raise

    def __enter__(self) -> Launched:  # noqa: PYI034  typing has no Self in 3.10
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        family = psutil.Process(self.process.pid).children(recursive=True) if self.process.poll() is None else []
        self.line.close()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
        try:
            alive = [*survivors(family, PATIENCE), *self._place.left(self._launch_id)]
        finally:
            for cleanup in self._command.cleanup:
                subprocess.run(cleanup, check=False, timeout=PATIENCE, env=dict(self._command.env), capture_output=True)
        assert not alive, f"outlived the runner: {alive}"

    def inside(self) -> list[str]:
        """Return what runs because of this runner, beside itself."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        return self._place.inside(self._launch_id) or [str(process) for process in family]

    def send(self, *messages: Message) -> None:
        for message in messages:
            self.line.send(encode(message))

    def send_bytes(self, data: bytes) -> None:
        self.line.send(data)

    def receive(self) -> Any:
        while not self._messages:
            data = self.line.receive()
            assert data, f"the runner ended with {self.process.wait(PATIENCE)}"
            self._buffer.feed(data)
            self._messages += [decode(payload, _decoder) for payload in self._buffer.frames()]
        return self._messages.pop(0)

    def until(self, kind: Any, others: list[Any] | None = None, *, that: Callable[[Any], bool] | None = None) -> Any:
        """Return the next message of a kind; what comes before it goes to `others`."""
        while True:
            message = self.receive()
            if isinstance(message, kind) and (that is None or that(message)):
                return message
            if others is not None:
                others.append(message)

    def bring_files(self) -> None:
        """Bring the workspace to a target that shares no disk: all of it, whatever is there."""
        if self._scanner is None:
            return
        entries = self._scanner.look().entries
        files = {entry.content: os.path.join(self._root, path) for path, entry in entries.items()}
        number = next(_syncs)
        self.send(SyncFiles(id=number, entries=list(entries.values()), whole=True, done=True))
        answer = self.until(FilesWanted | FilesSynced)
        if isinstance(answer, FilesWanted):
            for batch in pieces((digest, files[digest]) for digest in answer.digests):
                self.send(WriteFiles(id=number, contents=batch))
            answer = self.until(FilesSynced)
        assert answer.id == number

    def there(self, path: Path) -> str:
        """Return where a path of the workspace is on the target."""
        return str(path).replace(self._root, self.ready.root or self._root, 1)

    def collect(self, number: int = 1, paths: tuple[str, ...] = ()) -> list[str]:
        """Collect and return the ids."""
        self.bring_files()
        self.send(Collect(collection=number, paths=list(paths)))
        pages: list[Any] = []
        last = self.until(Collected, pages, that=lambda page: page.done)
        self._ids = [item.id for page in (*pages, last) if isinstance(page, Collected) for item in page.items]
        return self._ids

    def work(self, tests: list[int], *, worker: int = 1, collection: int = 1, finish: bool = True, **more: Any) -> None:
        """Start a worker and give it one job, whose number is the worker's times ten."""
        ids = [self._ids[test] for test in tests] if self._place.alone else []
        paths = sorted({found.partition("::")[0] for found in ids})
        self.send(
            StartWorker(worker=worker, collection=collection, paths=paths, **more),
            RunJob(job=worker * 10, worker=worker, tests=tests, ids=ids),
        )
        if finish:
            self.send(FinishWorker(worker=worker))
