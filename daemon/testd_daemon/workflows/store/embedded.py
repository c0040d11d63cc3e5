"""The embedded store: moto's server in a process of its own, for one run. This is the agent's side of it.

The process ends when the agent does. What a run has put into it is in a journal in the run's state folder, so a store
that is started on the same folder again has it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import TaskStatus

from testd_daemon.errors import DeadlineExpired, ProcessCrashed
from testd_daemon.process import Child, Patience, owned, start
from testd_daemon.workflows.store.address import EMBEDDED_KEY, Address
from testd_daemon.workflows.store.errors import ExtraMissing

__all__ = ["JOURNAL", "MODULES", "PROGRAM", "START", "Embedded", "embedded"]

PROGRAM: Final = "testd_daemon.workflows.store.server"

#: The journal's name in the run's state folder.
JOURNAL: Final = "store.sqlite"
#: What it is made of, beside the standard library.
MODULES: Final = ("boto3", "moto", "flask", "flask_cors")
#: Seconds until it serves: most of a second, on a machine that is not busy. A long journal takes its time.
START: Final = 60.0
#: It ends when its standard input does, and has nothing to put in order.
PATIENCE: Final = Patience(ask=1.0, term=0.2, kill=2.0)
#: How often it is started again before it is left alone.
LIVES: Final = 5


class Embedded:
    """A store that serves. When its process dies, another one takes its place, with the same port and all objects."""

    def __init__(self, folder: Path) -> None:
        """Keep the journal in this folder."""
        self._folder = folder
        self._port = 0
        self.pid = 0

    @property
    def endpoint(self) -> str:
        """The URL that clients take."""
        return f"http://127.0.0.1:{self._port}"

    def address(self, bucket: str, name: str = "embedded") -> Address:
        """Return the address of a bucket in it."""
        return Address(
            name=name, bucket=bucket, endpoint=self.endpoint, access_key=EMBEDDED_KEY, secret_key=EMBEDDED_KEY
        )

    async def serve(self, *, task_status: TaskStatus[None]) -> None:
        """Start it, and again when it has died. Raises ProcessCrashed, DeadlineExpired, OSError if it never starts."""
        await self._live(task_status.started)
        with suppress(ProcessCrashed, DeadlineExpired, OSError):  # whoever uses it is told that it vanished
            for _ in range(LIVES):
                await self._live(_nothing)

    async def _live(self, started: Callable[[], None]) -> None:
        """Start a process, and wait until it ends."""
        child = _start(self._folder / JOURNAL, self._port)
        async with owned(child, ask=partial(_close, child), patience=PATIENCE):
            self._port, self.pid = await _ready(child), child.pid
            started()
            await child.wait()


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Embedded]:
    """Have a store for the length of a block. Raises ExtraMissing, ProcessCrashed, DeadlineExpired, OSError."""
    missing = next((module for module in MODULES if importlib.util.find_spec(module) is None), None)
    if missing:
        raise ExtraMissing(missing)
    await anyio.Path(folder).mkdir(parents=True, exist_ok=True)
    store = Embedded(folder)
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            await tasks.start(store.serve)
            yield store
        except Exception as error:
            failure = error
        finally:
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


def _start(journal: Path, port: int) -> Child:
    argv = [sys.executable, "-m", PROGRAM, str(journal), str(port)]
    # What a user has set for AWS, or for tests with moto, is not meant for it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_", "S3_"))}
    pipe = subprocess.PIPE
    return start(argv, name="embedded store", env=environment, stdin=pipe, stdout=pipe, stderr=pipe)


async def _ready(child: Child) -> int:
    """Return the port on which it serves."""
    assert child.stdout is not None
    with anyio.move_on_after(START):
        await anyio.wait_readable(child.stdout.fileno())
        line = os.read(child.stdout.fileno(), 64)
        if line.strip().isdigit():
            return int(line)
        raise ProcessCrashed("the embedded store", await child.wait(), state="starting", stderr=child.stderr.text)
    raise DeadlineExpired("the start of the embedded store", START, detail=child.stderr.text)


def _nothing() -> None:
    """Tell nobody."""


async def _close(child: Child) -> None:
    """Ask it to end."""
    if child.stdin is not None:
        child.stdin.close()
