"""What is in the workspace now, and since which generation. Runs in the agent, in a thread, one call at a time.

Files are looked at by their times, size and place, and read only where these have moved; what was seen so shortly after
a change that another could have had the same time is read again. A generation ends with each look that finds something
changed. What a file was in an earlier generation is remembered for a while.
"""

# Paths as text, not objects: tens of thousands are looked at before a run

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from testd.runner.dependencies import listing
from testd_daemon.agent.affected.fingerprint import BYTES, Source, digest, read
from testd_daemon.agent.freshness import GRANULARITY_NS
from testd_daemon.agent.mirror import Scanner
from testd_protocol.messages import FileEntry

__all__ = ["LISTING", "MISSING", "Loaded", "Seen", "State", "View"]

#: The key of the part that is the names in a folder.
LISTING: Final = "<listing>"
#: The digest of what is not there.
MISSING: Final = b""
#: Bytes of a file above which its times and size stand for its content.
LARGEST_READ: Final = 4 * 1024 * 1024
#: Contents that are remembered of one file.
VERSIONS_KEPT: Final = 30
#: Earlier contents that are remembered of a module: a run may have loaded one of them.
FORMER_KEPT: Final = 4
#: Generations of which it is remembered what began them.
TURNS_KEPT: Final = 200

#: Tells the modification time (ns) and size with which a file was loaded, None where that is not certain.
Loaded = Callable[[str], "tuple[int, int] | None"]
Signature = tuple[int, ...]  # mtime in ns, ctime in ns, size, mode, inode; empty: not there


class Seen:
    """A file or folder as it was last seen."""

    __slots__ = ("content", "settled", "signature", "since", "source")

    def __init__(self, signature: Signature, content: bytes, since: int) -> None:
        """Take what was found. `content` is a digest; `since` is when that was first seen (wall clock, ns)."""
        self.signature = signature
        self.content = content
        self.since = since
        self.settled = True
        self.source: Source | None = None  # once it was asked for

    @property
    def moved_at(self) -> int:
        """When the file last changed, or was put in its place; in ns."""
        return max(self.signature[:2], default=0)


class View:
    """Files as they were at one moment. Several share what is known of files that have not changed."""

    def __init__(self, root: str, seen: dict[str, Seen]) -> None:
        """Take what is known; `root` is the workspace."""
        self.root = root
        self.seen = seen
        self.former: set[str] = set()  # paths of which it shows what they were before

    def digest_of(self, path: str, key: str) -> bytes:
        """Return the digest of a part, `MISSING` where there is no such part."""
        known = self._known(path)
        if not known.signature:
            return MISSING
        if key in (BYTES, LISTING):
            return known.content
        source = self.source_of(path)
        return source.parts.get(key, MISSING) if source is not None else MISSING

    def source_of(self, path: str, *, places: bool = False) -> Source | None:
        """Return what is in a source file, None where it is not there, or another one by now.

        `places`: with where its functions are, for which it may have to be read again.
        """
        known = self._known(path)
        if not known.signature:
            return None
        if known.source is None or (places and known.source.places is None):
            try:
                with open(path, "rb") as file:
                    data = file.read()
            except OSError:
                return None
            if len(data) <= LARGEST_READ and digest(data) != known.content:
                return None
            known.source = read(data)
        return known.source

    def unchanged_since(self, path: str, moment_ns: int) -> bool:
        """Tell whether what is at a path was there, the same, at a moment (wall clock, ns)."""
        known = self._known(path)
        if known.since <= moment_ns:
            return True
        return bool(known.signature) and known.moved_at < moment_ns - GRANULARITY_NS

    def _known(self, path: str) -> Seen:
        known = self.seen.get(path)
        if known is None:
            known = self.seen[path] = _look(path)
        return known


