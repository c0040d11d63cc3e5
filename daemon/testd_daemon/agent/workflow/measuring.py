"""What a run of a workflow came to and what it took, noted as it is told, kept when it is over. Runs in the agent."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import anyio.to_thread
import msgspec

from testd_daemon.agent.history import History, RunRecord, TestRecord
from testd_daemon.agent.reporter import Sink
from testd_daemon.workflows.course import Course
from testd_daemon.workflows.measures.figures import figures_of
from testd_daemon.workflows.measures.kept import file_of, keep
from testd_protocol.messages import (
    FunctionChanged,
    FunctionMeasured,
    Row,
    RunCompleted,
    RunEvent,
    WorkflowPlanned,
)

__all__ = ["Measuring"]

#: Verdicts of functions that did not run.
_LEFT_OUT = ("skipped", "cancelled")
_NOTED = (WorkflowPlanned, FunctionChanged, FunctionMeasured, RunCompleted)


class Measuring:
    """Stands between a run and whoever it reports to."""

    def __init__(self, sink: Sink) -> None:
        """Pass everything on to `sink`."""
        self._sink = sink
        self._course = Course()
        self._rows: dict[str, list[Row]] = {}  # by target
        self._began = time.time()

    def row(self, row: Row) -> None:
        """Pass an outcome on."""
        self._rows.setdefault(row.target, []).append(row)
        self._sink.row(row)

    def event(self, event: RunEvent) -> None:
        """Pass an event on, and note what it says of functions."""
        if isinstance(event, _NOTED):
            self._course.take({"type": type(event).__name__, **msgspec.structs.asdict(event)})
        self._sink.event(event)

    async def record(self, run: str, history: History) -> None:
        """Write the run into the workspace's history, where functions stand below the workflow's file.

        Functions stand apart from the project's tests, so that what failed last is told of each by itself.
        """
        ended, planned = self._course.completed, self._course.planned
        for target, rows in self._rows.items():
            counts = Counter[str](row.verdict for row in rows)
            records = [_record(f"{planned['file']}::{row.test}", row) for row in rows if row.verdict not in _LEFT_OUT]
            exit_code = int(ended["exit_code"]) if ended else 2
            duration = float(ended["duration"]) if ended else time.time() - self._began
            await history.record(
                RunRecord(run, f"{target} workflows", self._began, duration, exit_code, dict(counts), records)
            )

    async def keep(self, run: str, state: str) -> None:
        """Keep the figures of a run that went to its end without a failure: what later ones are compared with.

        Of a run that was begun by a process that is gone not all was noted, so it is not kept.
        """
        course = self._course
        whole = all(function.final for function in course.functions.values())
        if not course.completed or course.completed["exit_code"] or not whole:
            return
        figures = figures_of(course, run)
        if figures is not None:
            await anyio.to_thread.run_sync(keep, file_of(Path(state), figures.workflow), figures)


def _record(name: str, row: Row) -> TestRecord:
    return TestRecord(name, row.verdict, row.duration, row.detail.message if row.detail else "")
