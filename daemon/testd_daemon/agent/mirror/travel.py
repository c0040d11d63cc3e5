"""How far the files of a sync have come, for people. Pure; used in the agent."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from testd_protocol.messages import FileEntry

__all__ = ["Tell", "Travel", "tell_nobody"]

#: Takes a few words, and how many of how many there are (0 of 0: nothing is counted).
Tell = Callable[[str, int, int], None]

_MIB = 1024 * 1024


def tell_nobody(text: str, done: int, total: int) -> None:
    """Take what a sync says of how far it is where nobody waits for it."""


class Travel:
    """What travels in one sync, and what of it is there."""

    def __init__(self, tell: Tell) -> None:
        """Tell `tell` how far it is, as often as the target says so."""
        self._tell = tell
        self._files = 0
        self._size = 0

    def looking(self) -> None:
        """Say that the workspace is looked through, which takes a while the first time."""
        self._tell("looking through the workspace's files", 0, 0)

    def add(self, entries: Iterable[FileEntry]) -> None:
        """Take note of files that are on their way from now on."""
        for entry in entries:
            self._files += 1
            self._size += entry.size

    def received(self, files: int, size: int) -> None:
        """Say how many files and bytes are there."""
        text = f"{files:,} of {self._files:,} file{'s' * (self._files != 1)}"
        if self._size >= _MIB:
            text += f", {size // _MIB:,} of {self._size // _MIB:,} MiB"
        self._tell(text, files, self._files)
