"""Which files a target has looked into for tests, and as what: so that an edit need not have all of them collected.

Pure; runs in the agent. A file that may hold tests is *unseen* until it was collected as it is now, and each of its
tests has a record. Where tests come from elsewhere than from files of known names nothing is ever seen, and everything
is collected each time.
"""

# Paths as text, not objects: as in the record

from __future__ import annotations

import fnmatch
from collections.abc import Container, Mapping

from testd_daemon.agent.affected.recorder import Moment
from testd_daemon.agent.collection import Collection
from testd_daemon.agent.freshness import GRANULARITY_NS
from testd_daemon.agent.jobs import file_of
from testd_protocol.messages import FileEntry

__all__ = ["Looked"]


class Looked:
    """What one target has collected."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._patterns: tuple[str, ...] = ()
        self._files: dict[str, tuple[str, int]] = {}
        self._decided: dict[str, bool] = {}

    def learn(self, collection: Collection, moment: Moment, recorded: Container[str]) -> None:
        """Take a collection, and what was there when its run was over: what changed meanwhile is not seen.

        `recorded` are the tests that have a record: one that was collected and did not run may be affected.
        """
        if tuple(collection.patterns) != self._patterns:
            self._patterns = tuple(collection.patterns)
            self._files, self._decided = {}, {}
        open_files = dict.fromkeys(file_of(test) for test in collection.ids if test not in recorded)
        unsettled = collection.broken.union(map(collection.path_of, open_files), moment.later)
        for path, entry in self._candidates(moment.entries):
            place = f"{collection.workspace}/{path}"
            if place in unsettled or entry.mtime_ns >= collection.began_ns - GRANULARITY_NS:
                self._files.pop(path, None)
            elif collection.has_looked_at_path(place):
                self._files[path] = entry.content, entry.size

    def unseen(self, entries: Mapping[str, FileEntry]) -> list[str] | None:
        """Return the files that may hold tests and were not collected as they are, None where that cannot be told."""
        if not self._files:
            return None
        return [
            path for path, entry in self._candidates(entries) if self._files.get(path) != (entry.content, entry.size)
        ]

    def _candidates(self, entries: Mapping[str, FileEntry]) -> list[tuple[str, FileEntry]]:
        decided = self._decided
        found = []
        for path, entry in entries.items():
            if entry.kind != "folder":
                may = decided.get(path)
                if may is None:
                    may = decided[path] = self._may_hold_tests(path)
                if may:
                    found.append((path, entry))
        return found

    def _may_hold_tests(self, path: str) -> bool:
        name = path.rpartition("/")[2]
        return any(
            fnmatch.fnmatchcase(f"/{path}", f"*/{pattern}") if "/" in pattern else fnmatch.fnmatchcase(name, pattern)
            for pattern in self._patterns
        )