class State(View):
    """The workspace as the agent last saw it."""

    def __init__(self, root: str) -> None:
        """Know nothing yet; `root` is the workspace."""
        super().__init__(root, {})
        self.generation = 1
        self.versions: dict[str, list[tuple[int, bytes]]] = {}  # of the workspace's own files: since when, content
        self._turns: list[_Turn] = []  # how this process has seen generations begin
        self._scanner = Scanner(root, content=_place)
        self.entries: dict[str, FileEntry] = {}
        self._unsettled: set[str] = set()
        self._former: dict[str, list[Seen]] = {}

    # ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def look(self, others: Iterable[str] = (), began_ns: int = 0) -> set[str]:
        """Look at the workspace, and at these paths that may be elsewhere (a folder ends with a slash).

        Returns the paths that have changed since the last look. What has changed since `began_ns` (wall clock) makes a
        generation of its own, after what had changed before.
        """
        entries = self._scanner.look().entries
        before, self.entries = self.entries, entries
        own = {path for path, entry in entries.items() if before.get(path) is not entry and entry.kind != "folder"}
        own |= {path for path in before if path not in entries}
        own = {f"{self.root}/{path}" for path in own}
        if not before:  # the first look: what has gone since another agent looked
            own.update(path for path, kept in self.versions.items() if kept[-1][1] and not self.inside(path))
        own |= {path for path in self._unsettled if self.inside(path)}
        outside = {path for path in {*others, *self._unsettled} - own if not self.inside(path)}
        changed = {path for path in own | outside if self._look_at(path)}
        later = {path for path in changed & own if began_ns and not self.unchanged_since(path, began_ns)}
        self._turn(changed & own - later)
        self._turn(later)
        return changed

    def inside(self, path: str) -> bool:
        """Tell whether a path is among the workspace's own files: those that no ignore file leaves out."""
        return path.startswith(self.root + "/") and path[len(self.root) + 1 :] in self.entries and path[-1] != "/"

    def view(self) -> View:
        """Return what is there now, to be looked at when more has changed."""
        return View(self.root, dict(self.seen))

    def as_loaded(self, loaded: Loaded, began_ns: int) -> View:
        """Return what is there now, but for modules that have changed since a moment: those are what was loaded.

        `loaded` tells the time and size with which something loaded a file, after the moment (wall clock, ns).
        """
        view = self.view()
        for path, versions in self._former.items():
            before = next((seen for seen in reversed(versions) if seen.since <= began_ns), None)
            if before is None or self.unchanged_since(path, began_ns) or not before.settled:
                continue
            if loaded(path) == (before.signature[0], before.signature[2]):
                view.seen[path] = before
                view.former.add(path)
        return view

    def _turn(self, changed: set[str]) -> None:
        """Begin a new generation, if something has changed."""
        if not changed:
            return
        self.generation += 1
        self._turns.append(_Turn(self.generation, time.time_ns(), changed))
        del self._turns[:-TURNS_KEPT]
        for path in changed:
            versions = self.versions.setdefault(path, [])
            versions.append((self.generation, self.seen[path].content))
            del versions[:-VERSIONS_KEPT]

    def _look_at(self, path: str) -> bool:
        """Look at one path again; tell whether its content is another one."""
        known = self.seen.get(path)
        if known is not None and known.settled and known.signature == _signature(path):
            return False
        found = _look(path)
        (self._unsettled.discard if found.settled else self._unsettled.add)(path)
        if known is None or known.content != found.content:
            if known is not None and known.signature and path.endswith(".py"):
                self._former[path] = [*self._former.get(path, ())[1 - FORMER_KEPT :], known]
            self.seen[path] = found
            return True
        if known.signature != found.signature:  # it may have been something else meanwhile
            known.signature, known.since = found.signature, found.since
        known.settled = found.settled
        return False

    # ── generations ──────────────────────────────────────────────────────────────────────────────────────────────────

    def before(self, moment_ns: int) -> tuple[int, set[str]]:
        """Return the generation to which a moment (wall clock, ns) belongs, and what has changed since.

        Of what was seen to change after it, only what is known to have changed before it belongs to it.
        """
        found = self.generation
        later: set[str] = set()
        for turn in reversed(self._turns):
            if turn.at <= moment_ns:
                return found, later
            after = {path for path in turn.changed if not self.unchanged_since(path, moment_ns)}
            if after:
                found = turn.generation - 1
                later |= after
        return found, later

    def at(self, path: str, generation: int) -> bytes | None:
        """Return what a file of the workspace was in a generation; None where that is not known any more."""
        versions = self.versions.get(path, [])
        for since, content in reversed(versions):
            if since <= generation:
                return content
        return MISSING if len(versions) < VERSIONS_KEPT else None

    def changed_since(self, generation: int) -> set[str]:
        """Return the workspace's own files that are not what they were in a generation."""
        return {
            path
            for path, versions in self.versions.items()
            if versions[-1][0] > generation and self.at(path, generation) != versions[-1][1]
        }


class _Turn(NamedTuple):
    """How a generation began."""

    generation: int
    at: int  # wall clock, ns
    changed: set[str]


def _look(path: str) -> Seen:
    signature = _signature(path)
    now = time.time_ns()
    found = Seen(signature, _content(path, signature), now)
    found.settled = found.moved_at < now - GRANULARITY_NS
    return found


def _place(_path: str, found: os.stat_result) -> str:
    """Stand for the content of a file that is not read: another time or place, another text."""
    return f"{found.st_mtime_ns}:{found.st_ctime_ns}:{found.st_ino}"


def _signature(path: str) -> Signature:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_mode, found.st_ino


def _content(path: str, signature: Signature) -> bytes:
    """Return the digest of what is there: the names in a folder, the bytes of a file."""
    if not signature:
        return MISSING
    if path.endswith("/"):
        return digest("\0".join(listing(path, True)).encode("utf-8", "surrogateescape"))
    mtime, _, size, mode, _ = signature
    if not stat.S_ISREG(mode) or size > LARGEST_READ:
        return digest(f"{mtime} {size} {mode}".encode())
    try:
        with open(path, "rb") as file:
            return digest(file.read())
    except OSError as error:
        return digest(f"{error.errno}".encode())
