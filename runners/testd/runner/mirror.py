"""The folder on a target that holds a copy of the workspace: where it is, who has it, and what is known to be in it.

Runs in the supervisor of a runner that does not share the agent's disk. Standard library only.

    CACHE/mirrors/NAME/0/lock        held by the runner that uses this copy, for as long as it lives
                        /index       what the last sync put there: lines of JSON, the newest entry of a path counts
                        /staging/    content on its way
                        /files/PROJECT/    the copy

A runner has a copy of its own: no other run's files ever change under its jobs. The next runner of the same workspace
and target takes the lowest that is free, which holds nearly all it needs.
"""

import contextlib
import fcntl
import json
import os
import shutil
import stat
import time
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from testd.runner.bootstrap import make_own

__all__ = ["Entry", "Mirror", "MirrorError", "observe", "observed"]

#: Copies of one workspace for one target: runners of `--fresh` and of runs during which files changed have their own.
_MOST_COPIES = 16
#: Seconds after which a copy that nobody used is removed.
_UNUSED = 30 * 24 * 3600.0


class MirrorError(Exception):
    """What could not be done to the copy, as a user is told it."""


class Entry(NamedTuple):
    """What is to be at a path, and what the file system said of it once it was there."""

    kind: str  # file, link, folder
    content: str  # digest, link text, nothing
    mode: int
    mtime_ns: int  # that was asked for; 0 but for files
    seen: Tuple[int, ...]  # as `observe` returned it


def observe(path: str) -> "Tuple[int, ...]":
    """Return what tells that a path is as it was left: type and mode, and for a file its time and size."""
    return observed(os.lstat(path))


def observed(found: os.stat_result) -> "Tuple[int, ...]":
    """Return the same of what was asked already."""
    if stat.S_ISREG(found.st_mode):
        return found.st_mode, found.st_mtime_ns, found.st_size
    if stat.S_ISLNK(found.st_mode):
        return (found.st_mode, found.st_mtime_ns, found.st_ino)
    return (found.st_mode,)


