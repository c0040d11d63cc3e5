"""Run a command to its end and take what it says: a short one, that only looks at something.

Runs in the agent and in verbs of the client that may take their time. Whatever the command started is gone when this
returns, also where it hangs or the caller is cancelled.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import anyio

from testd_daemon.process import Patience, owned, reap_adopted, start

__all__ = ["MOST", "Finished", "run"]

#: Bytes of its output that are taken; what goes on and on is cut here.
MOST: Final = 1024 * 1024
#: Nothing is lost where a command that only looks is killed.
_PATIENCE: Final = Patience(ask=0.0, term=0.2, kill=5.0)


@dataclass(frozen=True)
class Finished:
    """How a command ended. `status` is negative for a signal; `error` is the tail of what went to descriptor 2."""

    status: int
    output: str
    error: str


async def run(
    argv: Sequence[str], *, deadline: float, env: Mapping[str, str] | None = None, cwd: str = "/"
) -> Finished:
    """Run a command. Raises TimeoutError after `deadline` seconds, OSError where it cannot be started."""
    output = bytearray()
    child = start(
        argv,
        name=argv[0].rpartition("/")[2],
        env=env,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    reading = child.stdout.fileno()
    os.set_blocking(reading, False)
    with anyio.fail_after(deadline):
        async with owned(child, patience=_PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_drain, reading, output)
                await child.wait()
                tasks.cancel_scope.cancel()  # something that left its group may hold the pipe open
            _take(reading, output)
            await anyio.lowlevel.checkpoint()  # descriptor 2 is at its end: one more turn for who reads it
    reap_adopted()
    assert child.status is not None
    return Finished(child.status, output.decode("utf-8", "replace").strip(), child.stderr.text)


async def _drain(reading: int, output: bytearray) -> None:
    while True:
        await anyio.wait_readable(reading)
        if not _take(reading, output):
            return


def _take(reading: int, output: bytearray) -> bool:
    """Read what is there; tell whether more may come."""
    try:
        while data := os.read(reading, 64 * 1024):
            output += data[: max(0, MOST - len(output))]
    except BlockingIOError:
        return True
    return False
