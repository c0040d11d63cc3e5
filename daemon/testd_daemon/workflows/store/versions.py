"""The changes that functions make, each numbered, with what was there before: a store can be seen as it was.

The agent writes (`Versions`): a line in the run's folder for each change, before it is made, and a file with the object
that it is about to replace. Whoever tests the run reads (`History`), on the same machine. Since a line is there before
its change is, whoever looks at an object first and then at the lines knows whether what he saw is from then or newer.
What functions do without their API, such as with a client of their own, is not seen.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final, Literal

import anyio
import msgspec

from testd_daemon.workflows.store.bucket import Bucket
from testd_daemon.workflows.store.client import Store
from testd_daemon.workflows.store.errors import ObjectMissing, StoreError

__all__ = ["Change", "History", "Limits", "NotKept", "Versions", "View"]

_LINES: Final = "changes.jsonl"
_OBJECTS: Final = "versions"


class Change(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change: a line of the file."""

    sequence: int  # 1, 2, 3 …
    function: str  # that made it
    verb: Literal["put", "delete"]
    store: str  # the data store's name
    place: str = ""  # which store that is
    bucket: str
    key: str
    size: int = 0  # bytes of the new content
    kept: str = ""  # the name of the file with what was there before; empty: nothing was, or it was not kept
    lost: str = ""  # why it was not kept


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much is kept of what one run replaces, in bytes."""

    one: int = 64 * 1024**2  # of an object
    all: int = 1024**3  # of all together


class NotKept(StoreError):
    """An object was replaced, and what it held was not kept."""


class Versions:
    """Numbers the changes of a run and keeps what they replace."""

    def __init__(self, folder: Path, limits: Limits | None = None) -> None:
        """Go on with what the run's folder holds, or begin. Raises OSError."""
        self.folder = folder / _OBJECTS
        self.folder.mkdir(parents=True, exist_ok=True)
        self.limits = limits or Limits()
        self.sequence = max((change.sequence for change in _read(folder / _LINES)), default=0)
        self._room = self.limits.all - sum(path.stat().st_size for path in self.folder.iterdir())
        self._lines: IO[bytes] = (folder / _LINES).open("ab", buffering=0)
        if self._lines.tell() and not _whole(folder / _LINES):
            self._lines.write(b"\n")  # the line at which a process was killed
        self._number = max((int(path.name) for path in self.folder.iterdir()), default=0)
        self._turns: dict[tuple[str, str, str], anyio.Lock] = {}

    def close(self) -> None:
        """Close the file."""
        self._lines.close()

    @asynccontextmanager
    async def changing(
        self, function: str, verb: Literal["put", "delete"], store: Store, key: str, size: int = 0
    ) -> AsyncIterator[Change]:
        """Have a change made by the block; one at a time of an object. Raises StoreError, OSError."""
        address = store.address
        named = (address.place, address.bucket, key)
        turn = self._turns.setdefault(named, anyio.Lock())
        try:
            async with turn:
                kept, lost = await self._keep(store, key)
                self.sequence += 1
                change = Change(
                    sequence=self.sequence,
                    function=function,
                    verb=verb,
                    store=address.name,
                    place=address.place,
                    bucket=address.bucket,
                    key=key,
                    size=size,
                    kept=kept,
                    lost=lost,
                )
                self._lines.write(msgspec.json.encode(change) + b"\n")
                yield change
        finally:
            if not turn.statistics().tasks_waiting:
                self._turns.pop(named, None)

    async def _keep(self, store: Store, key: str) -> tuple[str, str]:
        """Keep what an object holds now: return the file's name, or why it is not kept."""
        found = await store.head(key)
        if found is None:
            return "", ""
        if found.size > self.limits.one:
            return "", f"it had {found.size} bytes, and {self.limits.one} are kept of an object"
        if found.size > self._room:
            return "", f"{self.limits.all} bytes are kept of a run, and these were full"
        self._room -= found.size
        self._number += 1
        name = f"{self._number}"
        try:
            await store.fetch(key, self.folder / name)
        except ObjectMissing:
            return "", ""
        return name, ""


class History:
    """The changes of a run, read from its folder as they come. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read yet."""
        self._folder = folder
        self._lock = threading.Lock()
        self._offset = 0
        self._changes: list[Change] = []

    def since(self, place: str, bucket: str, sequence: int) -> dict[str, Change]:
        """Return for each key that was changed after a moment the first change: it has what was there by then."""
        with self._lock, contextlib.suppress(FileNotFoundError), (self._folder / _LINES).open("rb") as file:
            file.seek(self._offset)
            whole = file.read().rpartition(b"\n")[0]
            self._offset += len(whole) + 1 if whole else 0
            self._changes += _decoded(whole.splitlines())
        found: dict[str, Change] = {}
        for change in self._changes:
            if change.sequence > sequence and (change.place, change.bucket) == (place, bucket):
                found.setdefault(change.key, change)
        return found

    def view(self, bucket: Bucket, sequence: int) -> View:
        """Return a bucket as it was after so many changes."""
        return View(self, bucket, sequence)

    def content(self, change: Change) -> bytes:
        """Return what was there before a change. Raises ObjectMissing where nothing was, NotKept."""
        where = f"s3://{change.bucket}/{change.key}"
        if change.lost:
            raise NotKept(
                f"{where} was replaced by {change.function}, and what it held before was not kept: {change.lost}",
                hint="assert on it in a function that runs before, or put it under a name of its own",
            )
        if not change.kept:
            raise ObjectMissing(f"S3 object not found: {where}", detail=f"{change.function} has put it later")
        return (self._folder / _OBJECTS / change.kept).read_bytes()


class View:
    """A bucket as it was at one moment. Methods raise StoreError; what may have changed since is looked at last."""

    def __init__(self, history: History, bucket: Bucket, sequence: int) -> None:
        """See `History.view`."""
        self._history = history
        self._bucket = bucket
        self._sequence = sequence

    def exists(self, key: str) -> bool:
        """Say whether there was an object."""
        now = self._bucket.head(key) is not None
        change = self._later().get(key)
        return now if change is None else _was_there(change)

    def get(self, key: str) -> bytes:
        """Return an object's content. Raises ObjectMissing, NotKept."""
        now: bytes | ObjectMissing
        try:
            now = self._bucket.get(key)
        except ObjectMissing as error:
            now = error
        change = self._later().get(key)
        if change is not None:
            return self._history.content(change)
        if isinstance(now, ObjectMissing):
            raise now
        return now

    def listing(self, prefix: str = "") -> list[str]:
        """Return the keys that began with a prefix, in their order."""
        now = [entry.key for entry in self._bucket.listing(prefix)]
        later = self._later()
        gone = [key for key, change in later.items() if key.startswith(prefix) and _was_there(change)]
        return sorted({key for key in now if key not in later}.union(gone))

    def _later(self) -> dict[str, Change]:
        address = self._bucket.address
        return self._history.since(address.place, address.bucket, self._sequence)


def _was_there(change: Change) -> bool:
    return bool(change.kept or change.lost)


def _read(path: Path) -> Iterator[Change]:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        yield from _decoded(file)


def _decoded(lines: Iterable[bytes]) -> Iterator[Change]:
    """Yield the changes of lines. One is cut off where a process was killed while it wrote: that was not made."""
    for line in lines:
        with contextlib.suppress(msgspec.MsgspecError):
            yield msgspec.json.decode(line, type=Change)


def _whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
