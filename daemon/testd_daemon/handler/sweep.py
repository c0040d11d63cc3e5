"""Orphans: what a dead agent left behind is found, given a moment, and ended. Runs in the handler.

On Linux the handler is a subreaper: what loses its parent becomes its child, however often it forked. Every child that
is no agent is such an orphan. Elsewhere an orphan goes to the system's first process, and ends by itself, because its
link is closed.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

import anyio

from testd_daemon.process import become_subreaper, children_of_this, descendants, kill_all

__all__ = ["sweep_orphans"]


async def sweep_orphans(ours: Callable[[], set[int]], grace: float) -> None:
    """Wait for children to end; those that are not `ours` are reaped, and killed after `grace` seconds."""
    if not become_subreaper():
        return
    with anyio.open_signal_receiver(signal.SIGCHLD) as ended:
        async for _ in ended:
            while _strays(ours()):
                await anyio.sleep(grace)
                strays = _strays(ours())
                kill_all([pid for stray in strays for pid in (stray, *descendants(stray))])


def _strays(ours: set[int]) -> list[int]:
    """List the children that are not ours and still run; those that have ended are reaped on the way."""
    alive = []
    for pid in children_of_this() - ours:
        with contextlib.suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                alive.append(pid)
    return alive
