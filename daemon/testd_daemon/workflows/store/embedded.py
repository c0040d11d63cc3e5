"""The embedded store: moto's server in a process of its own, for one run. This is the agent's side of it.

The process ends when the agent does. What a run has put into it is in a journal in the run's state folder, so a store
that is started on the same folder again has it.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import anyio

from testd_daemon.errors import DeadlineExpired, ProcessCrashed
from testd_daemon.process import Child, Patience, owned, start
from testd_daemon.workflows.store.address import EMBEDDED_KEY, Address
from testd_daemon.workflows.store.errors import ExtraMissing

__all__ = ["JOURNAL", "MODULES", "PROGRAM", "START", "Embedded", "embedded", "require"]

PROGRAM: Final = "testd_daemon.workflows.store.server"

#: The journal's name in the run's state folder.
JOURNAL: Final = "store.sqlite"
#: What it is made of, beside the standard library.
MODULES: Final = ("boto3", "moto", "flask", "flask_cors")
#: Seconds until it serves: most of a second, on a machine that is not busy. A long journal takes its time.
START: Final = 60.0
#: It ends when its standard input does, and has nothing to put in order.
PATIENCE: Final = Patience(ask=1.0, term=0.2, kill=2.0)
#: How often it is started before it is left alone.
LIVES: Final = 5


class Embedded:
    """A store in a process of its own, which `serve` starts and owns; it waits for `begin`.

    When the process dies, another one takes its place, with the same port and all objects.
    """

    def __init__(self) -> None:
        """Nothing is started yet."""
        self._journal: Path | None = None
        self._begin = anyio.Event()
        self._told = anyio.Event()
        self._failure: Exception | None = None
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

    async def begin(self, folder: Path) -> None:
        """Serve what the journal in a folder has, or begin one. Raises ProcessCrashed, DeadlineExpired, OSError."""
        await anyio.Path(folder).mkdir(parents=True, exist_ok=True)
        self._journal = folder / JOURNAL
        self._begin.set()
        await self._told.wait()
        if not self._port:
            raise self._failure or ProcessCrashed("the embedded store", None, state="starting")

    async def serve(self) -> None:
        """Start it, and again when it has died; whoever uses it in the end is told that it vanished."""
        try:
            for _ in range(LIVES):
                await self._live()
        except (ProcessCrashed, DeadlineExpired, OSError) as error:
            self._failure = error
        finally:
            self._told.set()

    async def _live(self) -> None:
        """Start a process, have it begin when that is wanted, and wait until it ends."""
        child = _start()
        async with owned(child, ask=partial(_close, child), patience=PATIENCE):
            await self._begin.wait()
            try:
                self._port, self.pid = await _order(child, f"{self._port} {self._journal}\n"), child.pid
            except ProcessCrashed as error:
                if error.status is not None and error.status < 0:  # somebody killed it: that costs a start
                    return
                raise
            self._told.set()
            await child.wait()


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Embedded]:
    """Have a store for the length of a block. Raises ExtraMissing, ProcessCrashed, DeadlineExpired, OSError."""
    require()
    store = Embedded()
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            tasks.start_soon(store.serve)
            await store.begin(folder)
            yield store
        except Exception as error:
            failure = error
        finally:
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


def require() -> None:
    """Raise ExtraMissing where what it is made of is not installed."""
    missing = next((module for module in MODULES if importlib.util.find_spec(module) is None), None)
    if missing:
        raise ExtraMissing(missing)


def _start() -> Child:
    # What a user has set for AWS, or for tests with moto, is not meant for it.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_", "S3_"))}
    pipe = subprocess.PIPE
    return start(
        [sys.executable, "-m", PROGRAM], name="embedded store", env=environment, stdin=pipe, stdout=pipe, stderr=pipe
    )


async def _order(child: Child, order: str) -> int:
    """Tell it what to serve; return the port on which it does."""
    assert child.stdin is not None
    assert child.stdout is not None
    with anyio.move_on_after(START):
        with suppress(BrokenPipeError):  # why it ended is told below
            os.write(child.stdin.fileno(), order.encode())
        await anyio.wait_readable(child.stdout.fileno())
        line = os.read(child.stdout.fileno(), 64)
        if line.strip().isdigit():
            return int(line)
        raise ProcessCrashed("the embedded store", await child.wait(), state="starting", stderr=child.stderr.text)
    raise DeadlineExpired("the start of the embedded store", START, detail=child.stderr.text)


async def _close(child: Child) -> None:
    """Ask it to end."""
    if child.stdin is not None:
        child.stdin.close()
