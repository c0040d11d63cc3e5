"""A watch as text: a headline for each generation, then what `testd run` says of it, with how all tests stand.

Runs in the client of a watch. Each generation is told by a `TextReport` of its own; on a terminal each has its page.
"""

from __future__ import annotations

import time

from testd_daemon.reports import lines, safe
from testd_daemon.reports.base import Report
from testd_daemon.reports.headline import headline, why
from testd_daemon.reports.watched import superseded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from testd_daemon.reports.screen import Screen
    from testd_daemon.reports.terminal import Terminal
    from testd_daemon.reports.text import TextReport
    from testd_daemon.reports.watched import Watched

    Body = Mapping[str, Any]

#: The events that say something below the headline.
_SAYING = frozenset({"Outcomes", "Output", "TargetUnavailable", "RunCompleted"})
#: The part of the bottom in which the headline stands until it is known how many tests there are.
_PART = "head"


class WatchReport(Report):
    """A watch on a terminal, or as plain lines."""

    def __init__(
        self,
        terminal: Terminal,
        watched: Watched,
        make: Callable[[], TextReport],
        *,
        screen: Screen | None = None,
        quiet: bool = False,
    ) -> None:
        """`watched` knows each event before this does. `make`: a report for a generation. `screen`: of a terminal.

        `quiet`: what fails and did not run is counted, not named.
        """
        self._terminal = terminal
        self._watched = watched
        self._make = make
        self._screen = screen
        self._quiet = quiet
        self._report = make()
        self._begun: Body | None = None  # a generation whose headline is not written yet
        self._first = True

    def accepted(self, run: str) -> None:
        """Pass it on."""
        self._report.accepted(run)

    def event(self, run: str, seq: int, body: Body) -> None:
        """Take an event of the watch."""
        kind = body["type"]
        if kind == "GenerationStarted":
            self._begin(body)
            return
        if self._begun is not None:
            self._before(body)
        if kind == "RunCompleted" and (superseded(body) or not body.get("generation")):
            self._over(run, seq, body)
            return
        if kind == "RunCompleted" and not self._quiet and body["exit_code"] not in (3, 4):
            self._still()
        self._report.event(run, seq, body)

    def tick(self) -> None:
        """Pass it on, while something runs."""
        if self._watched.running:
            self._report.tick()

    def message(self, text: str) -> None:
        """Pass it on."""
        self._report.message(text)

    def fault(self, fault: Body) -> None:
        """Pass it on."""
        self._unhead()
        self._report.fault(fault)

    def close(self) -> None:
        """Give the terminal back."""
        self._unhead()
        self._report.close()

    def _begin(self, body: Body) -> None:
        self._report.close()
        self._begun = body
        if self._screen is not None:
            self._screen.begin()
            self._screen.show(_PART, [[(why(body), "bold")]])
        elif not self._first:
            self._terminal.write("\n")
        self._first = False
        self._report = self._make()

    def _before(self, body: Body) -> None:
        """Write the headline when it is known how many tests there are, and at the latest before something else."""
        kind = body["type"]
        if kind == "Planned" and None not in (body.get("targets") or {}).values():
            self._head(int(body["tests"]))
        elif kind in _SAYING or (kind == "Notice" and body["level"] in ("warning", "error")):
            self._head(None)

    def _head(self, planned: int | None) -> None:
        begun, self._begun = self._begun, None
        assert begun is not None
        self._unhead()
        at = time.strftime("  %H:%M:%S", time.localtime(begun["at"])) if begun.get("at") else ""
        said = self._terminal.paint(headline(begun, planned, self._watched.total), "bold")
        self._terminal.write(said + self._terminal.paint(at, "dim") + "\n")

    def _unhead(self) -> None:
        if self._screen is not None:
            self._screen.show(_PART, ())

    def _over(self, run: str, seq: int, body: Body) -> None:
        """Say why a generation, or the watch, ended early: what ran was told, and there is nothing to sum up."""
        self._report.close()
        if body["exit_code"] in (3, 4) and not superseded(body):
            self._report = self._make()
            self._report.event(run, seq, body)
        elif body["reason"]:
            self._terminal.write(self._terminal.paint(safe.line(str(body["reason"])), "yellow") + "\n")

    def _still(self) -> None:
        """Name what fails and did not run: it must not be forgotten."""
        still = self._watched.still()
        if not still:
            return
        several = len(self._watched.targets) > 1
        said = [
            lines.named(self._terminal, verdict, test, message, where=target if several else "", indent=2)
            for test, target, verdict, message in still
        ]
        head = self._terminal.paint("still failing, not run this time:", "dim")
        self._terminal.write("\n".join([head, *said]) + "\n")


__all__ = ["WatchReport"]
