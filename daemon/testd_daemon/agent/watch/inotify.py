"""In which folders of the workspace something happened, by Linux's inotify. Runs in the agent, on its event loop.

One watch for each folder; a file's own change is told by its folder. Nothing is read from files here: what an event
means is found out by looking, so an event too many costs a look, and never a wrong answer.
"""

# Paths as text, not objects: a workspace has thousands of folders

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from typing import Final

import anyio
import anyio.to_thread
from inotify_simple import INotify, flags  # type: ignore[import-untyped]  # it has no types

__all__ = ["Notifier", "TooManyWatchesError"]

_MASK: Final = (
    flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO | flags.CLOSE_WRITE | flags.MODIFY | flags.ATTRIB
    | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR | flags.EXCL_UNLINK
)  # fmt: skip
_LOST: Final = flags.Q_OVERFLOW | flags.UNMOUNT


class TooManyWatchesError(OSError):
    """The kernel gives this user no more watches."""


class Notifier:
    """Watches on folders. Close it when it is done with."""

    def __init__(self, root: str) -> None:
        """Watch nothing yet; `root` is the workspace. Raises OSError where the kernel has no more instances."""
        self._root = root
        self._inotify = INotify(nonblocking=True)
        self._paths: dict[int, str] = {}
        self._watches: dict[str, int] = {}

    @classmethod
    async def open(cls, root: str) -> Notifier:
        """Make one in a thread: to find the C library, the first one looks for it with programs."""
        return await anyio.to_thread.run_sync(cls, root)

    def close(self) -> None:
        """Watch nothing more."""
        self._inotify.close()

    def watch(self, folders: Iterable[str]) -> list[str]:
        """Watch these folders, paths in the workspace, beside what is watched; return the new ones.

        Raises TooManyWatchesError.
        """
        new = []
        for path in folders:
            if path in self._watches:
                continue
            try:
                watch = self._inotify.add_watch(os.path.join(self._root, path), _MASK)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise TooManyWatchesError(error.errno, "no more watches") from error
                continue  # gone again, or not to be read: its own folder has told, or it is told as a notice
            self._forget(self._paths.get(watch, ""), watch)
            self._paths[watch] = path
            self._watches[path] = watch
            new.append(path)
        return new

    def _forget(self, path: str, watch: int) -> None:
        """Drop what is known of a watch. A folder that was moved away goes on telling, until it is let go."""
        if self._watches.get(path) == watch:
            del self._watches[path]
        self._paths.pop(watch, None)

    async def wait(self) -> None:
        """Wait until something has happened. Costs nothing meanwhile."""
        await anyio.wait_readable(self._inotify.fileno())

    def read(self) -> set[str] | None:
        """Return the folders in which something happened, None where some of that was lost: look everywhere."""
        found: set[str] = set()
        lost = False
        for event in self._inotify.read(timeout=0):
            lost = lost or bool(event.mask & _LOST)
            path = self._paths.get(event.wd)
            if path is None:
                continue
            found.add(path)
            if event.mask & (flags.DELETE_SELF | flags.MOVE_SELF | flags.IGNORED):
                found.add(os.path.dirname(path))
                self._forget(path, event.wd)
        return None if lost else found
