"""What a runner's checkpoints below the collected ones depend on. Runs in the agent, and reads no content."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from testd_daemon.agent.freshness import Change, Checkpoint, Record, first_change
from testd_protocol.messages import Dependencies, Stat

__all__ = ["LOWER", "Checkpoints"]

#: Those of which a runner has one each; some kinds of suites have no plugins.
LOWER: Final = (Checkpoint.STARTED, Checkpoint.PLUGINS, Checkpoint.CONFIGURED)


class Checkpoints:
    """A record for each."""

    def __init__(self, make: Callable[[], Record]) -> None:
        """Start with none reached. `make` makes a record of the kind that fits the target."""
        self.records: dict[Checkpoint, Record] = {}
        self.began_ns = 0  # when (wall clock) the lowest one that is made anew began to load
        self._make = make
        self.rewind(Checkpoint.STARTED)

    def rewind(self, checkpoint: Checkpoint) -> None:
        """Forget what this one and all above it depend on: they are made anew."""
        self.records |= {found: self._make() for found in LOWER if found >= checkpoint}
        self.began_ns = time.time_ns()

    def add(self, checkpoint: Checkpoint, message: Dependencies) -> None:
        """Take what a runner told."""
        self.records[checkpoint].add(message, self.began_ns)

    def amend(self, files: Iterable[Stat]) -> None:
        """Take what files are that *configured* has taken in place: its record is another one from now on."""
        self.records[Checkpoint.CONFIGURED] = self.records[Checkpoint.CONFIGURED].amended(files)

    def unreached(self) -> Checkpoint | None:
        """Return the first one above all that have told something, None where all have."""
        reached = max((checkpoint for checkpoint, record in self.records.items() if len(record)), default=0)
        return next((checkpoint for checkpoint in LOWER if checkpoint > reached), None)

    def stale(self) -> tuple[Checkpoint, Change] | None:
        """Return the lowest one that files have changed under, and why."""
        return first_change(self.records)

    def changes(self) -> list[Change]:
        """Return all that has changed."""
        return [change for record in self.records.values() for change in record.changes()]

    def files(self) -> list[str]:
        """Return what they have loaded, read or looked for."""
        return [path for record in self.records.values() for path in record.files()]

    def loaded(self) -> Callable[[str], tuple[int, int] | None]:
        """Return what tells modification time (ns) and size of a file as they have it at this moment, or None."""
        records = list(self.records.values())
        return lambda path: next(filter(None, (record.loaded(path) for record in records)), None)

    def installed(self) -> list[str]:
        """Return the folders of installed modules in which they have looked."""
        return [path for record in self.records.values() for path in record.installed()]

    def folders(self) -> list[str]:
        """Return the folders that user code has listed in them."""
        return [path for record in self.records.values() for path in record.folders()]
