"""What a checkpoint on a mirroring target depends on, and whether that has changed since. Pure; runs in the agent.

Inside of the workspace the agent knows without asking: a change is what it sends. What was loaded from elsewhere on
the target is compared there, and told with each sync.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from testd.runner.dependencies import matters
from testd_daemon.agent.freshness import Change, Record
from testd_protocol.messages import Dependencies, Directory

__all__ = ["MirroredRecord"]


class MirroredRecord(Record):
    """What one checkpoint loaded from the mirror."""

    __slots__ = ("_change", "_inside", "_listed", "_prefix", "_told")

    def __init__(self, root: str) -> None:
        """Start with nothing known, which is fresh. `root` is the workspace: paths are told as they are here."""
        super().__init__()
        self._prefix = root + "/"
        self._inside: set[str] = set()
        self._listed: dict[str, Directory] = {}
        self._change: Change | None = None
        self._told = 0

    def add(self, message: Dependencies, began_ns: int) -> None:
        """Take what a runner told."""
        self._told += 1
        self._inside.update(self._relative(file.path) for file in message.files)
        for directory in message.directories:
            self._listed[self._relative(directory.path)] = directory

    def __len__(self) -> int:
        """How much was told; even nothing is something that was told."""
        return self._told

    def files(self) -> list[str]:
        """Return the files of the workspace that were loaded, read or looked for."""
        return [self._prefix + path for path in self._inside if path]

    def folders(self) -> list[str]:
        """Return the folders of the workspace of which user code has asked for all names."""
        return [self._prefix + path for path, directory in self._listed.items() if directory.everything]

    def change(self) -> Change | None:
        """Return the first that is known to have changed, None if nothing is."""
        return self._change

    def changes(self) -> list[Change]:
        """Return what is known to have changed: only the first of it is."""
        return [] if self._change is None else [self._change]

    def note(self, changed: Iterable[str], reshaped: Mapping[str, bool]) -> None:
        """Take which paths are not as they were; `reshaped` are those that appeared or went, and whether a folder."""
        path = next((path for path in changed if path in self._inside), "")
        path = path or next((path for path, folder in reshaped.items() if self._shown(path, folder=folder)), "")
        if path:
            self.outdate(path)

    def outdate(self, path: str) -> None:
        """Take that something else has changed."""
        self._change = self._change or Change(path)

    def _shown(self, path: str, *, folder: bool) -> bool:
        """Tell whether a listing that the checkpoint has seen would show this path, or no longer."""
        above, _, name = path.rpartition("/")
        listed = self._listed.get(above)
        return listed is not None and matters(name, folder=folder, everything=listed.everything)

    def _relative(self, path: str) -> str:
        return path[len(self._prefix) :] if path.startswith(self._prefix) else ""
