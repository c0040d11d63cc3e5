"""What is in the workspace now: every file, link and folder that travels, files by the digest of their content.

Runs in the agent, in a thread. After the first scan a folder is listed again only when its time has moved, and a file
read again only when its time, size or place has: what nobody touched costs one question to the file system.
"""

# Paths as text, not objects: tens of thousands are looked at before a run

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable, Container, Iterable
from typing import Final

import anyio.to_thread

from testd_daemon.agent.freshness import GRANULARITY_NS
from testd_daemon.agent.mirror.ignore import GIT, OURS, Rules
from testd_protocol.messages import FileEntry

__all__ = ["DIGEST", "Scanner", "Snapshot"]

#: Hexadecimal digits of SHA-256 that name content.
DIGEST: Final = 32
_PIECE: Final = 1024 * 1024

Content = Callable[[str, os.stat_result], str]


class Snapshot:
    """The workspace at one moment."""

    __slots__ = ("entries", "notices")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.entries: dict[str, FileEntry] = {}  # by path; equal entries of two snapshots are the same object
        self.notices: list[str] = []  # what should travel and cannot


class _Known:
    """A file or link as it was last seen. `seen` is empty where that cannot be trusted."""

    __slots__ = ("entry", "name", "path", "place", "seen", "trouble")

    def __init__(self, name: str, place: str, path: str) -> None:
        self.name = name
        self.place = place
        self.path = path
        self.seen: tuple[int, ...] = ()
        self.entry: FileEntry | None = None
        self.trouble = ""


class _Folder:
    """A folder as it was last listed."""

    __slots__ = (
        "entry", "files", "folders", "left_out", "mtime_ns", "parent_rules", "path", "place", "rules", "rules_seen",
        "trouble",
    )  # fmt: skip

    def __init__(self, place: str, path: str) -> None:
        self.place = place
        self.path = path
        self.mtime_ns = -1
        self.entry: FileEntry | None = None
        self.rules: Rules | None = None
        self.parent_rules: Rules | None = None
        self.rules_seen: tuple[tuple[int, int], ...] = ()
        self.files: dict[str, _Known] = {}
        self.folders: dict[str, _Folder] = {}
        self.trouble = ""
        self.left_out = False


