"""Every test of a run has exactly one outcome. Pure; runs in the agent.

A plan is the list of what a run is about. A test is settled once; settling it twice is our bug, and raises. A run is
complete when nothing is open, however many workers and runners were lost on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from testd_daemon.errors import Bug

__all__ = ["BAD", "Plan"]

#: The verdicts that make a run fail.
BAD = frozenset({"failed", "error", "crashed", "timed out"})


class Plan:
    """The tests of a run on one target, by position. Positions never change, whatever is collected again."""

    __slots__ = ("_open", "_settled", "counts", "ids")

    def __init__(self, ids: Sequence[str]) -> None:
        """Plan these tests, all open. An id may come twice where the framework collects it twice."""
        self.ids = ids
        self._settled = bytearray(len(ids))
        self._open = len(ids)
        self.counts: dict[str, int] = {}

    def __len__(self) -> int:
        """How many tests were planned."""
        return len(self.ids)

    @property
    def open(self) -> int:
        """How many have no outcome yet."""
        return self._open

    @property
    def bad(self) -> int:
        """How many of the outcomes make the run fail."""
        return sum(count for verdict, count in self.counts.items() if verdict in BAD)

    def is_open(self, position: int) -> bool:
        """Tell whether a test has no outcome yet."""
        return not self._settled[position]

    def settle(self, position: int, verdict: str) -> None:
        """Record the outcome of one test. Raises Bug if it has one."""
        if self._settled[position]:
            raise Bug(f"{self.ids[position]} got a second outcome: {verdict}")
        self._settled[position] = 1
        self._open -= 1
        self.counts[verdict] = self.counts.get(verdict, 0) + 1

    def unsettled(self) -> Iterator[int]:
        """Yield the positions that are open, in order."""
        return (position for position, settled in enumerate(self._settled) if not settled)
