"""Roots on their way from the program's threads to the sender's. Runs in the user's process.

Whoever puts one in never waits: it is taken, or dropped and counted. So nothing here holds a lock for longer than it
takes to count, and the locks are those that a signal handler or a destructor may meet again on the same thread.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd.tracing.calls import Call

__all__ = ["Outbox"]

#: What waits at most: roots, and calls in all of them. One root of any size always has room.
_ROOTS = 2000
_CALLS = 200_000
#: Calls in what is taken out at once.
_LOAD = 500


class Outbox:
    """A bounded queue of roots."""

    def __init__(self) -> None:
        """Begin empty."""
        self._queue: SimpleQueue[Call | None] = SimpleQueue()
        self._lock = threading.RLock()
        self._roots = 0
        self._calls = 0
        self.dropped = 0  #: since this was told

    def __len__(self) -> int:
        """Return how many roots were put in and are not done."""
        return self._roots

    def put(self, root: Call) -> None:
        """Take a root, or drop it where there is no room."""
        with self._lock:
            if self._roots >= _ROOTS or (self._roots and self._calls + root.total > _CALLS):
                self.dropped += 1
                return
            self._roots += 1
            self._calls += root.total
        self._queue.put(root)

    def nudge(self) -> None:
        """Let whoever waits for roots look around."""
        self._queue.put(None)

    def take(self, wait: float | None) -> list[Call]:
        """Return some roots; wait at most so many seconds for the first. None at all after a nudge, or in vain."""
        load: list[Call] = []
        calls = 0
        try:
            root = self._queue.get(timeout=wait)
            while root is not None:
                load.append(root)
                calls += root.total
                if calls >= _LOAD:
                    break
                root = self._queue.get_nowait()
        except Empty:
            pass
        return load

    def done(self, load: list[Call], lost: int = 0) -> None:
        """Make room again for what was taken; `lost` of them did not arrive."""
        with self._lock:
            self._roots -= len(load)
            self._calls -= sum(root.total for root in load)
            self.dropped += lost

    def drops(self) -> int:
        """Return how many were dropped since this was asked."""
        with self._lock:
            dropped, self.dropped = self.dropped, 0
        return dropped

    def not_told(self, dropped: int) -> None:
        """Count drops again whose number did not arrive."""
        with self._lock:
            self.dropped += dropped
