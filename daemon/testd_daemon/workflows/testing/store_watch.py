"""Watches a run by its store alone, wherever it runs: one listing an interval for the whole run.

Runs in the user's process, in the thread of a poller. Only logs that have grown are read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from testd_daemon.workflows.graph import Graph, action_of
from testd_daemon.workflows.measures.cloud import Stored, figures_from
from testd_daemon.workflows.measures.figures import RunFigures
from testd_daemon.workflows.status import FunctionStatus, has_completed, has_final_state
from testd_daemon.workflows.testing.board import Board
from testd_daemon.workflows.testing.deduction import Deduced, Seen, deduce, left_over, told_all
from testd_daemon.workflows.testing.exceptions import StopMonitoring
from testd_daemon.workflows.testing.function_monitor import QUIET, FunctionMonitor
from testd_daemon.workflows.testing.objects import Listing, ObjectStore
from testd_daemon.workflows.testing.poller import Poller
from testd_daemon.workflows.testing.watch import Watch

__all__ = ["StoreWatch"]


class StoreWatch(Watch):
    """Watches a run by what the store has of it."""

    def __init__(
        self,
        graph: Graph,
        board: Board,
        monitors: Mapping[str, FunctionMonitor],
        poller: Poller,
        *,
        store: ObjectStore,
        workflow: str,
        timeout: float,
        static_joins: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the run. `timeout`: seconds without a change in the store after which nothing more is expected."""
        self.board = board
        self.monitors = monitors
        self.store = store
        self.poller = poller
        self._graph = graph
        self._workflow = workflow
        self._timeout = timeout
        self._static_joins = static_joins
        self._clock = clock
        self._newest: Listing = {}
        self._changed = clock()

    def start(self) -> None:
        """Watch from now on."""
        self._changed = self._clock()
        self.board.update(deduce(self._graph, {}))
        self.poller.add(self.look)
        self.poller.start()

    def ask_to_stop(self) -> None:
        """Have the thread end soon. What runs in the cloud goes on there."""
        self.poller.ask_to_stop()
        self.board.end("shut down", lambda _: Deduced(FunctionStatus.SKIPPED, "the monitoring was shut down"))

    def stop(self, timeout: float | None = None) -> bool:
        """End the thread, once it has heard of a request that is under way."""
        self.ask_to_stop()
        return self.poller.stop(timeout)

    def close(self) -> None:
        """Hold nothing."""

    def figures(self) -> RunFigures | None:
        """Return what times of objects and logs tell; what spans functions is as exact as times in the store are."""
        objects = {
            key: Stored(datetime.fromtimestamp(entry.modified, timezone.utc), entry.size)
            for key, entry in self._newest.items()
        }
        logs = {name: monitor.logs_content for name, monitor in self.monitors.items()}
        return figures_from(self._graph, self.poller.folder, objects, logs, self._workflow)

    def look(self, listing: Listing | None) -> None:
        """Take in a listing, None where there was none. Raises StopMonitoring at the end of the run."""
        try:
            if listing is not None:
                self._take(listing)
            self._check_time()
        except StopMonitoring as end:
            self.board.end(str(end), self._left_over)
            raise

    def _take(self, listing: Listing) -> None:
        if listing != self._newest:
            self._newest, self._changed = listing, self._clock()
        seen = {name: self._look_at(name, monitor, listing) for name, monitor in self.monitors.items()}
        found = deduce(self._graph, seen, static_joins=self._static_joins)
        for name, each in found.items():
            self._tell(self.monitors[name], seen[name], each.status)
        self.board.update(found)
        self._check_end(found)

    def _look_at(self, name: str, monitor: FunctionMonitor, listing: Listing) -> Seen:
        seen = monitor.look(listing)
        return seen._replace(settled=seen.settled or told_all(self._graph, action_of(name), seen))

    def _tell(self, monitor: FunctionMonitor, seen: Seen, status: FunctionStatus) -> None:
        monitor.set_status(status)
        if has_final_state(status) and (seen.settled or monitor.quiet >= QUIET or not seen.started):
            monitor.complete()

    def _check_end(self, found: Mapping[str, Deduced]) -> None:
        """Raise StopMonitoring once every function has ended, and every log has said all."""
        if all(has_final_state(each.status) and self.monitors[name].logs_complete for name, each in found.items()):
            good = all(has_completed(each.status) for each in found.values())
            raise StopMonitoring("All functions completed" if good else "All functions ended")

    def _check_time(self) -> None:
        if self._clock() - self._changed >= self._timeout:
            trouble = f": {self.poller.trouble}" if self.poller.trouble else ""
            raise StopMonitoring(f"Timed out: nothing changed in the store for {self._timeout:g} seconds{trouble}")

    def _left_over(self, name: str) -> Deduced:
        return left_over(self._graph, self.board.statuses(), name, self.poller.trouble)
