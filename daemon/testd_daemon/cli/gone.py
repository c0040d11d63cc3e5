"""Wait until a process that is not our child has ended. Runs in the client."""

from __future__ import annotations

import errno
import os
import time

from testd_daemon.errors import DeadlineExpired


def wait_until_gone(pid: int, deadline: float) -> None:
    """Wait until the daemon's process has ended. Raises DeadlineExpired after `deadline` seconds."""
    until = time.monotonic() + deadline
    pause = 0.005
    while _runs(pid):
        if time.monotonic() >= until:
            raise DeadlineExpired(
                f"the end of the daemon (pid {pid})",
                deadline,
                hint=f"`testd logs` may say why; `kill -9 {pid}` ends it.",
            )
        time.sleep(pause)
        pause = min(0.1, pause * 1.5)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError as error:
        return error.errno != errno.ESRCH
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Tell whether a process has ended and only waits for its parent to look: some containers' init never does."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - as in here.py
            return file.read().rpartition(b")")[2].split()[:1] == [b"Z"]
    except OSError:
        return False


__all__ = ["wait_until_gone"]
