"""Whether somebody still looks at the store of a run that is over. Runs in the agent, and in users' tests.

Who looks holds a lock on a file in the run's folder; the kernel lets go of it however the process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Final

__all__ = ["Hold", "held"]

_FILE: Final = "held"


class Hold:
    """A lock on a run's folder, from its making until `release`."""

    def __init__(self, folder: Path) -> None:
        """Take it, beside others. Raises OSError."""
        self._file = os.open(folder / _FILE, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def release(self) -> None:
        """Let go of it."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def held(folder: Path) -> bool:
    """Whether anybody holds a run's folder."""
    try:
        file = os.open(folder / _FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        with contextlib.suppress(OSError):
            os.close(file)
    return False
