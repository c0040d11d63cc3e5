"""Bringing a mirror up to what the agent says is in the workspace: all of it at once, or not at all.

Runs in the supervisor of a runner that does not share the agent's disk. Standard library only. Content comes by its
digest and waits in a folder of its own until everything is there; only then is the copy touched, by renames, while no
worker runs. A sync that fails before that has changed nothing; one that is cut off later is completed by the next.
"""

import contextlib
import errno
import hashlib
import os
import shutil
import stat
import time
from collections import Counter
from typing import Any, Callable, Dict, Iterable, List, Optional, Set, Tuple

from testd.runner.mirror import Entry, Mirror, observe
from testd.runner.outside import Outside
from testd.runner.stream import AgentStream

__all__ = ["Sync"]

#: Seconds between two messages that tell how much has come.
_PROGRESS_INTERVAL = 1.0
_DIGEST = 32  # hexadecimal digits of SHA-256 that name content
_PIECE = 1024 * 1024
_PAGE = 50_000  # digests in one message: far below what a frame may hold
#: An entry as it came: kind, mode, mtime in ns, size, content.
_Wanted = Tuple[str, int, int, int, str]


class Sync:
    """The syncs of one runner, one after the other."""

    def __init__(self, agent: AgentStream, mirror: Mirror, outside: Outside, busy: Callable[[], bool]) -> None:
        """Bring `mirror` up to date; never while `busy`."""
        self._agent = agent
        self._mirror = mirror
        self._outside = outside
        self._busy = busy
        self._damaged: Dict[str, Entry] = {}  # until a sync has put it right
        self._begin(-1)
        self._staged: Dict[str, str] = {}  # digest → complete file
        self._writing: Optional[_Writing] = None
        self._names = 0

    def _begin(self, number: int) -> None:
        self._id = number
        self._entries: Dict[str, _Wanted] = {}
        self._removed: List[str] = []
        self._whole = False
        self._complete = False  # the last page is here
        self._outdated: List[List[Any]] = []
        self._looked_early = False  # while workers ran, who may have changed more
        self._todo: Dict[str, _Wanted] = {}
        self._missing: Dict[str, None] = {}
        self._size = 0
        self._received = 0
        self._told_at = time.monotonic()

    # ── what the agent says ──────────────────────────────────────────────────────────────────────────────────────────

    def files(self, message: "Dict[str, Any]") -> None:
        """Take a page of what is to be there."""
        if message["id"] != self._id:
            self._begin(message["id"])
            self._look()
        with self._faults():
            for path, kind, mode, mtime_ns, size, content in message["entries"]:
                self._entries[_checked(path)] = (kind, mode, mtime_ns, size, content)
            self._removed += [_checked(path) for path in message["removed"]]
            self._whole = self._whole or message["whole"]
            if message["done"]:
                self._complete = True
                self._compare()
                self.go_on()

    def write(self, message: "Dict[str, Any]") -> None:
        """Take pieces of content."""
        if message["id"] < self._id:
            return  # of a sync that was given up
        with self._faults():
            for digest, data, last in message["contents"]:
                self._take(digest, data, last)
            now = time.monotonic()
            if now - self._told_at > _PROGRESS_INTERVAL:
                self._told_at = now
                self._agent.tell(
                    {"type": "FilesReceived", "id": self._id, "size": self._size, "files": self._received}
                )
            self.go_on()

    def _take(self, digest: str, data: bytes, last: bool) -> None:
        self._size += len(data)
        writing = self._writing
        if writing is None or writing.digest != digest:
            if writing is not None:
                writing.give_up()
            writing = self._writing = _Writing(self._new_name(), digest)
        writing.add(data)
        if last:
            self._writing = None
            if writing.finish():
                self._staged[digest] = writing.path
                self._missing.pop(digest, None)
                self._received += 1

    def go_on(self) -> None:
        """Complete the sync if everything is there and no worker runs."""
        if not self._complete or self._missing or self._busy():
            return
        with self._faults():
            if self._looked_early:
                self._look()
                self._compare()
                if self._missing:
                    return
            self._apply()
            self._complete = False
            self._clear()
            changed, self._damaged = list(self._damaged), {}
            self._agent.tell({"type": "FilesSynced", "id": self._id, "changed": changed, "outdated": self._outdated})

    # ── what is to be done ───────────────────────────────────────────────────────────────────────────────────────────

    def _look(self) -> None:
        """Look at what is here. The agent sends a first, empty page, and looks at its own side meanwhile."""
        self._looked_early = self._busy()
        self._damaged.update(self._mirror.changed())
        self._outdated = self._outside.outdated()

    def _compare(self) -> None:
        """Find out what differs, and ask for the content that is nowhere here."""
        mirror = self._mirror
        if self._whole:
            self._removed = [path for path in (*mirror.entries, *self._damaged) if path not in self._entries]
        else:
            gone = set(self._removed)
            for path, entry in self._damaged.items():
                if path not in gone and path not in self._entries:
                    self._entries[path] = _as_wanted(entry)
        self._todo = {path: wanted for path, wanted in self._entries.items() if not self._is_there(path, wanted)}
        digests = dict.fromkeys(wanted[4] for wanted in self._todo.values() if wanted[0] == "file")
        self._missing = {digest: None for digest in digests if digest not in self._staged}
        for digest, place in mirror.elsewhere(self._missing).items():
            if self._copy_content(digest, place):
                del self._missing[digest]
        wanted = list(self._missing)
        for start in range(0, len(wanted), _PAGE):
            page = wanted[start : start + _PAGE]
            self._agent.tell({"type": "FilesWanted", "id": self._id, "digests": page})

    def _is_there(self, path: str, wanted: "_Wanted") -> bool:
        entry = self._mirror.entries.get(path)
        return entry is not None and (entry.kind, entry.mode, entry.mtime_ns, entry.content) == (
            wanted[0], wanted[1], wanted[2], wanted[4]
        )  # fmt: skip

    def _copy_content(self, digest: str, place: str) -> bool:
        """Stage content that is somewhere on this host. Returns whether it really was that."""
        writing = _Writing(self._new_name(), digest)
        try:
            with open(place, "rb") as file:
                for data in iter(lambda: file.read(_PIECE), b""):
                    writing.add(data)
        except FileNotFoundError:
            writing.give_up()
            return False
        if not writing.finish():
            return False
        self._staged[digest] = writing.path
        return True

    # ── doing it ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _apply(self) -> None:
        """Make the copy what it is to be. Everything that needs room comes first, and touches nothing."""
        todo, mirror = self._todo, self._mirror
        uses = Counter(wanted[4] for wanted in todo.values() if wanted[0] == "file")
        ready = {path: self._make(wanted, uses) for path, wanted in todo.items() if wanted[0] != "folder"}
        if not todo and not self._removed:
            return
        mirror.forget((*todo, *self._removed))
        for path in sorted(path for path, wanted in todo.items() if wanted[0] == "folder"):
            _make_folder(mirror.path(path), todo[path][1])
        for path in sorted(self._removed, reverse=True):  # what is in a folder comes before the folder
            _remove(mirror.path(path))
        for path, source in ready.items():
            _place(source, mirror.path(path))
        for folder, names in _by_folder(path for path in ready if path.endswith(".py")).items():
            _remove_compiled(mirror.path(folder), names)
        mirror.learn({path: self._learned(path, wanted) for path, wanted in todo.items()})

    def _make(self, wanted: "_Wanted", uses: "Dict[str, int]") -> str:
        """Return a file or link that is all that a path is to be, but in another place."""
        kind, mode, mtime_ns, _, content = wanted
        if kind == "link":
            place = self._new_name()
            os.symlink(content, place)
            return place
        uses[content] -= 1
        if uses[content]:
            place = self._new_name()
            shutil.copyfile(self._staged[content], place)
        else:
            place = self._staged.pop(content)
        os.utime(place, ns=(mtime_ns, mtime_ns))
        os.chmod(place, mode)
        return place

    def _learned(self, path: str, wanted: "_Wanted") -> Entry:
        return Entry(wanted[0], wanted[4], wanted[1], wanted[2], observe(self._mirror.path(path)))

    # ── room, names, faults ──────────────────────────────────────────────────────────────────────────────────────────

    def _new_name(self) -> str:
        self._names += 1
        return os.path.join(self._mirror.staging, str(self._names))

    def _clear(self) -> None:
        """Let go of what was not used."""
        if self._writing is not None:
            self._writing.give_up()
            self._writing = None
        for path in self._staged.values():
            _remove(path)
        self._staged = {}

    @contextlib.contextmanager
    def _faults(self) -> Any:
        """Tell the agent what failed, and give up this sync."""
        try:
            yield
        except OSError as error:
            hint = "make room on the target, or set host_cache to a folder that has it"
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                hint = "check that folder on the target, or set host_cache to another one"
            self._fault("disk", f"{self._mirror.folder}: the workspace's files cannot be written: {error}", hint)
        except ValueError as error:
            self._fault("internal", f"what the agent sent is no file of a workspace: {error}", "")

    def _fault(self, code: str, text: str, hint: str) -> None:
        number = self._id
        with contextlib.suppress(OSError):
            if self._writing is not None:
                self._writing.give_up()
            shutil.rmtree(self._mirror.staging, ignore_errors=True)
            os.makedirs(self._mirror.staging, mode=0o700, exist_ok=True)
        self._staged, self._writing = {}, None
        self._begin(number)
        self._agent.fault(code, text, hint=hint, exit_code=4, id=number)


