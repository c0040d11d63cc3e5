"""What each run file is while it is run: by that our own writing is told from somebody else's. Pure but `of`.

A run writes what comes of items into their file, and whoever put the file there may put another one in its place at the
same moment.
"""

from __future__ import annotations

import os
from typing import NamedTuple

__all__ = ["Identities", "Identity"]


class Identity(NamedTuple):
    """What is another one for each file that is put in a place, and for each change of one."""

    inode: int
    size: int
    changed: int  # nanoseconds

    @classmethod
    def of(cls, found: os.stat_result) -> Identity:
        """Take it out of what the system says."""
        return cls(found.st_ino, found.st_size, found.st_mtime_ns)


class Identities:
    """The files that are run, by absolute path. Each call is one step, so threads may share it."""

    def __init__(self) -> None:
        """Know of none."""
        self._known: dict[str, tuple[Identity, ...]] = {}  # the newest, and the one before, which may still be there
        self._expected: set[str] = set()

    def expect(self, path: str, identity: Identity) -> None:
        """Take note of a file that a run is asked for; whoever expects it says when it is `over`."""
        self._expected.add(path)
        self._known[path] = (identity,)

    def over(self, path: str) -> Identity | None:
        """Expect a file no longer; return what it was last, as far as we know."""
        self._expected.discard(path)
        known = self._known.pop(path, None)
        return known[-1] if known is not None else None

    def read(self, path: str, identity: Identity) -> None:
        """Take note that a run has read a file, which was this one."""
        self._known.setdefault(path, (identity,))

    def written(self, path: str, identity: Identity) -> None:
        """Take note that a run is about to write a file, which will be this one."""
        if path in self._known:
            self._known[path] = (self._known[path][-1], identity)

    def left(self, path: str) -> None:
        """Take note that a run will write a file no more."""
        if path not in self._expected:
            self._known.pop(path, None)

    def foreign(self, path: str, identity: Identity) -> bool:
        """Tell whether a file is another one than we know of."""
        return path in self._known and identity not in self._known[path]
