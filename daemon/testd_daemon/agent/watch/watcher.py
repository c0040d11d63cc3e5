"""What has changed in the workspace since the last look, by content. Runs in the agent.

A burst of changes is one answer: an editor that writes through a temporary file, a formatter behind it, a branch that
is switched. Files that are written again with what they held have not changed.
"""

# Paths as text, not objects: tens of thousands are compared

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread
import psutil

from testd.runner.dependencies import listing
from testd_daemon.agent.mirror import Scanner
from testd_daemon.agent.mirror.scan import Snapshot
from testd_daemon.errors import EnvironmentFault

if TYPE_CHECKING:
    from typing_extensions import Self

if sys.platform == "linux":
    from testd_daemon.agent.watch.inotify import Notifier, TooManyWatchesError

__all__ = ["Watcher"]

#: Seconds without a further event after which a burst counts as over, and how long one may go on at most.
QUIET: Final = 0.01
LONGEST_BURST: Final = 0.5
#: Seconds between two looks whether the workspace is where it was. The kernel does not tell when a folder above it is
#: moved, nor, while a process has it as its working directory, when it is removed.
PRESENCE: Final = 2.0
#: Seconds between two looks where the kernel does not tell; a look may take a twentieth of that time at most.
POLL: Final = 1.0
POLL_SHARE: Final = 20
_POLLED: Final = "the workspace is looked at every second"
#: File systems on which others may write: this kernel hears nothing of that.
_SHARED: Final = ("nfs", "cifs", "smb", "fuse.sshfs", "9p", "afs", "ceph", "virtiofs", "vboxsf", "fuse.gvfsd")