class _Writing:
    """A file whose content arrives in pieces."""

    __slots__ = ("_file", "_hash", "digest", "path")

    def __init__(self, path: str, digest: str) -> None:
        self.path = path
        self.digest = digest
        self._file = open(path, "xb", buffering=0)  # noqa: SIM115  until it is complete
        self._hash = hashlib.sha256()

    def add(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._hash.update(data)

    def finish(self) -> bool:
        """Close it. Returns whether it is what its name says; it is gone if not."""
        self._file.close()
        right = self._hash.hexdigest()[:_DIGEST] == self.digest
        if not right:
            os.unlink(self.path)
        return right

    def give_up(self) -> None:
        self._file.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def _as_wanted(entry: Entry) -> "_Wanted":
    return entry.kind, entry.mode, entry.mtime_ns, 0, entry.content


def _checked(path: str) -> str:
    """Return a path that stays inside. Raises ValueError."""
    if not path or path.startswith("/") or "\0" in path or any(part in ("", ".", "..") for part in path.split("/")):
        raise ValueError(repr(path))
    return path


def _make_folder(path: str, mode: int) -> None:
    """Make sure that a real folder is there, with this mode."""
    _ensure_folder(path)
    os.chmod(path, mode | stat.S_IRWXU)  # what is in it must be replaceable


def _ensure_folder(path: str) -> None:
    """Make sure that a real folder is there; one that is stays as it is."""
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            return
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        _ensure_folder(os.path.dirname(path))
    os.mkdir(path)


def _remove(path: str) -> None:
    """Remove whatever is there."""
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            _remove_folder(path)
        else:
            os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        pass


def _remove_folder(path: str) -> None:
    """Remove a folder, also one from which a test took its rights away."""
    os.chmod(path, stat.S_IRWXU)
    with os.scandir(path) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                _remove_folder(entry.path)
            else:
                os.unlink(entry.path)
    os.rmdir(path)


def _place(source: str, path: str) -> None:
    """Put a file or link where it belongs, whatever is there."""
    try:
        os.replace(source, path)
    except (IsADirectoryError, FileNotFoundError, NotADirectoryError):
        _ensure_folder(os.path.dirname(path))
        _remove(path)
        os.replace(source, path)


def _by_folder(paths: "Iterable[str]") -> "Dict[str, Set[str]]":
    found: Dict[str, Set[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        found.setdefault(folder, set()).add(name)
    return found


def _remove_compiled(folder: str, sources: "Set[str]") -> None:
    """Remove the compiled code of modules: it counts as fresh for another text of equal size and second."""
    caches = os.path.join(folder, "__pycache__")
    with contextlib.suppress(OSError):
        for name in os.listdir(caches):
            if name.partition(".")[0] + ".py" in sources:
                os.unlink(os.path.join(caches, name))
