"""A store as it was: what functions have put and deleted since then, taken back. Runs in the user's process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testd_daemon.workflows.store.errors import ObjectMissing
from testd_daemon.workflows.testing.objects import ObjectStore

__all__ = ["Changes", "Snapshot"]


class Changes:
    """The changes that functions of a run have made, in their order. Thread-safe."""

    def __init__(self) -> None:
        """Nothing has changed yet."""
        self._lock = threading.Lock()
        self._made: list[tuple[int, str, str, str]] = []  # sequence, bucket, key, file with what was there before

    def add(self, body: Mapping[str, Any]) -> None:
        """Take a `StoreChanged`."""
        with self._lock:
            self._made.append((body["sequence"], body["bucket"], body["key"], body["kept"]))

    def view(self, store: ObjectStore, sequence: int) -> Snapshot:
        """Return a store as it was after so many changes."""
        return Snapshot(self, store, sequence)

    def since(self, bucket: str, sequence: int) -> dict[str, str]:
        """Return each key that was changed later, with the file of what it held by then; empty: it was not there."""
        with self._lock:
            later = [each for each in self._made if each[0] > sequence and each[1] == bucket]
        found: dict[str, str] = {}
        for _, _, key, kept in later:
            found.setdefault(key, kept)
        return found


class Snapshot:
    """A bucket as it was at one moment."""

    def __init__(self, changes: Changes, store: ObjectStore, sequence: int) -> None:
        """Take the store as it is, and after which change it is looked at."""
        self._changes = changes
        self._store = store
        self._sequence = sequence

    def object_exists(self, key: str) -> bool:
        """Whether there was an object of this key."""
        kept = self._since().get(key)
        return bool(kept) if kept is not None else self._store.object_exists(key)

    def get_bytes(self, key: str) -> bytes:
        """Return an object's content. Raises ObjectMissing."""
        kept = self._since().get(key)
        if kept is None:
            return self._store.get_bytes(key)
        if not kept:
            raise ObjectMissing(f"S3 object not found: s3://{self._store.bucket_name}/{key}")
        return Path(kept).read_bytes()

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of all objects below a prefix."""
        since = self._since()
        now = {key for key in self._store.keys(prefix) if key not in since}
        return sorted(now | {key for key, kept in since.items() if kept and key.startswith(prefix)})

    def _since(self) -> dict[str, str]:
        return self._changes.since(self._store.bucket_name, self._sequence)
