"""Carry out the steps that make an environment. Runs in the agent, on its event loop.

What a step prints is kept for the case that it fails, and lines that say how far it is are passed on.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import anyio

from testd_daemon.agent.environments.builder import Step
from testd_daemon.agent.environments.lock import Lock
from testd_daemon.errors import TestdError, describe_status
from testd_daemon.process import Patience, Tail, owned, start

__all__ = ["StepFailed", "perform"]

#: An installer is told to end by TERM, and leaves nothing that counts: the environment is thrown away.
PATIENCE: Final = Patience(ask=0.0, term=1.0, kill=5.0)
#: Bytes of what a step printed that are shown when it fails.
SHOWN: Final = 4 * 1024
#: Lines of uv, pip and R that say how far they are.
_PROGRESS: Final = re.compile(
    r"(Building \S+ @ .*|Building \S+==.*|Building (wheel|editable) for .*started|Resolved .*|Prepared .*"
    r"|Installed \d.*|Downloading .* \([\d.]+ ?[MG]i?B\).*|Installing collected packages: .*"
    r"|\* installing \*\w+\* package .*)"
)
#: The longest line that is passed on, in characters.
_LONGEST: Final = 160


#: Ends with the process that started it (PR_SET_PDEATHSIG), and then is the command: also where that one was killed.
_GUARD: Final = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit("whoever wanted this is gone")
try:
    os.execv(sys.argv[2], sys.argv[2:])
except OSError as error:
    sys.exit("%s: %s" % (sys.argv[2], error.strerror))
"""


class StepFailed(TestdError):
    """A step ended with another status than 0. `detail` is the tail of what it printed."""

    def __init__(self, step: Step, status: int | None, printed: str) -> None:
        """Take the step, how it ended and what it said."""
        super().__init__(f"{step.does} {_said(step, status)}", detail=printed)


def _said(step: Step, status: int | None) -> str:
    return f"failed: {os.path.basename(step.argv[0])} {describe_status(status)}"


async def perform(
    step: Step, *, name: str, cwd: str, environment: Mapping[str, str], lock: Lock, tell: Callable[[str], None]
) -> None:
    """Run a step to its end. Raises StepFailed, OSError where it cannot be started.

    A block that is cancelled meanwhile leaves no process behind.
    """
    reading, writing = os.pipe()
    tail = Tail(SHOWN)
    try:
        try:
            child = start(
                _guarded(step.argv), name=name, env={**environment, **lock.environment}, cwd=cwd,
                pass_fds=[lock.descriptor], stdout=writing, stderr=writing,
            )  # fmt: skip
        finally:
            os.close(writing)
        async with owned(child, patience=PATIENCE), anyio.create_task_group() as tasks:
            tasks.start_soon(_drain, reading, tail, tell)
            await child.wait()
            tasks.cancel_scope.cancel()  # something that it started may hold the pipe open for ever
        _read_rest(reading, tail)
    finally:
        os.close(reading)
    if child.status:
        raise StepFailed(step, child.status, tail.text)


def _guarded(argv: Sequence[str]) -> list[str]:
    """Return a command that does not outlive this process. Elsewhere than on Linux the next builder has to end it."""
    if not os.access(argv[0], os.X_OK):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), argv[0])
    if sys.platform != "linux":
        return list(argv)
    return [sys.executable, "-ISc", _GUARD, str(os.getpid()), *argv]


async def _drain(reading: int, tail: Tail, tell: Callable[[str], None]) -> None:
    os.set_blocking(reading, False)
    begun = b""
    while True:
        await anyio.wait_readable(reading)
        data = os.read(reading, 64 * 1024)
        if not data:
            return
        tail.feed(data)
        *lines, begun = (begun + data).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "replace").strip()
            if _PROGRESS.fullmatch(text):
                tell(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def _read_rest(reading: int, tail: Tail) -> None:
    os.set_blocking(reading, False)
    try:
        while data := os.read(reading, 64 * 1024):
            tail.feed(data)
    except BlockingIOError:
        return
