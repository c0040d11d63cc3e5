"""The lines at the bottom of a terminal while a workflow runs: a bar, counts, and what runs, since when.

Runs in the client; loaded when a run on a terminal has lasted for a moment. Imports our own helpers.
"""

from __future__ import annotations

from testd_daemon.reports import safe, words
from testd_daemon.reports.bottom import Bottom
from testd_daemon.workflows.drawing.marks import STYLES, said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.reports.spans import Line, Span
    from testd_daemon.reports.terminal import Terminal
    from testd_daemon.workflows.course import Course, Function

__all__ = ["WorkflowLines"]

_PART = "live"
_BAR = 20
#: Actions at work that are named, at most; on a low terminal a third of it.
_SHOWN = 12


class WorkflowLines:
    """The live lines of one run."""

    def __init__(self, terminal: Terminal, course: Course, began: float) -> None:
        """Draw `course` at the bottom of `terminal` until `close`. `began`: wall clock."""
        self._terminal = terminal
        self._course = course
        self._began = began
        self._bottom = terminal.bottom or Bottom(terminal)

    def draw(self, now: float, preparing: str = "") -> None:
        """Draw the lines for a moment of the wall clock. `preparing`: what goes on where no function runs."""
        self._bottom.show(_PART, self._lines(now, preparing))

    def close(self) -> None:
        """Take the lines away and give the cursor back."""
        self._bottom.show(_PART, ())

    def _lines(self, now: float, preparing: str) -> list[Line]:
        elapsed = words.clock(max(0.0, now - self._began))
        dots = "…" if self._terminal.unicode else "..."
        if not self._course.functions:
            return [[(f"{preparing or 'starting'}{dots} {elapsed}", "dim")]]
        working = self._working()
        most = max(1, min(_SHOWN, self._terminal.rows() // 3))
        lines: list[Line] = [self._first(elapsed)]
        lines += [self._action(action, functions, now) for action, functions in working[:most]]
        if len(working) > most:
            lines.append([(f"            and {words.number(len(working) - most, 'action')} more", "dim")])
        if preparing and not any(function.status == "running" for function in self._course.functions.values()):
            lines.append([(f"            {preparing}{dots}", "dim")])
        return lines

    def _first(self, elapsed: str) -> list[Span]:
        functions = self._course.functions
        counts = self._course.counts()
        done = sum(function.final for function in functions.values())
        full, empty = ("━", "─") if self._terminal.unicode else ("#", "-")
        length = _BAR * done // len(functions)
        bad = counts.get("failed", 0) + counts.get("timeout", 0)
        line = [(full * length, "red" if bad else "green"), (empty * (_BAR - length), "dim")]
        line.append((f" {done}/{len(functions)}", ""))
        told = [status for status in counts if status not in ("pending", "completed")]
        line += [(f"  {counts[status]} {said(status)}", STYLES.get(status, "")) for status in told]
        return [*line, (f"  {elapsed}", "")]

    def _working(self) -> list[tuple[str, list[Function]]]:
        """Return the actions of which something runs or is about to, the longest at work first."""
        found = [
            (action, functions)
            for action, functions in self._course.actions()
            if any(function.status in ("running", "invoked") for function in functions)
        ]
        return sorted(found, key=lambda pair: min(function.began or float("inf") for function in pair[1]))

    def _action(self, action: str, functions: list[Function], now: float) -> list[Span]:
        """Say how long an action has been at work; of one with ranks, how many are through: `test-rank 3/5`."""
        began = [function.began for function in functions if function.began]
        since = words.clock(max(0.0, now - min(began))) if began else ""
        name = safe.line(action)
        if len(functions) == 1:
            return [(f"  {since:>8}  {name}", "dim" if began else "cyan")]
        done = sum(function.final for function in functions)
        bad = sum(function.status in ("failed", "timeout") for function in functions)
        running = sum(function.status == "running" for function in functions)
        line: list[Span] = [(f"  {since:>8}  {name} {done}/{len(functions)}", "dim" if began else "cyan")]
        if running:
            line.append((f"  {running} running", "dim"))
        if bad:
            line.append((f"  {bad} failed", "red"))
        return line
