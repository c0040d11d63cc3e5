"""What came of the cases of a run, kept until its results are complete: another agent may have to finish them.

Lines of JSON in a file of the workspace's state folder. Blocks; runs in a thread, but for reading a file that is rarely
there.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

__all__ = ["Entry", "Ledger"]

Entry = dict[str, Any]
#: Seconds after which one that nobody came back for is removed.
FORGOTTEN: Final = 86400.0


class Ledger:
    """The entries of one run. Without a path nothing is kept."""

    def __init__(self, path: str) -> None:
        """Make no file yet."""
        self._path = path

    def read(self) -> Iterator[Entry]:
        """Yield what an earlier agent has kept; what it could not complete is nothing."""
        with contextlib.suppress(FileNotFoundError), open(self._path, encoding="utf-8") as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    yield json.loads(line)

    def keep(self, entries: Iterable[Entry]) -> None:
        """Add entries. Raises OSError."""
        if not self._path:
            return
        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        with open(self._path, "a", encoding="utf-8") as file:
            # in front of each, since the one before may have no end
            file.writelines("\n" + json.dumps(entry) for entry in entries)

    def close(self) -> None:
        """Forget all: the results are complete. What others have left long ago goes, too."""
        with contextlib.suppress(OSError):
            os.remove(self._path)
            with os.scandir(os.path.dirname(self._path)) as others:
                for other in others:
                    if time.time() - other.stat().st_mtime > FORGOTTEN:
                        os.remove(other.path)
