"""On which state of the workspace a run's outcomes are: written into the history behind the run. Runs in the agent.

The memory of what tests depend on finds out which files have changed, once the run is over and its target has told all
there is. The history has the outcomes by then, and gets the generation, and for each change of a verdict the files that
differ from the state on which the test was before.
"""

# Paths as text, not objects: three files of a few bytes are read

from __future__ import annotations

import os
import re
import time
from typing import Final

import anyio
import anyio.to_thread

from testd_daemon.agent.affected import Affected
from testd_daemon.agent.history import History, RunRecord, Stamp

__all__ = ["Stamping", "checked_out"]

#: Seconds for a run to be written into the history, once its target has told all there is.
RECORD_DEADLINE: Final = 60.0
_COMMIT: Final = re.compile(r"[0-9a-f]{40,64}")


class Stamping:
    """One run on one target, on its way into the history."""

    def __init__(self, workspace: str, history: History, affected: Affected) -> None:
        """Expect `record` and `learned`, in any order."""
        self._workspace = workspace
        self._history = history
        self._affected = affected
        self._written: tuple[RunRecord, list[int]] | None = None
        self._recorded = anyio.Event()

    async def record(self, record: RunRecord) -> None:
        """Write the outcomes."""
        self._written = record, await self._history.record(record)
        self._recorded.set()

    async def learned(self, generation: int) -> None:
        """Write on which generation of the workspace they are."""
        with anyio.move_on_after(RECORD_DEADLINE):
            await self._recorded.wait()
        if self._written is None:
            return
        record, changes = self._written
        earlier = await self._history.earlier(changes)
        differing = await self._affected.differing(generation, [since for since in earlier if since < generation])
        head = await anyio.to_thread.run_sync(checked_out, self._workspace)
        stamp = Stamp(generation, time.time(), head, differing)
        await self._history.stamp(record, changes, stamp)


def checked_out(folder: str) -> str:
    """Return the commit that is checked out in the git repository around a folder, an empty text where there is none.

    Reads git's files: the command takes longer than many a run.
    """
    while not os.path.exists(os.path.join(folder, ".git")):
        if folder == os.path.dirname(folder):
            return ""
        folder = os.path.dirname(folder)
    git = os.path.join(folder, ".git")
    pointer = _read(git)  # of a worktree it is a file
    if pointer.startswith("gitdir:"):
        git = os.path.join(folder, pointer[len("gitdir:") :].strip())
    head = _read(os.path.join(git, "HEAD")).strip()
    if head.startswith("ref:"):
        head = _resolved(git, head[len("ref:") :].strip())
    return head if _COMMIT.fullmatch(head) else ""


def _resolved(git: str, reference: str) -> str:
    """Return what a branch points to. The branches of a worktree are those of the repository that it belongs to."""
    common = _read(os.path.join(git, "commondir")).strip()
    for place in (git, os.path.join(git, common)) if common else (git,):
        found = _read(os.path.join(place, *reference.split("/"))).strip()
        if found:
            return found
        for line in _read(os.path.join(place, "packed-refs")).splitlines():
            commit, _, name = line.partition(" ")
            if name == reference:
                return commit
    return ""


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
