"""The events of one generation of a watch, on their way to the handler. Runs in the agent.

A run reports to it as it would to a `Reporter`; what it says is a part of the watch's own stream.
"""

from __future__ import annotations

import time
from typing import Final

import msgspec

from testd_daemon.agent.reporter import Reporter
from testd_daemon.agent.watch.standing import Standings
from testd_protocol.messages import Planned, Profile, Row, RunCompleted, RunEvent

__all__ = ["Part"]

#: The exit status of a generation that was superseded.
INTERRUPTED: Final = 2


class Part:
    """What a run of one generation reports to."""

    def __init__(self, reporter: Reporter, standings: Standings, generation: int) -> None:
        """Pass events on to the watch's reporter."""
        self.tests: dict[str, None] = {}  # that ran, once each
        self.outcomes: set[tuple[str, str]] = set()  # target, test
        self._counts: dict[str, int] = {}
        self._began = time.monotonic()
        self._completed: RunCompleted | None = None
        self._next: Part | None = None
        self._reporter = reporter
        self._standings = standings
        self._generation = generation

    def row(self, row: Row) -> None:
        """Add an outcome; what was superseded has none: it comes in the next generation."""
        if row.verdict == "cancelled":
            return
        if self._next is not None:
            self._next.row(row)
            return
        self.tests[row.test] = None
        self.outcomes.add((row.target, row.test))
        self._counts[row.verdict] = self._counts.get(row.verdict, 0) + 1
        self._standings.learn(row)
        self._reporter.row(row)

    def event(self, event: RunEvent) -> None:
        """Add any other event."""
        if isinstance(event, RunCompleted):
            self._completed = event
        elif self._next is None or not isinstance(event, Planned | Profile):
            self._reporter.event(event)

    def follow(self, part: Part) -> None:
        """Have what comes from now on be a part of another generation."""
        self._next = part

    def complete(self, superseded: str) -> RunCompleted:
        """Return the end of the generation: the run's own, or that of one that was superseded before the last test."""
        found = self._completed or RunCompleted(exit_code=0, counts={}, duration=0.0)
        return msgspec.structs.replace(
            found, generation=self._generation, counts=dict(self._counts), duration=time.monotonic() - self._began,
            reason=found.reason or superseded, exit_code=found.exit_code or (INTERRUPTED if superseded else 0),
        )  # fmt: skip