class Watcher:
    """The changes of one workspace, and of folders elsewhere whose names count. `async with` begins and ends it."""

    def __init__(self, root: str) -> None:
        """Watch nothing yet; `root` is the workspace."""
        self.notices: list[str] = []  # what a user should know of how it is watched
        self._root = root
        self._scanner = Scanner(root)
        self._snapshot = Snapshot()
        self._notifier: Notifier | None = None
        self._place: tuple[int, int] | None = None  # device and inode of the workspace
        self._pause = POLL
        self._elsewhere: dict[str, list[str]] = {}  # folder → names in it

    async def __aenter__(self) -> Self:
        """Look at everything once. Raises EnvironmentFault where there is no workspace."""
        shared = await anyio.to_thread.run_sync(_shared_file_system, self._root)
        if shared:
            self.notices.append(f"the workspace is on {shared}, where nobody tells what changes: {_POLLED}")
        else:
            await self._open_notifier()
        self._snapshot = await self._look_everywhere(Snapshot(), None)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of what the kernel keeps."""
        if self._notifier is not None:
            self._notifier.close()

    def follow(self, folders: Iterable[str]) -> None:
        """Tell from now on also when names come into these folders elsewhere, or go: what is installed."""
        for folder in folders:
            if folder not in self._elsewhere:
                self._elsewhere[folder] = listing(folder, everything=False)
                if self._notifier is not None:
                    with contextlib.suppress(OSError):  # polled, or not watched: it is looked at with the next change
                        self._notifier.watch([folder])

    async def changes(self) -> list[str]:
        """Wait for changes and return their paths, sorted: in the workspace, or absolute for a folder elsewhere.

        Raises EnvironmentFault when the workspace is gone.
        """
        while True:
            folders = await self._happened()
            if not await anyio.to_thread.run_sync(os.path.isdir, self._root):
                raise EnvironmentFault(
                    f"the workspace {self._root} is gone", hint="it was removed or moved; watch it where it is now"
                )
            before = self._snapshot
            self._snapshot = await self._look_everywhere(before, folders)
            changed = _differences(before, self._snapshot) + await anyio.to_thread.run_sync(self._look_elsewhere)
            if changed:
                return changed

    async def _open_notifier(self) -> None:
        if sys.platform != "linux":
            self.notices.append(f"{sys.platform} does not tell what changes: {_POLLED}")
            return
        self._place = await anyio.to_thread.run_sync(_place_of, self._root)
        try:
            self._notifier = await Notifier.open(self._root)
            self._notifier.watch(self._elsewhere)
        except OSError as error:
            self.notices.append(f"the kernel does not tell what changes ({error}): {_POLLED}")

    async def _happened(self) -> set[str] | None:
        """Wait for a burst and its end; return the folders it was in, None for anywhere."""
        if self._notifier is None:
            await anyio.sleep(self._pause)
            return None
        while True:
            with anyio.move_on_after(PRESENCE) as quiet:
                await self._notifier.wait()
            if not quiet.cancelled_caught:
                break
            if await anyio.to_thread.run_sync(_place_of, self._root) != self._place:
                self._notifier.close()
                self._notifier = None
                await self._open_notifier()
                return None
        found: set[str] = set()
        lost = False
        with anyio.move_on_after(LONGEST_BURST):
            while True:
                folders = self._notifier.read()
                lost = lost or folders is None
                found |= folders or set()
                with anyio.move_on_after(QUIET) as quiet:
                    await self._notifier.wait()
                if quiet.cancelled_caught:
                    break
        return None if lost else found

    def _look_elsewhere(self) -> list[str]:
        """Return the folders outside in which there are other names than before. Blocks."""
        changed = []
        for folder, names in self._elsewhere.items():
            now = listing(folder, everything=False)
            if now != names:
                self._elsewhere[folder] = now
                changed.append(folder)
        return changed

    async def _look_everywhere(self, before: Snapshot, folders: set[str] | None) -> Snapshot:
        """Look where something happened, and again into new folders: things came into them before they were watched."""
        began = anyio.current_time()
        if folders is None:
            found = await self._scanner.scan()
        else:
            inside = {path for path in folders if not path.startswith("/")}
            found = await anyio.to_thread.run_sync(self._scanner.look_at, before, inside)
        self._pause = max(POLL, POLL_SHARE * (anyio.current_time() - began))
        while new := await anyio.to_thread.run_sync(self._follow, found):
            found = await anyio.to_thread.run_sync(self._scanner.look_at, found, new)
        return found

    def _follow(self, snapshot: Snapshot) -> list[str]:
        """Watch the folders that there are now; return the new ones. Blocks."""
        if self._notifier is None:
            return []
        folders = [path for path, entry in snapshot.entries.items() if entry.kind == "folder"]
        try:
            return self._notifier.watch(["", *folders])
        except TooManyWatchesError:
            self._notifier.close()
            self._notifier = None
            self.notices.append(
                f"the workspace has {len(folders)} folders, more than this user may watch: {_POLLED};"
                " to raise the limit: sysctl fs.inotify.max_user_watches=524288"
            )
            return []


def _differences(before: Snapshot, after: Snapshot) -> list[str]:
    """Return the files and links that are new, gone, or hold something else, also those that may now be run or read."""
    changed = []
    old = before.entries
    for path, entry in after.entries.items():
        was = old.get(path)
        if was is entry or entry.kind == "folder":
            continue
        if was is None or (was.kind, was.mode, was.content) != (entry.kind, entry.mode, entry.content):
            changed.append(path)
    changed += [path for path, was in old.items() if path not in after.entries and was.kind != "folder"]
    return sorted(changed)


def _place_of(root: str) -> tuple[int, int] | None:
    """Return which folder a path leads to, None for none."""
    try:
        found = os.stat(root)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _shared_file_system(root: str) -> str:
    """Return the type of file system that a path is on if others may write there, else nothing."""
    best, kind = "", ""
    for partition in psutil.disk_partitions(all=True):
        place = partition.mountpoint.rstrip("/") + "/"
        if (root + "/").startswith(place) and len(place) > len(best):
            best, kind = place, partition.fstype
    return kind if kind.startswith(_SHARED) else ""