class Mirror:
    """One copy, held by this process."""

    def __init__(self, cache: str, name: str) -> None:
        """Take the first copy that is free. `name` ends in the project's own name after a `/`.

        Raises:
            MirrorError: it cannot be written, or all copies are in use.
        """
        name, _, project = name.partition("/")
        self._top = os.path.join(cache, "mirrors", name)
        try:
            make_own(cache)
            os.makedirs(self._top, mode=0o700, exist_ok=True)
            self._top = os.path.realpath(self._top)  # user code that resolves its paths must not leave the root
            _sweep(os.path.dirname(self._top), keep=name)
            self.folder = self._take()
            self.root = os.path.join(self.folder, "files", project or "project")
            self.staging = os.path.join(self.folder, "staging")
            os.makedirs(self.root, mode=0o700, exist_ok=True)
            shutil.rmtree(self.staging, ignore_errors=True)
            os.mkdir(self.staging, 0o700)
        except OSError as error:
            raise MirrorError(f"{self._top} cannot be used for the workspace's files: {error}") from error
        self.entries = _read_index(os.path.join(self.folder, "index"))
        self._log: Any = None

    def _take(self) -> str:
        for number in range(_MOST_COPIES):
            folder = os.path.join(self._top, str(number))
            os.makedirs(folder, mode=0o700, exist_ok=True)
            lock = os.open(os.path.join(folder, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            os.utime(lock)
            self._lock = lock  # held until this process ends, however it does
            return folder
        raise MirrorError(f"all {_MOST_COPIES} copies of the workspace in {self._top} are in use by other runners")

    def close(self) -> None:
        """Let another runner have this copy. The end of the process does the same."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if self._log is not None:
            self._log.close()
            self._log = None

    def path(self, relative: str) -> str:
        """Return where a path of the workspace is here."""
        return os.path.join(self.root, relative)

    def changed(self) -> "Dict[str, Entry]":
        """Return what is not as the last sync left it, and forget it.

        A test wrote to it, or a sync was cut off in the middle.
        """
        found = {}
        prefix = self.root + "/"
        lstat = os.lstat
        for path, entry in self.entries.items():
            try:
                now = lstat(prefix + path)
                if entry.kind == "file":  # nearly all of them, thousands before each run
                    if (now.st_mode, now.st_mtime_ns, now.st_size) == entry.seen:
                        continue
                elif observed(now) == entry.seen:
                    continue
            except OSError:
                pass
            found[path] = entry
        for path in found:
            del self.entries[path]
        return found

    def elsewhere(self, digests: "Iterable[str]") -> "Dict[str, str]":
        """Return digest → path of content that this copy or another one of the same workspace has."""
        wanted = set(digests)
        found: Dict[str, str] = {}
        if not wanted:
            return found
        self._search(self.entries, self.root, wanted, found)
        with contextlib.suppress(OSError):
            for number in sorted(os.listdir(self._top)):
                folder = os.path.join(self._top, number)
                if folder != self.folder and len(found) < len(wanted):
                    root = os.path.join(folder, "files", os.path.basename(self.root))
                    self._search(_read_index(os.path.join(folder, "index")), root, wanted, found)
        return found

    @staticmethod
    def _search(entries: "Dict[str, Entry]", root: str, wanted: "set[str]", found: "Dict[str, str]") -> None:
        for path, entry in entries.items():
            if entry.kind == "file" and entry.content in wanted and entry.content not in found:
                with contextlib.suppress(OSError):
                    place = os.path.join(root, path)
                    if observe(place) == entry.seen:
                        found[entry.content] = place

    # ── the index ────────────────────────────────────────────────────────────────────────────────────────────────────

    def forget(self, paths: "Iterable[str]") -> None:
        """Note that these paths are about to change: if that is cut off, nothing wrong is known of them."""
        gone = list(paths)
        for path in gone:
            self.entries.pop(path, None)
        if gone:
            self._write({"forget": gone})

    def learn(self, entries: "Dict[str, Entry]") -> None:
        """Note what is at these paths now."""
        self.entries.update(entries)
        if entries:
            self._write({"entries": [[path, *entry] for path, entry in entries.items()]})

    def _write(self, line: "Dict[str, Any]") -> None:
        try:
            log = self._log or self._compact()
            log.write(json.dumps(line) + "\n")
            log.flush()
        except OSError:
            self._log = None  # what was cut off in there must not hide what follows: the next one begins a new log
            raise

    def _compact(self) -> Any:
        """Begin a new log with all that is known, and go on in it."""
        draft, index = os.path.join(self.folder, "index.new"), os.path.join(self.folder, "index")
        with open(draft, "w", encoding="ascii") as file:
            file.write(json.dumps({"entries": [[path, *entry] for path, entry in self.entries.items()]}) + "\n")
        os.replace(draft, index)
        self._log = open(index, "a", encoding="ascii")  # noqa: SIM115  it stays open
        return self._log


def _read_index(path: str) -> "Dict[str, Entry]":
    """Return what an index says; what cannot be read of it is not known."""
    entries: Dict[str, Entry] = {}
    try:
        with open(path, encoding="ascii") as file:
            for line in file:
                told = json.loads(line)
                for gone in told.get("forget", ()):
                    entries.pop(gone, None)
                for name, kind, content, mode, mtime_ns, seen in told.get("entries", ()):
                    entries[name] = Entry(kind, content, mode, mtime_ns, tuple(seen))
    except (OSError, ValueError, TypeError, AttributeError):  # a last line that was cut off says nothing
        pass
    return entries


def _sweep(mirrors: str, keep: str) -> None:
    """Remove the copies that nobody has used for long."""
    for name in os.listdir(mirrors):
        top = os.path.join(mirrors, name)
        if name != keep and not any(_in_use(os.path.join(top, number, "lock")) for number in _names(top)):
            shutil.rmtree(top, ignore_errors=True)


def _names(folder: str) -> "List[str]":
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _in_use(path: str) -> bool:
    """Tell whether a copy was used lately, or is used now."""
    lock: Optional[int] = None
    try:
        if os.stat(path).st_mtime > time.time() - _UNUSED:
            return True
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    finally:
        if lock is not None:
            os.close(lock)
    return False
