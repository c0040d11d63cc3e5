"""What keeps a board up to date while a run goes on: its shape. Runs in the user's process.

One way is to look at the store (store_watch.py), which works wherever the workflow runs; the other to be told by the
daemon that runs it (event_watch.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Protocol

from testd_daemon.workflows.measures.figures import RunFigures
from testd_daemon.workflows.store.address import Address
from testd_daemon.workflows.testing.board import Board
from testd_daemon.workflows.testing.function_monitor import FunctionMonitor
from testd_daemon.workflows.testing.objects import ObjectStore

__all__ = ["View", "Watch"]


class View(Protocol):
    """A store as it was at one moment, or as it is."""

    def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""
        ...

    def get(self, key: str) -> bytes:
        """Return an object's content. Raises ObjectMissing."""
        ...

    def listing(self, prefix: str) -> Iterable[str]:
        """Return the keys of all objects below a prefix."""
        ...


class Watch(ABC):
    """Watches one run. `board`: how it stands; `monitors`: each function of it; `store`: where its files are."""

    board: Board
    monitors: Mapping[str, FunctionMonitor]
    store: ObjectStore

    @abstractmethod
    def start(self) -> None:
        """Watch from now on, in a thread that ends with the run."""

    @abstractmethod
    def ask_to_stop(self) -> None:
        """Have the thread end soon, without waiting for it. A run of our own is cancelled."""

    @abstractmethod
    def stop(self, timeout: float | None = None) -> bool:
        """End the thread and wait for it. Returns whether it has ended within `timeout` seconds."""

    def own_buckets(self) -> list[Address]:
        """Return the buckets that were made for the run alone, and that stay when it has ended."""
        return []

    @abstractmethod
    def close(self) -> None:
        """Give up everything that is held for the run."""

    @abstractmethod
    def figures(self) -> RunFigures | None:
        """Return what the run has taken so far; None where nothing has been invoked. Raises StoreError."""

    def key_of(self, name: str) -> str:
        """Return the key of what functions call `folder/file`."""
        return name

    def view(self, function: str) -> View:
        """Return the store as it was when a function completed, where that is known: else as it is."""
        return self.store
