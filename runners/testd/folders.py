"""Temporary folders of tests, which no crash leaves behind for ever. Runs in the user's process.

A folder is locked as long as its process lives; the kernel lets go of the lock whatever ends the process. The first
folder of a process sweeps away those that nobody holds any more.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from time import time  # a reference: tests that freeze time replace the attribute

__all__ = ["Folder", "sweep"]

_PREFIX = "testd-test-"
#: Folders that one sweep removes at most: no test waits for the remains of a thousand others.
_SWEPT = 20
#: Seconds for which a folder is not swept: it may not be locked yet.
_YOUNG = 60.0
_swept_in = 0


class Folder:
    """A new empty folder, held by this process."""

    def __init__(self) -> None:
        """Make the folder, in the usual place for temporary files."""
        global _swept_in
        if _swept_in != os.getpid():
            _swept_in = os.getpid()
            sweep(tempfile.gettempdir())
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._lock = os.open(self.path, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def remove(self) -> None:
        """Remove the folder and all that is in it; what cannot be removed is left to the next sweep."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def sweep(place: str) -> None:
    """Remove this user's folders in `place` whose processes are gone; those of the last minute stay."""
    with os.scandir(place) as entries:
        left = [entry.path for entry in entries if entry.name.startswith(_PREFIX) and _may_be_left(entry)]
    for path in left[:_SWEPT]:
        try:
            lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except OSError:
            continue  # its owner was quicker
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue  # somebody holds it
        finally:
            os.close(lock)


def _may_be_left(entry: os.DirEntry[str]) -> bool:
    try:
        found = entry.stat(follow_symlinks=False)
        return entry.is_dir(follow_symlinks=False) and found.st_uid == os.getuid() and found.st_mtime < time() - _YOUNG
    except OSError:
        return False