class Scanner:
    """Scans one workspace, for all targets that need it."""

    def __init__(self, root: str, content: Content | None = None, *, tracked: bool = False) -> None:
        """Know nothing yet; `root` is the workspace. `content` stands for a file's content: the digest of its bytes.

        `tracked`: it has nothing but what is under version control, which no ignore file keeps here.
        """
        self._root = root
        self._content = content or _digest
        self._rules = frozenset[str]() if tracked else frozenset((GIT, OURS))
        self._top = _Folder(root, "")
        self._lock = threading.Lock()

    async def scan(self) -> Snapshot:
        """Return what is there now."""
        return await anyio.to_thread.run_sync(self.look)

    def look(self) -> Snapshot:
        """Return what is there now; blocks."""
        with self._lock:
            snapshot = Snapshot()
            self._folder(self._top, None, snapshot)
            return snapshot

    def look_at(self, before: Snapshot, folders: Iterable[str]) -> Snapshot:
        """Return what is there now if only what lies directly in these folders can have changed since `before`; blocks.

        Folders are paths in the workspace, empty for its top. What is new in them is looked at to its depth.
        """
        with self._lock:
            snapshot = Snapshot()
            snapshot.entries = dict(before.entries)
            snapshot.notices = list(before.notices)
            for path in sorted(folders):
                self._near(path, snapshot)
            return snapshot

    def _near(self, path: str, snapshot: Snapshot) -> None:
        """Look at a folder, or at the nearest known one above it, without those below that are known."""
        folder, above = self._top, None
        for name in filter(None, path.split("/")):
            if name not in folder.folders:
                break
            folder, above = folder.folders[name], folder.rules
        known = set(folder.folders)
        gone = [found.path for found in folder.files.values()]
        part, whole = Snapshot(), self._rules_changed(folder, above)
        self._folder(folder, above, part, known=set() if whole else known)
        for name in known if whole else known.difference(folder.folders):
            below = f"{folder.path}/{name}" if folder.path else name
            gone += [found for found in snapshot.entries if found == below or found.startswith(below + "/")]
        if not os.path.isdir(folder.place):
            gone.append(folder.path)
        for found in gone:
            snapshot.entries.pop(found, None)
        snapshot.entries.update(part.entries)
        snapshot.notices += part.notices

    def _folder(
        self, folder: _Folder, above: Rules | None, snapshot: Snapshot, known: Container[str] = ()
    ) -> None:
        """Look at a folder and those below it but for the `known` ones in it."""
        try:
            found = os.stat(folder.place)
        except OSError:
            return  # gone since its parent was listed: that has another time now, and the next scan sees it
        if found.st_mtime_ns != folder.mtime_ns or self._rules_changed(folder, above):
            self._list(folder, above)
            trusted = found.st_mtime_ns < time.time_ns() - GRANULARITY_NS and not folder.trouble
            folder.mtime_ns = found.st_mtime_ns if trusted else -1
        if folder.trouble:
            snapshot.notices.append(folder.trouble)
        if folder.left_out:
            return
        if folder.path:
            entry = folder.entry
            mode = stat.S_IMODE(found.st_mode) & 0o777
            if entry is None or entry.mode != mode:
                entry = folder.entry = FileEntry(folder.path, "folder", mode, 0, 0, "")
            snapshot.entries[folder.path] = entry
        lstat, entries = os.lstat, snapshot.entries
        for file in folder.files.values():
            try:
                now = lstat(file.place)
            except OSError:
                continue
            if (now.st_mtime_ns, now.st_ctime_ns, now.st_size, now.st_mode, now.st_ino) != file.seen:
                _examine(file, now, self._root, self._content)
            if file.entry is not None:
                entries[file.path] = file.entry
            elif file.trouble:
                snapshot.notices.append(file.trouble)
        for name, below in folder.folders.items():
            if name not in known:
                self._folder(below, folder.rules, snapshot)

    def _rules_changed(self, folder: _Folder, above: Rules | None) -> bool:
        return (
            folder.rules is None
            or folder.parent_rules is not above
            or (bool(folder.rules_seen) and folder.rules_seen != _rule_files(folder.place))
        )

    def _list(self, folder: _Folder, above: Rules | None) -> None:
        """List a folder again; what is known of what stays is kept."""
        folder.trouble = ""
        try:
            with os.scandir(folder.place) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            folder.trouble = f"{folder.path or '.'} cannot be read and is empty on the target: {error.strerror}"
            folder.files, folder.folders, folder.left_out = {}, {}, False
            return
        names = {entry.name for entry in entries}
        ruled = names & self._rules
        folder.left_out = bool(folder.path) and "pyvenv.cfg" in names  # a virtual environment is of one machine
        seen = _rule_files(folder.place) if ruled else ()
        if folder.rules is None or folder.parent_rules is not above or seen != folder.rules_seen:
            folder.rules = Rules(above, folder.place, folder.path, git=GIT in ruled, ours=OURS in ruled)
            folder.parent_rules, folder.rules_seen = above, seen
        files: dict[str, _Known] = {}
        folders: dict[str, _Folder] = {}
        unnamed: list[str] = []
        for entry in entries:
            name, is_folder = entry.name, entry.is_dir(follow_symlinks=False)
            if folder.rules.leaves_out(name, folder=is_folder):
                continue
            path = f"{folder.path}/{name}" if folder.path else name
            if not _is_text(name):
                unnamed.append(path)
            elif not is_folder:
                files[name] = folder.files.get(name) or _Known(name, entry.path, path)
            else:
                folders[name] = folder.folders.get(name) or _Folder(entry.path, path)
        folder.files, folder.folders = files, folders
        if unnamed:
            folder.trouble = f"{unnamed[0]!a}: a name that is not UTF-8 cannot be on the target"


def _rule_files(place: str) -> tuple[tuple[int, int], ...]:
    """Return what tells one state of a folder's ignore files from another."""
    return tuple(_time_and_size(os.path.join(place, name)) for name in (GIT, OURS))


def _time_and_size(path: str) -> tuple[int, int]:
    try:
        now = os.stat(path)
    except OSError:
        return -1, -1
    return now.st_mtime_ns, now.st_size


def _examine(known: _Known, now: os.stat_result, root: str, content: Content) -> None:
    """Find out what a file or link is now."""
    seen = (now.st_mtime_ns, now.st_ctime_ns, now.st_size, now.st_mode, now.st_ino)
    known.trouble = ""
    entry: FileEntry | None = None
    try:
        if stat.S_ISLNK(now.st_mode):
            entry = FileEntry(known.path, "link", 0, 0, 0, _link(known.place, root))
        elif stat.S_ISREG(now.st_mode):
            mode = stat.S_IMODE(now.st_mode) & 0o777
            entry = FileEntry(known.path, "file", mode, now.st_mtime_ns, now.st_size, content(known.place, now))
    except FileNotFoundError:
        known.entry, known.seen = None, ()
        return
    except OSError as error:
        known.trouble = f"{known.path} cannot be read and is not on the target: {error.strerror}"
    if entry is None or entry != known.entry:
        known.entry = entry
    recent = max(now.st_mtime_ns, now.st_ctime_ns) >= time.time_ns() - GRANULARITY_NS
    known.seen = () if recent or known.trouble else seen  # else another write could still get the same time


def _link(place: str, root: str) -> str:
    """Return what a link points to. A whole path into the workspace is another one elsewhere: it is made relative."""
    text = os.readlink(place)
    if text == root or text.startswith(root + os.sep):
        return os.path.relpath(text, os.path.dirname(place))
    if not _is_text(text):
        raise OSError(0, "it points to a name that is not UTF-8")
    return text


def _digest(place: str, _now: os.stat_result) -> str:
    hashed = hashlib.sha256()
    with open(place, "rb", buffering=0) as file:
        while data := file.read(_PIECE):
            hashed.update(data)
    return hashed.hexdigest()[:DIGEST]


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
