"""What a run of a workflow took, noted as it is told, and kept when it is over. Runs in the agent."""

from __future__ import annotations

from pathlib import Path

import anyio.to_thread
import msgspec

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

_NOTED = (WorkflowPlanned, FunctionChanged, FunctionMeasured, RunCompleted)


class Measuring:
    """Stands between a run and whoever it reports to."""

    def __init__(self, sink: Sink) -> None:
        """Pass everything on to `sink`."""
        self._sink = sink
        self._course = Course()

    def row(self, row: Row) -> None:
        """Pass an outcome on."""
        self._sink.row(row)

    def event(self, event: RunEvent) -> None:
        """Pass an event on, and note what it says of functions."""
        if isinstance(event, _NOTED):
            self._course.take({"type": type(event).__name__, **msgspec.structs.asdict(event)})
        self._sink.event(event)

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
