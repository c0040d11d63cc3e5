"""How a run of a workflow goes, as its events tell it. Pure; runs in whoever reports: imports nothing but ours.

An event's body is the plain map that the wire carries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["FINAL", "STATUSES", "Course", "Function"]

#: Every status, in the order in which counts are told.
STATUSES = ("failed", "timeout", "running", "invoked", "pending", "completed", "skipped", "not_invoked")
FINAL = frozenset({"failed", "timeout", "completed", "skipped", "not_invoked"})


class Function:
    """One instance.

    Attributes:
        status: as the events have it.
        why: it has this status; empty where that is plain.
        target: where it runs, or ran.
        at: wall clock, since when it has this status; 0: it never had another one.
        invoked: wall clock, when it was invoked; 0: it was not.
        began: wall clock, when it began to run; 0: it did not.
        ended: wall clock, when it ended; 0: it has not.
        measured: the body of its `FunctionMeasured`, empty before.
        log: what it has printed and logged, the newest part of it.
    """

    __slots__ = ("at", "began", "ended", "invoked", "log", "measured", "name", "status", "target", "why")

    #: Characters of a log that are kept.
    LOG_KEPT = 100_000

    def __init__(self, name: str) -> None:
        """Begin pending."""
        self.name = name
        self.status = "pending"
        self.why = ""
        self.target = ""
        self.at = self.invoked = self.began = self.ended = 0.0
        self.measured: Mapping[str, Any] = {}
        self.log = ""

    @property
    def final(self) -> bool:
        """Whether nothing more can come of it."""
        return self.status in FINAL

    def lasted(self, now: float) -> float:
        """Return the seconds that it has been running, or ran."""
        return max(0.0, (self.ended or now) - self.began) if self.began else 0.0

    def change(self, body: Mapping[str, Any]) -> None:
        """Take a `FunctionChanged`."""
        self.status, self.why, self.at = body["status"], body.get("why", ""), float(body["at"])
        self.target = body.get("target") or self.target
        if self.status == "invoked":
            self.invoked = self.invoked or self.at
        elif self.status == "running":
            self.began, self.ended = self.at, 0.0
        elif self.final:
            self.ended = self.at

    def say(self, text: str) -> None:
        """Take a piece of what it prints or logs."""
        self.log = (self.log + text)[-self.LOG_KEPT :]


class Course:
    """One run.

    Attributes:
        planned: the body of its `WorkflowPlanned`, empty before.
        completed: the body of its `RunCompleted`, empty before.
        functions: by the name of the instance.
        began: wall clock of its first change.
        ended: wall clock of its last one.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self.planned: Mapping[str, Any] = {}
        self.completed: Mapping[str, Any] = {}
        self.functions: dict[str, Function] = {}
        self.began = self.ended = 0.0

    def take(self, body: Mapping[str, Any]) -> Function | None:
        """Take an event; return the function that it is about, if there is one."""
        kind = body["type"]
        if kind == "WorkflowPlanned":
            self.planned = body
            for name in body["functions"]:
                self._function(name)
        elif kind == "FunctionChanged":
            function = self._function(body["function"])
            function.change(body)
            self.began = self.began or function.at
            self.ended = max(self.ended, function.at)
            return function
        elif kind == "FunctionMeasured":
            function = self._function(body["function"])
            function.measured = body
            return function
        elif kind == "Output" and body.get("test") in self.functions:
            function = self.functions[body["test"]]
            function.say(body["text"])
            return function
        elif kind == "RunCompleted":
            self.completed = body
        return None

    def counts(self) -> dict[str, int]:
        """Return status → number of instances, in the order of STATUSES."""
        found: dict[str, int] = dict.fromkeys(STATUSES, 0)
        for function in self.functions.values():
            found[function.status] = found.get(function.status, 0) + 1
        return {status: count for status, count in found.items() if count}

    def actions(self) -> Iterator[tuple[str, list[Function]]]:
        """Give each action with its instances, in the order of the plan."""
        found: dict[str, list[Function]] = {}
        for name, function in self.functions.items():
            found.setdefault(name.partition("(")[0], []).append(function)
        yield from found.items()

    def _function(self, name: str) -> Function:
        return self.functions.setdefault(name, Function(name))
