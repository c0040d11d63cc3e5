"""What has changed since a checkpoint loaded it. Runs in the agent; reads file times, never content.

A runner tells what each checkpoint (started, plugins, configured, collected) has loaded or listed. Before each run the
agent looks at all of it again. The deepest checkpoint that nothing has touched is where the work goes on from; an entry
that cannot be trusted counts as changed: a file that was written while, or just before, it was read may have been read
in part, and its time says nothing.
"""

# Paths as text, not objects: ten thousand files are looked at before each run: no objects

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final

from testd.runner.dependencies import GRANULARITY_NS, listing
from testd_protocol.messages import Dependencies, Directory, Stat

__all__ = ["GRANULARITY_NS", "Change", "Checkpoint", "Record", "first_change", "settling"]

#: Seconds more that are waited for that, so as not to be too early.
_MARGIN: Final = 0.001
_MISSING: Final = -1
#: Never equal to a real modification time.
_SUSPECT: Final = -2


class Checkpoint(IntEnum):
    """How far a start has come."""

    STARTED = 1
    PLUGINS = 2
    CONFIGURED = 3
    COLLECTED = 4


class Change(str):
    """The path that changed; its text is what a user is told."""

    __slots__ = ()


class Record:
    """What one checkpoint depends on."""

    __slots__ = ("_directories", "_entries", "_files", "_within")

    def __init__(self, within: str = "") -> None:
        """Start with nothing known, which is fresh.

        `within`: the one folder that this machine and the target share. What is elsewhere cannot be looked at from
        here; in an image it does not change, and another image is another runner.
        """
        self._within = within + os.sep if within else ""
        self._files: dict[str, tuple[int, int, int]] = {}
        self._directories: dict[str, Directory] = {}
        self._entries = 0

    def add(self, message: Dependencies, began_ns: int) -> None:
        """Take what a runner told. `began_ns` is when (wall clock) the checkpoint began to load.

        A checkpoint may be reached more than once, and what was forked from the first one stay: what was not the same
        each time counts as changed.
        """
        self._entries += len(message.files) + len(message.directories)
        for file in message.files:
            if file.path.startswith(self._within):
                self._add_file(file, began_ns)
        for directory in message.directories:
            if (directory.path + os.sep).startswith(self._within):
                self._add_directory(directory)

    def _add_file(self, file: Stat, began_ns: int) -> None:
        suspect = file.mtime_ns != _MISSING and not 0 <= file.mtime_ns < began_ns - GRANULARITY_NS
        found = (_SUSPECT if suspect else file.mtime_ns, file.size, file.mode)
        if self._files.setdefault(file.path, found) != found:
            self._files[file.path] = (_SUSPECT, file.size, file.mode)

    def _add_directory(self, directory: Directory) -> None:
        known = self._directories.get(directory.path)
        if known is None or known.names == directory.names or known.everything != directory.everything:
            self._directories[directory.path] = directory

    def __len__(self) -> int:
        """How many files and directories were told."""
        return self._entries

    def files(self) -> list[str]:
        """Return the files that were loaded, read or looked for, as far as this machine can see them."""
        return list(self._files)

    def loaded(self, path: str) -> tuple[int, int] | None:
        """Return modification time (ns) and size of a file as it was loaded, None where that is not certain."""
        mtime, size, _ = self._files.get(path, (_MISSING, 0, 0))
        return (mtime, size) if mtime >= 0 else None

    def installed(self) -> list[str]:
        """Return the folders of installed modules in which the import machinery has looked."""
        return [path for path in self._directories if path.endswith("-packages")]

    def folders(self) -> list[str]:
        """Return the folders of which user code has asked for all names."""
        return [path for path, directory in self._directories.items() if directory.everything]

    def change(self) -> Change | None:
        """Return the first entry that is not as it was, None if all are."""
        return next(self._changed(), None)

    def changes(self) -> list[Change]:
        """Return every entry that is not as it was."""
        return list(self._changed())

    def updated(self, other: Record) -> Record:
        """Return a record of both, where the other one counts for what is in both."""
        made = Record()
        made._within, made._entries = self._within, self._entries + other._entries
        made._files = self._files | other._files
        made._directories = self._directories | other._directories
        return made

    def amended(self, files: Iterable[Stat]) -> Record:
        """Return a record in which these files are what they are said to be. This one stays what it is."""
        made = Record()
        made._files = {file.path: (file.mtime_ns, file.size, file.mode) for file in files}
        return self.updated(made)

    def _changed(self) -> Iterator[Change]:
        stat = os.stat
        for path, (mtime, size, mode) in self._files.items():
            try:
                now = stat(path)
            except OSError:
                if mtime != _MISSING:
                    yield Change(path)
                continue
            if now.st_mtime_ns != mtime or now.st_size != size or (now.st_mode & 0o7777 != mode and mode >= 0):
                yield Change(path)
        for path, directory in list(self._directories.items()):
            if self._directory_changed(path, directory):
                yield Change(path)

    def _directory_changed(self, path: str, directory: Directory) -> bool:
        """Compare the listing, but only where the time moved: a cache that was written moves it, and is no change."""
        try:
            mtime = os.stat(path).st_mtime_ns
        except OSError:
            return directory.mtime_ns != _MISSING
        if mtime == directory.mtime_ns:
            return False
        if listing(path, directory.everything) != directory.names:
            return True
        if mtime < time.time_ns() - GRANULARITY_NS:  # else another change could still get the same time
            self._directories[path] = Directory(path, mtime, directory.names, directory.everything)
        return False


def settling(paths: Iterable[str]) -> float:
    """Return the seconds until another write to these files would have another time than the last one had."""
    moments = []
    for path in paths:
        with contextlib.suppress(OSError):
            found = os.stat(path)
            moments.append(max(found.st_mtime_ns, found.st_ctime_ns))
    return max(0.0, (max(moments, default=0) + GRANULARITY_NS - time.time_ns()) / 1e9 + _MARGIN)


def first_change(records: dict[Checkpoint, Record]) -> tuple[Checkpoint, Change] | None:
    """Return the lowest checkpoint that is stale and why, None if everything is fresh."""
    for checkpoint in sorted(records):
        change = records[checkpoint].change()
        if change is not None:
            return checkpoint, change
    return None

