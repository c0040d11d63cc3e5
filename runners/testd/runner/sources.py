"""The lines of source files, read once. Runs in stems and workers; standard library only."""

import contextlib
import os
import time
from typing import Dict, List, Tuple

from testd.runner.dependencies import GRANULARITY_NS

__all__ = ["Sources"]

_open, _time_ns = open, time.time_ns  # taken before anybody can replace them


class Sources:
    """Source files by their paths; one that cannot be read has no lines."""

    def __init__(self) -> None:
        """Have read nothing."""
        self._known: Dict[str, List[bytes]] = {}
        self._moments: Dict[str, Tuple[int, ...]] = {}

    def lines(self, path: str) -> "List[bytes]":
        """Return a file's lines without their ends. The first one is number 0 here, and 1 everywhere else."""
        lines = self._known.get(path)
        if lines is None:
            lines = []
            with contextlib.suppress(OSError), _open(path, "rb") as file:
                lines = file.read().replace(b"\r\n", b"\n").split(b"\n")
            self._known[path] = lines
        return lines

    def forget(self, path: str) -> None:
        """Read a file again when it is next asked for."""
        self._known.pop(path, None)
        self._moments.pop(path, None)

    def moment(self, path: str) -> "Tuple[int, ...]":
        """Return modification time (ns) and size of a file when it was first asked for, or nothing where they lie.

        They may where it was written just now: what is written next may have the same.
        """
        moment = self._moments.get(path)
        if moment is None:
            moment = ()
            with contextlib.suppress(OSError):
                found = os.stat(path)
                if found.st_mtime_ns < _time_ns() - GRANULARITY_NS:
                    moment = found.st_mtime_ns, found.st_size
            self._moments[path] = moment
        return moment
