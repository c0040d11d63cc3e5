"""What is in a folder of run files, and what is to be done with it. Blocks; runs in a thread.

A file is to be run if it holds items without a result. What is wrong with one is written beside it, into `NAME.error`,
once it has been the same for a moment: before, somebody may still be writing it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Container, Iterable
from typing import Any, Final, NamedTuple

from testd.functions import documents
from testd_daemon.agent.filing import Identity
from testd_daemon.writing import write

__all__ = ["SETTLE", "Ended", "Folder", "Look", "Pending"]

#: Seconds for which a file that is no run file has stayed the same before that is said.
SETTLE: Final = 1.0
SUFFIX: Final = ".json"
ERROR: Final = ".error"


class Pending(NamedTuple):
    """A file with something to run: these items, none for all."""

    name: str
    identity: Identity
    items: tuple[str, ...]


class Ended(NamedTuple):
    """A file that was run: what it was then, as far as that is known, and why something in it may not have been."""

    name: str
    identity: Identity | None
    why: str


class Look(NamedTuple):
    """What a look has found. `again`: in how many seconds there may be more to say, None for never."""

    pending: list[Pending]
    again: float | None
    troubles: list[str]  # what could not be written beside a file


class Folder:
    """A folder of run files, by its absolute path."""

    def __init__(self, path: str) -> None:
        """Know of nothing in it."""
        self.path = path
        self._done: dict[str, Identity] = {}  # files with nothing to run
        self._unclear: dict[str, tuple[Identity, float]] = {}  # that cannot be read, and since when
        self._troubles: list[str] = []

    def look(self, busy: Container[str], ended: Iterable[Ended] = ()) -> Look:
        """Look at all files but those that are `busy`, having taken note of those that were run. Raises OSError."""
        for each in ended:
            self._take_note(each)
        there, errors = self._list()
        for known in (self._done, self._unclear):
            for name in [name for name in known if name not in there]:
                del known[name]
        for name in errors:
            if name not in there:
                self._clear(name)
        pending: list[Pending] = []
        for name, found in sorted(there.items(), key=lambda item: item[1].st_mtime_ns):
            if name not in busy and self._done.get(name) != Identity.of(found):
                pending += self._examine(name, found)
        rest = [since + SETTLE - time.monotonic() for _, since in self._unclear.values()]
        troubles, self._troubles = self._troubles, []
        return Look(pending, max(0.0, min(rest)) if rest else None, troubles)

    def _take_note(self, ended: Ended) -> None:
        """Know a file that was run. One that is still the same is not run again, whatever it lacks."""
        path = os.path.join(self.path, ended.name)
        try:
            found = Identity.of(os.lstat(path))
        except OSError:
            return
        if found == ended.identity:
            self._done[ended.name] = found
            if _lacking(path):
                self._tell(ended.name, ended.why)

    def _list(self) -> tuple[dict[str, os.stat_result], set[str]]:
        """Return the files that may be run files, and those beside which something is written."""
        there: dict[str, os.stat_result] = {}
        errors: set[str] = set()
        with os.scandir(self.path) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.name.endswith(SUFFIX):
                    with contextlib.suppress(FileNotFoundError):
                        there[entry.name] = entry.stat(follow_symlinks=False)
                elif entry.name.endswith(SUFFIX + ERROR):
                    errors.add(entry.name.removesuffix(ERROR))
        return there, errors

    def _examine(self, name: str, found: os.stat_result) -> list[Pending]:
        identity = Identity.of(found)
        try:
            items = _to_run(os.path.join(self.path, name), name, found)
        except documents.DocumentError as error:
            before, since = self._unclear.get(name, (None, 0.0))
            if before != identity:
                self._unclear[name] = identity, time.monotonic()
            elif time.monotonic() - since >= SETTLE:
                self._settle(name, identity)
                self._tell(name, str(error))
            return []
        self._clear(name)
        if items is None:
            self._settle(name, identity)
            return []
        self._unclear.pop(name, None)
        return [Pending(name, identity, items)]

    def _settle(self, name: str, identity: Identity) -> None:
        self._unclear.pop(name, None)
        self._done[name] = identity

    def _tell(self, name: str, text: str) -> None:
        """Say beside a file what is wrong with it."""
        path = os.path.join(self.path, name)
        try:
            write(path + ERROR, f"{path}: {text}\n")
        except OSError as error:
            self._troubles.append(f"{path}: {text}; and that cannot be written beside it: {error.strerror}")

    def _clear(self, name: str) -> None:
        with contextlib.suppress(OSError):
            os.remove(os.path.join(self.path, name + ERROR))


def _to_run(path: str, name: str, found: os.stat_result) -> tuple[str, ...] | None:
    """Return the items of a run file without a result: none for all of them, None where each has one.

    Raises DocumentError.
    """
    if not stat.S_ISREG(found.st_mode):
        raise documents.DocumentError("is no regular file: what comes of it could not be written back")
    if "::" in name:
        raise documents.DocumentError("has :: in its name, which stands before the name of an item")
    document = documents.read(path)
    if document.kind != "run file":
        raise documents.DocumentError("is a suite: run files have functions_to_run; testd suite run runs it")
    lacking = [part.name for part in document.parts if not _has_result(part.value)]
    if not lacking:
        return None
    return () if len(lacking) == len(document.parts) else tuple(lacking)


def _lacking(path: str) -> bool:
    try:
        return any(not _has_result(part.value) for part in documents.read(path).parts)
    except documents.DocumentError:
        return False


def _has_result(item: Any) -> bool:
    """Tell whether an item was run; what is no item cannot hold that, and never is."""
    if not isinstance(item, dict):
        return True
    return any(item.get(key) is not None for key in ("executed_function", "error"))
