"""The events of one generation of a watch, on their way to the handler. Runs in the agent.

A run reports to it as it would to a `Reporter`; what it says is a part of the watch's own stream.
"""

from __future__ import annotations

import msgspec

from testd_daemon.agent.reporter import Reporter
from testd_daemon.agent.watch.standing import Standings
from testd_protocol.messages import Row, RunCompleted, RunEvent

__all__ = ["Part"]


class Part:
    """What a run of one generation reports to."""

    def __init__(self, reporter: Reporter, standings: Standings, generation: int) -> None:
        """Pass events on to the watch's reporter. `completed` is the run's own end, which the watch reports."""
        self.completed: RunCompleted | None = None
        self.tests: dict[str, None] = {}  # that ran, once each
        self._reporter = reporter
        self._standings = standings
        self._generation = generation

    def row(self, row: Row) -> None:
        """Add an outcome; what was superseded has none: it comes in the next generation."""
        if row.verdict != "cancelled":
            self.tests[row.test] = None
            self._standings.learn(row)
            self._reporter.row(row)

    def event(self, event: RunEvent) -> None:
        """Add any other event."""
        if isinstance(event, RunCompleted):
            counts = {verdict: count for verdict, count in event.counts.items() if verdict != "cancelled"}
            self.completed = msgspec.structs.replace(event, generation=self._generation, counts=counts)
        else:
            self._reporter.event(event)
