"""The JSON report: one event a line, each an object whose first keys are `event`, `run` and `seq`.

The schema is documented in docs/json-events.md and is kept: keys are added, never renamed or removed, within a
`schema` number. Text is as the tests made it; the lines are ASCII, so that no terminal or encoding changes them.

Runs in the client, when asked for: imports json.
"""

from __future__ import annotations

import json

from testd_daemon.reports.base import Report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from testd_daemon.reports.terminal import Terminal

    Body = Mapping[str, Any]

#: Rises when a reader of an older number could misread a line.
SCHEMA = 1

_ENCODER = json.JSONEncoder(separators=(",", ":"))
_NAMES = {
    "TargetReady": "target",
    "Planned": "plan",
    "Notice": "notice",
    "Started": "running",
    "Output": "output",
    "RunCompleted": "completed",
    "TargetUnavailable": "unavailable",
    "Preparing": "preparing",
    "Difference": "difference",
    "Profile": "profile",
    "GenerationStarted": "generation",
    "Standing": "standing",
    "WorkflowPlanned": "workflow",
    "FunctionChanged": "function",
    "FunctionMeasured": "measured",
    "StoreChanged": "store",
}
_ROW = ("test", "target", "verdict", "duration", "memory", "worker", "detail")
_FAILING = ("test", "target", "verdict", "message")
_DETAIL = ("phase", "kind", "message", "text", "frames", "sections", "leaks", "stacks")


class JsonReport(Report):
    """A run as JSON lines."""

    def __init__(self, terminal: Terminal, facts: Mapping[str, Any]) -> None:
        """Write to `terminal`. `facts` about the request go into the first line (`version`, `workspace`)."""
        self._terminal = terminal
        self._facts = facts
        self._run = ""
        self._took: dict[str, float] = {}

    def accepted(self, run: str) -> None:
        """Write the first line."""
        self._run = run
        self._write({"event": "accepted", "run": run, "seq": 0, "schema": SCHEMA, **self._facts})

    def event(self, run: str, seq: int, body: Body) -> None:
        """Write an event; a batch of outcomes becomes a line for each test."""
        head: dict[str, Any] = {"run": run, "seq": seq}
        if body["type"] == "Outcomes":
            lines = [_encode({"event": "outcome", **head, **_outcome(row)}) for row in body["rows"]]
            self._terminal.write("".join(lines))
            return
        if body["type"] == "Profile":
            head["client"] = self._took
        name = _NAMES.get(body["type"])
        if name is not None:
            self._write({"event": name, **head, **{key: value for key, value in _plain(body) if key != "type"}})

    def took(self, name: str, seconds: float) -> None:
        """Keep it for the profile."""
        self._took[name] = round(seconds, 6)

    def fault(self, fault: Body) -> None:
        """Write why no `completed` line follows."""
        keys = ("code", "message", "hint", "detail", "exit_code")
        self._write({"event": "fault", "run": self._run, "seq": 0, **{key: fault[key] for key in keys if key in fault}})

    def _write(self, line: Mapping[str, Any]) -> None:
        self._terminal.write(_encode(line))


def _outcome(row: Any) -> dict[str, Any]:
    outcome: dict[str, Any] = dict(zip(_ROW, row, strict=False))
    detail = outcome["detail"]
    outcome["detail"] = {key: detail[key] for key in _DETAIL if key in detail} if detail else None
    return outcome


def _plain(body: Body) -> Iterator[tuple[str, Any]]:
    """Give a message's fields; what is an array on the wire becomes an object."""
    for key, value in body.items():
        yield key, [dict(zip(_FAILING, row, strict=False)) for row in value] if key == "failing" else value


def _encode(line: Mapping[str, Any]) -> str:
    return _ENCODER.encode(line) + "\n"


__all__ = ["SCHEMA", "JsonReport"]
