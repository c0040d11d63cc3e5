"""How far a run is: what is planned, what is done, what runs now, and what the time looks like.

Runs in the client, on the quick path: no clock of its own (times are handed in), no input, no output.
"""

from __future__ import annotations

from testd_daemon.reports import safe, words
from testd_daemon.reports.base import BAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from testd_daemon.reports.targets import Targets

    Body = Mapping[str, Any]

#: How many of the tests that run are named.
SHOWN = 3


class Progress:
    """The state of a run as its events tell it."""

    def __init__(self, started_at: float) -> None:
        """Start at a moment of a monotonic clock."""
        self.started_at = started_at
        self.counts: dict[str, int] = {}
        self.done = 0
        self.planned: int | None = None
        self._ends_at: float | None = None
        self.deselected = 0
        self.targets: dict[str, Body] = {}
        self.said = ""  # what the only target does before it is ready: making its environment
        self.several: Targets | None = None  # the targets, from the moment on at which they are more than one
        self._names: dict[str, None] = {}
        self._running: dict[tuple[str, str], tuple[float, int]] = {}

    @property
    def bad(self) -> int:
        """How many tests did not do what they should."""
        return sum(self.counts.get(verdict, 0) for verdict in BAD)

    def target(self, body: Body) -> None:
        """Take `TargetReady`; one that comes again (an agent was replaced) does not change how the run began."""
        name = str(body["target"])
        self.targets.setdefault(name, body)
        self.know(name)
        if self.several is not None:
            self.several.ready(body)

    def unavailable(self, body: Body) -> None:
        """Take `TargetUnavailable`."""
        name = str(body["target"])
        self.know(name)
        if self.several is not None:
            self.several.unavailable(body)
            self._running = {key: value for key, value in self._running.items() if key[0] != name}

    def notice(self, body: Body) -> None:
        """Take a `Notice`: what a target says of level info is what it does until it is ready."""
        if body.get("target") and body["level"] == "info":
            self.preparing(body)

    def preparing(self, body: Body) -> None:
        """Take `Preparing`."""
        if self.several is not None:
            self.several.preparing(body)
        elif not self.targets:
            self.said = safe.line(str(body["text"]))

    def plan(self, body: Body, now: float) -> None:
        """Take `Planned`; the newest counts. What is expected is expected from now on."""
        self.planned = int(body["tests"])
        self.deselected = int(body.get("deselected") or 0)
        expected = body.get("expected")
        self._ends_at = None if expected is None else now + float(expected)
        targets = body.get("targets") or {}
        self.know(*targets)
        if self.several is not None:
            self.several.plan(targets)
            if not self.planned and any(planned is None for planned in targets.values()):
                self.planned = None

    def started(self, body: Body, now: float) -> None:
        """Take `Started`: a test that has been running for a while."""
        key = (str(body["target"]), str(body["test"]))
        self._running[key] = (now - float(body["seconds"]), int(body["worker"]))

    def outcome(self, test: str, target: str, verdict: str) -> None:
        """Count one outcome."""
        self.done += 1
        self.counts[verdict] = self.counts.get(verdict, 0) + 1
        if self._running:
            self._running.pop((target, test), None)

    def outcomes(self, rows: Sequence[Sequence[Any]]) -> None:
        """Count a batch of outcomes of several targets."""
        tally: dict[tuple[str, str], int] = {}
        for row in rows:
            key = (row[1], row[2])
            tally[key] = tally.get(key, 0) + 1
        for (target, verdict), count in tally.items():
            self.counts[verdict] = self.counts.get(verdict, 0) + count
            if self.several is not None:
                self.several.outcomes(target, verdict, count)
        self.done += len(rows)
        if self._running:
            for row in rows:
                self._running.pop((row[1], row[0]), None)

    def running(self, now: float) -> list[tuple[str, float]]:
        """List the tests that have been running for a while with their seconds, the longest first."""
        several = self.several is not None
        tests = [
            (f"{test} [{target}]" if several else test, now - since)
            for (target, test), (since, _) in self._running.items()
        ]
        return sorted(tests, key=lambda pair: -pair[1])

    def expected(self, now: float) -> float | None:
        """Give the seconds that the run should take in all; None where that is not known, or was proven wrong."""
        if self._ends_at is None or now > self._ends_at:
            return None
        return self._ends_at - self.started_at

    def percent(self) -> int | None:
        """Give the share that is done, 0 to 100; None where the whole is not known yet."""
        if self.planned is None:
            return None
        return 100 * min(self.done, self.planned) // self.planned if self.planned else 100

    def warmth(self) -> str:
        """Say of the only target `warm`, or `cold: ` and why."""
        body = next(iter(self.targets.values()), None)
        if body is None or body["warm"]:
            return "warm" if body else ""
        reason = bare_reason(body)
        return f"cold: {reason}" if reason else "cold"

    def sentence(self, now: float) -> str:
        """Say it all in one plain line, for a log."""
        elapsed = words.clock(now - self.started_at)
        if self.planned is None:
            return f"starting{self.doing()}, {elapsed}" + self._others()
        said = f"{self.done:,} of {words.number(self.planned, 'test')} ({self.percent()} %)"
        if self.bad:
            said += f", {self.bad} not passed"
        expected = self.expected(now)
        said += f", {elapsed}" + (f" of about {words.clock(expected)}" if expected else "") + self._others()
        slow = self.running(now)[:SHOWN]
        if slow:
            said += "; running: " + ", ".join(f"{safe.line(test)} ({words.clock(passed)})" for test, passed in slow)
        return said

    def doing(self) -> str:
        """Say what the only target does before it is ready, to go behind another word; empty where not known."""
        return f": {self.said}" if self.said and self.several is None and not self.targets else ""

    def know(self, *names: str) -> None:
        """Keep the names of the run's targets; from the second one on keep more about each.

        What was counted before was of the first: a run on several targets names them at once, unless it is followed
        from a later event on.
        """
        self._names.update(dict.fromkeys(names))
        if self.several is not None or len(self._names) < 2:
            return
        from testd_daemon.reports.targets import Targets

        self.several = Targets()
        self.several.plan(dict.fromkeys(self._names))
        for body in self.targets.values():
            self.several.ready(body)
        first = self.several[next(iter(self._names))]
        first.done, first.counts = self.done, dict(self.counts)

    def _others(self) -> str:
        said = self.several.sentence() if self.several is not None else ""
        return f"; {said}" if said else ""


def bare_reason(body: Body) -> str:
    """Give a target's reason without the word that says which it is (`cold: first run` is `first run`)."""
    reason = safe.line(str(body.get("reason") or ""))
    word, separator, rest = reason.partition(": ")
    if word in ("warm", "cold"):
        return rest if separator else ""
    return reason


__all__ = ["SHOWN", "Progress", "bare_reason"]
