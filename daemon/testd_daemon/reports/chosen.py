"""The report of a run of which it is not known beforehand what it is of: tests, or a workflow.

Runs in the client of a run that another command started; imports our own parts.
"""

from __future__ import annotations

from testd_daemon.reports.base import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class Chosen(Report):
    """A report of tests until the run says that it is of a workflow, which it does before anything has run."""

    def __init__(self, tests: Report, workflow: Callable[[], Report]) -> None:
        """Begin with `tests`; `workflow` makes the other one."""
        self._report = tests
        self._workflow: Callable[[], Report] | None = workflow

    def accepted(self, run: str) -> None:
        """Pass it on."""
        self._report.accepted(run)

    def event(self, run: str, seq: int, body: Mapping[str, Any]) -> None:
        """Pass it on, to whom it concerns."""
        if body["type"] == "WorkflowPlanned" and self._workflow is not None:
            self._report.close()
            self._report, self._workflow = self._workflow(), None
        self._report.event(run, seq, body)

    def tick(self) -> None:
        """Pass it on."""
        self._report.tick()

    def message(self, text: str) -> None:
        """Pass it on."""
        self._report.message(text)

    def fault(self, fault: Mapping[str, Any]) -> None:
        """Pass it on."""
        self._report.fault(fault)

    def close(self) -> None:
        """Pass it on."""
        self._report.close()


__all__ = ["Chosen"]
