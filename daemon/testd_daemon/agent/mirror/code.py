"""Code that is not in the workspace and travels with it: a folder that never changes, such as a commit's files.

Runs in the agent. On the target it is in a folder of its own below the workspace's copy.
"""

from __future__ import annotations

import os
from pathlib import PurePosixPath
from typing import Final

import msgspec

from testd_daemon.agent.mirror.scan import Scanner
from testd_protocol.messages import FileEntry

__all__ = ["CodeFolder", "code_path"]

#: Where it is, as seen from the workspace's copy.
_PLACE: Final = ".testd/code"
_FOLDER_MODE: Final = 0o755


def code_path(folder: str) -> str:
    """Return where a folder of code is on the target, as seen from the workspace's copy."""
    return f"{_PLACE}/{os.path.basename(folder)}"


class CodeFolder:
    """One folder of code; without a name there is none."""

    def __init__(self, folder: str) -> None:
        """Look at nothing yet."""
        self._folder = folder
        self._path = code_path(folder)
        self._entries: dict[str, FileEntry] = {}  # the same objects at each look

    async def entries(self) -> dict[str, FileEntry]:
        """Return what is to be on the target, by path."""
        if self._folder and not self._entries:
            snapshot = await Scanner(self._folder, tracked=True).scan()
            for path in (*map(str, reversed(PurePosixPath(self._path).parents[:-1])), self._path):
                self._entries[path] = FileEntry(path, "folder", _FOLDER_MODE, 0, 0, "")
            for entry in snapshot.entries.values():
                path = f"{self._path}/{entry.path}"
                self._entries[path] = msgspec.structs.replace(entry, path=path)
        return self._entries

    def here(self, path: str, workspace: str) -> str:
        """Return where a path of the copy is on this machine."""
        if self._folder and path.startswith(self._path + "/"):
            return self._folder + path[len(self._path) :]
        return os.path.join(workspace, path)
