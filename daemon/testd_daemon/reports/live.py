"""The lines at the bottom of a terminal while a run goes on: a bar, counts, times, targets, the tests that take long.

Runs in the client; loaded when a run on a terminal has lasted for a moment. Imports our own helpers.
"""

from __future__ import annotations

from testd_daemon.reports import safe, spans, words
from testd_daemon.reports.bottom import Bottom
from testd_daemon.reports.progress import SHOWN, Progress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.reports.spans import Line, Span
    from testd_daemon.reports.targets import Target, Targets
    from testd_daemon.reports.terminal import Terminal

#: The part of the bottom that they are.
_PART = "live"
_BAR = 20
#: The bar of one of several targets.
_SHORT_BAR = 10


class LiveLines:
    """The live lines of one run."""

    def __init__(self, terminal: Terminal, progress: Progress) -> None:
        """Draw `progress` at the bottom of `terminal` until `close`."""
        self._terminal = terminal
        self._progress = progress
        self._bottom = terminal.bottom or Bottom(terminal)

    def draw(self, now: float) -> None:
        """Draw the lines for a moment of the monotonic clock."""
        self._bottom.show(_PART, self._lines(now))

    def close(self) -> None:
        """Take the lines away and give the cursor back."""
        self._bottom.show(_PART, ())

    def _lines(self, now: float) -> list[Line]:
        lines: list[Line] = [self._first(now), *self._targets(self._terminal.rows())]
        running = self._progress.running(now)
        lines += [[(f"  {words.clock(passed):>8}  {safe.line(test)}", "dim")] for test, passed in running[:SHOWN]]
        if len(running) > SHOWN:
            lines.append([(f"            and {len(running) - SHOWN} more", "dim")])
        return lines

    def _first(self, now: float) -> list[Span]:
        progress = self._progress
        elapsed = words.clock(now - progress.started_at)
        if progress.planned is None:
            what = "collecting" if progress.targets else f"starting{progress.doing()}"
            return [(f"{what}{'…' if self._terminal.unicode else '...'} {elapsed}", "dim")]
        line = self._bar(progress.percent() or 0, _BAR, bad=progress.bad > 0)
        line.append((f" {progress.percent():3d} %  {progress.done:,}/{progress.planned:,}", ""))
        for verdict, said in words.counts(progress.counts):
            if verdict != "passed":
                line.append((f"  {said}", words.style(verdict)))
        line.append((f"  {elapsed}", ""))
        expected = progress.expected(now)
        if expected:
            line.append((f" of about {words.clock(expected)}", "dim"))
        later = progress.several.later() if progress.several is not None else 0
        if later:
            line.append((f"  and {words.number(later, 'target')} to come", "dim"))
        return line

    def _targets(self, height: int) -> list[Line]:
        """Draw a line for each of several targets where the terminal is high enough, else those side by side."""
        targets = self._progress.several
        if targets is None:
            return []
        if len(targets) + SHOWN + 2 <= height // 2:
            width = max(map(len, targets.names))
            return [self._target(target, width) for target in targets]
        most = height // 4
        return self._side_by_side(targets, most) if most else []

    def _target(self, target: Target, width: int) -> list[Span]:
        line = [(f"  {safe.line(target.name):<{width}}  ", "")]
        if target.planned and target.ready and not target.unavailable:
            line += [*self._bar(target.percent(), _SHORT_BAR, bad=target.bad), ("  ", "")]
        line.append((target.state(), "yellow" if target.unavailable else "" if target.ready else "dim"))
        for verdict, said in words.counts(target.counts):
            if verdict != "passed":
                line.append((f"  {said}", words.style(verdict)))
        return line

    def _side_by_side(self, targets: Targets, most: int) -> list[Line]:
        """Put what is short to say of each target into a few lines, and leave out what has no room."""
        lines: list[list[Span]] = [[(" ", "")]]
        width = self._terminal.columns()
        for target in targets:
            said = "unavailable" if target.unavailable else target.state()
            cell = f" {safe.line(target.name)} {said.split(': ')[0] if not target.ready else said} "
            if spans.width(lines[-1]) + spans.columns(cell) > width and len(lines[-1]) > 1:
                if len(lines) >= most:
                    break
                lines.append([(" ", "")])
            lines[-1].append((cell, "red" if target.bad else "yellow" if target.unavailable else "dim"))
        return [*lines]

    def _bar(self, percent: int, length: int, *, bad: bool) -> list[Span]:
        full, empty = ("━", "─") if self._terminal.unicode else ("#", "-")
        done = length * percent // 100
        return [(full * done, "red" if bad else "green"), (empty * (length - done), "dim")]


__all__ = ["LiveLines"]
