"""What checkpoints loaded from outside of a mirrored workspace: only this host can tell whether it has changed.

Runs in the supervisor. Standard library only. The agent compares what is inside itself, by what it sent.
"""

import os
from typing import Any, Dict, Iterable, List, Tuple

from testd.runner.dependencies import listing

__all__ = ["Outside", "changed_directory", "changed_file"]

_CHECKPOINTS = ("started", "plugins", "configured")  # from the first; collected ones lie above them
_MISSING = -1


class Outside:
    """Files and directories by the checkpoint that depends on them."""

    def __init__(self, root: str) -> None:
        """Know of nothing; `root` is where the workspace is on this host."""
        self._root = root
        self._inside = root + "/"
        self._files: Dict[Tuple[str, int], List[Tuple[str, int, int, int]]] = {}
        self._directories: Dict[Tuple[str, int], List[List[Any]]] = {}

    def keep(self, message: "Dict[str, Any]") -> "Dict[str, Any]":
        """Keep what a `Dependencies` message says of the outside; return the rest, which is for the agent."""
        key = self._key(message["checkpoint"], message["collection"])
        files, directories = message["files"], message["directories"]
        self._files.setdefault(key, []).extend(tuple(file) for file in files if not self._is_inside(file[0]))
        self._directories.setdefault(key, []).extend(list(d) for d in directories if not self._is_inside(d[0]))
        return dict(
            message,
            files=[file for file in files if self._is_inside(file[0])],
            directories=[directory for directory in directories if self._is_inside(directory[0])],
        )

    def drop(self, message: "Dict[str, Any]") -> None:
        """Forget the checkpoints that a `DropCollection` ends."""
        gone = {("collected", message["collection"])}
        stale = [n for n, name in enumerate(_CHECKPOINTS) if message.get(name)]
        if stale:
            kept = _CHECKPOINTS[: stale[0]]
            gone = {key for key in (*self._files, *self._directories) if key[0] not in kept}
        for key in gone:
            self._files.pop(key, None)
            self._directories.pop(key, None)

    def outdated(self) -> "List[List[Any]]":
        """Return `[checkpoint, collection, path]` of each checkpoint of which something has changed."""
        found = []
        for key, files in self._files.items():
            path = changed_file(files) or changed_directory(self._directories.get(key, ()))
            if path:
                found.append([*key, path])
        return found

    def _is_inside(self, path: str) -> bool:
        return path.startswith(self._inside) or path == self._root

    @staticmethod
    def _key(checkpoint: str, collection: int) -> "Tuple[str, int]":
        return checkpoint, collection if checkpoint == "collected" else 0


def changed_directory(directories: "Iterable[List[Any]]") -> str:
    """Return a directory whose names are not what they were, empty if there is none; a new time is noted."""
    for directory in directories:
        path, mtime, names, everything = directory
        try:
            now = os.stat(path).st_mtime_ns
        except OSError:
            if mtime == _MISSING:
                continue
            return str(path)
        if now != mtime:
            if listing(path, everything) != names:
                return str(path)
            directory[1] = now
    return ""


def changed_file(files: "Iterable[Tuple[str, int, int, int]]") -> str:
    """Return a file that is not what it was, empty if there is none."""
    for path, mtime, size, mode in files:
        try:
            now = os.stat(path)
        except OSError:
            if mtime == _MISSING:
                continue
            return path
        if now.st_mtime_ns != mtime or now.st_size != size or (now.st_mode & 0o7777 != mode and mode >= 0):
            return path
    return ""
