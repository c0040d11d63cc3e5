"""The lines of source files, read once. Runs in stems and workers; standard library only."""

import contextlib
from typing import Dict, List

__all__ = ["Sources"]


class Sources:
    """Source files by their paths; one that cannot be read has no lines."""

    def __init__(self) -> None:
        """Have read nothing."""
        self._known: Dict[str, List[bytes]] = {}

    def lines(self, path: str) -> "List[bytes]":
        """Return a file's lines without their ends. The first one is number 0 here, and 1 everywhere else."""
        lines = self._known.get(path)
        if lines is None:
            lines = []
            with contextlib.suppress(OSError), open(path, "rb") as file:
                lines = file.read().replace(b"\r\n", b"\n").split(b"\n")
            self._known[path] = lines
        return lines
