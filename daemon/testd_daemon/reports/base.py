"""What every report shares: the order and the meaning of verdicts, and the dispatch of a run's events.

Runs in the client, on the quick path: imports nothing. An event's body is the plain map that the wire carries
(`testd_protocol.messages` says which); an outcome is a row `[test, target, verdict, duration, memory, worker, detail]`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Body = Mapping[str, Any]

#: Every verdict, in the order in which a summary names them.
VERDICTS = ("failed", "error", "crashed", "timed out", "passed", "skipped", "xfailed", "xpassed", "cancelled")

#: The verdicts that make a run fail.
BAD = frozenset({"failed", "error", "crashed", "timed out"})

#: The verbosity from which a notice of a level is shown.
NOTICE_FROM = {"error": -1, "warning": 0, "info": 1, "debug": 2}

#: The message types that are events of a run, and the method of a report that takes each.
HANDLERS = {
    "TargetReady": "on_target",
    "Planned": "on_plan",
    "Notice": "on_notice",
    "Started": "on_started",
    "Output": "on_output",
    "Outcomes": "on_outcomes",
    "RunCompleted": "on_completed",
    "TargetUnavailable": "on_unavailable",
    "Preparing": "on_preparing",
    "Difference": "on_difference",
    "Profile": "on_profile",
    "GenerationStarted": "on_generation",
    "Standing": "on_standing",
    "WorkflowPlanned": "on_workflow",
    "FunctionChanged": "on_function",
    "FunctionMeasured": "on_measured",
    "StoreChanged": "on_store",
}


class Report:
    """One way to show a run. Every method has a default that does nothing; an unknown event is skipped."""

    def accepted(self, run: str) -> None:
        """Take the run's identity, before its first event."""

    def event(self, run: str, seq: int, body: Body) -> None:
        """Take one event of a run."""
        name = HANDLERS.get(body["type"])
        if name is not None:
            getattr(self, name)(body)

    def tick(self) -> None:
        """Nothing has happened for a moment: redraw what shows the time."""

    def message(self, text: str) -> None:
        """Say something about the run that is no event of it: a cancellation asked for, a reconnection."""

    def took(self, name: str, seconds: float) -> None:
        """Take how long something took in this client, for a profile."""

    def fault(self, fault: Body) -> None:
        """Take the reason why the run could not be followed to its end."""

    def close(self) -> None:
        """The run is over, or its client leaves: release the terminal, write what is written at the end."""

    def on_target(self, body: Body) -> None:
        """Take `TargetReady`."""

    def on_unavailable(self, body: Body) -> None:
        """Take `TargetUnavailable`."""

    def on_preparing(self, body: Body) -> None:
        """Take `Preparing`."""

    def on_plan(self, body: Body) -> None:
        """Take `Planned`."""

    def on_notice(self, body: Body) -> None:
        """Take `Notice`."""

    def on_started(self, body: Body) -> None:
        """Take `Started`."""

    def on_output(self, body: Body) -> None:
        """Take `Output`."""

    def on_outcomes(self, body: Body) -> None:
        """Take `Outcomes`."""

    def on_difference(self, body: Body) -> None:
        """Take `Difference`."""

    def on_profile(self, body: Body) -> None:
        """Take `Profile`."""

    def on_completed(self, body: Body) -> None:
        """Take `RunCompleted`."""

    def on_generation(self, body: Body) -> None:
        """Take `GenerationStarted`, of a watch."""

    def on_standing(self, body: Body) -> None:
        """Take `Standing`, of a watch."""

    def on_workflow(self, body: Body) -> None:
        """Take `WorkflowPlanned`."""

    def on_function(self, body: Body) -> None:
        """Take `FunctionChanged`, of a workflow."""

    def on_measured(self, body: Body) -> None:
        """Take `FunctionMeasured`, of a workflow."""

    def on_store(self, body: Body) -> None:
        """Take `StoreChanged`, of a workflow."""


class Several(Report):
    """More than one report of the same run, told in order."""

    def __init__(self, reports: Sequence[Report]) -> None:
        """Make one report of `reports`."""
        self._reports = reports

    def accepted(self, run: str) -> None:
        """Pass it on."""
        for report in self._reports:
            report.accepted(run)

    def event(self, run: str, seq: int, body: Body) -> None:
        """Pass it on."""
        for report in self._reports:
            report.event(run, seq, body)

    def tick(self) -> None:
        """Pass it on."""
        for report in self._reports:
            report.tick()

    def message(self, text: str) -> None:
        """Pass it on."""
        for report in self._reports:
            report.message(text)

    def took(self, name: str, seconds: float) -> None:
        """Pass it on."""
        for report in self._reports:
            report.took(name, seconds)

    def fault(self, fault: Body) -> None:
        """Pass it on."""
        for report in self._reports:
            report.fault(fault)

    def close(self) -> None:
        """Close every report, whatever one of them raises; the error is raised at the end."""
        import contextlib

        with contextlib.ExitStack() as stack:
            for report in reversed(self._reports):
                stack.callback(report.close)


__all__ = ["BAD", "HANDLERS", "NOTICE_FROM", "VERDICTS", "Report", "Several"]
