"""The lines at the bottom of a terminal while a run goes on: a bar, counts, times, targets, the tests that take long.

Runs in the client; loaded when a run on a terminal has lasted for a moment, because rich costs more than a quick run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from testd_daemon.reports import safe, words
from testd_daemon.reports.progress import SHOWN, Progress

if TYPE_CHECKING:
    from testd_daemon.reports.targets import Target, Targets
    from testd_daemon.reports.terminal import Terminal

_BAR = 20
#: The bar of one of several targets.
_SHORT_BAR = 10


class Above:
    """Text that is already painted, for rich to print above the live lines as it is."""

    def __init__(self, text: str) -> None:
        """Take whole lines."""
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Hand the text over unmeasured: the terminal wraps it, so that it can be copied as it was."""
        yield Segment(self._text)


class LiveLines:
    """The live lines. Drawn from `draw` only: there is no thread, and so nothing to lock."""

    def __init__(self, terminal: Terminal, progress: Progress) -> None:
        """Draw `progress` at the bottom of `terminal` until `close`."""
        self._terminal = terminal
        self._progress = progress
        console = Console(file=terminal.stream, highlight=False, markup=False, emoji=False,
                          no_color=not terminal.colour)  # fmt: skip
        self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False,
                          redirect_stderr=False, vertical_overflow="ellipsis")  # fmt: skip
        self._live.start()
        terminal.above = self

    def write_above(self, text: str) -> None:
        """Write whole lines above the live ones."""
        self._live.console.print(Above(text), end="", crop=False)  # cropping counts colours as text

    def draw(self, now: float) -> None:
        """Draw the lines for a moment of the monotonic clock."""
        self._live.update(self._lines(now), refresh=True)

    def close(self) -> None:
        """Take the lines away and give the cursor back."""
        self._terminal.above = None
        self._live.stop()

    def _lines(self, now: float) -> Text:
        lines = [self._first(now), *self._targets(self._live.console.height)]
        running = self._progress.running(now)
        for test, passed in running[:SHOWN]:
            lines.append(Text(f"  {words.clock(passed):>8}  {safe.line(test)}", style="dim"))
        if len(running) > SHOWN:
            lines.append(Text(f"            and {len(running) - SHOWN} more", style="dim"))
        for line in lines:
            line.truncate(self._live.console.width, overflow="ellipsis" if self._terminal.unicode else "crop")
        return Text("\n", no_wrap=True, end="").join(lines)

    def _first(self, now: float) -> Text:
        progress = self._progress
        elapsed = words.clock(now - progress.started_at)
        if progress.planned is None:
            what = "collecting" if progress.targets else f"starting{progress.doing()}"
            return Text(f"{what}{'…' if self._terminal.unicode else '...'} {elapsed}", style="dim")
        line = Text.assemble(
            *self._bar(progress.percent() or 0, _BAR, bad=progress.bad > 0),
            f" {progress.percent():3d} %  {progress.done:,}/{progress.planned:,}",
        )
        for verdict, said in words.counts(progress.counts):
            if verdict != "passed":
                line.append(f"  {said}", style=words.style(verdict))
        line.append(f"  {elapsed}")
        expected = progress.expected(now)
        if expected:
            line.append(f" of about {words.clock(expected)}", style="dim")
        later = progress.several.later() if progress.several is not None else 0
        if later:
            line.append(f"  and {words.number(later, 'target')} to come", style="dim")
        return line

    def _targets(self, height: int) -> list[Text]:
        """Draw a line for each of several targets where the terminal is high enough, else those side by side."""
        targets = self._progress.several
        if targets is None:
            return []
        if len(targets) + SHOWN + 2 <= height // 2:
            width = max(map(len, targets.names))
            return [self._target(target, width) for target in targets]
        most = height // 4
        return self._side_by_side(targets, most) if most else []

    def _target(self, target: Target, width: int) -> Text:
        line = Text(f"  {safe.line(target.name):<{width}}  ")
        if target.planned and target.ready and not target.unavailable:
            line = Text.assemble(line, *self._bar(target.percent(), _SHORT_BAR, bad=target.bad), "  ")
        line.append(target.state(), style="yellow" if target.unavailable else "" if target.ready else "dim")
        for verdict, said in words.counts(target.counts):
            if verdict != "passed":
                line.append(f"  {said}", style=words.style(verdict))
        return line

    def _side_by_side(self, targets: Targets, most: int) -> list[Text]:
        """Put what is short to say of each target into a few lines, and leave out what has no room."""
        lines, width = [Text(" ")], self._live.console.width
        for target in targets:
            said = "unavailable" if target.unavailable else target.state()
            cell = f" {safe.line(target.name)} {said.split(': ')[0] if not target.ready else said} "
            if len(lines[-1]) + len(cell) > width and len(lines[-1]) > 1:
                if len(lines) >= most:
                    return lines
                lines.append(Text(" "))
            lines[-1].append(cell, style="red" if target.bad else "yellow" if target.unavailable else "dim")
        return lines

    def _bar(self, percent: int, length: int, *, bad: bool) -> list[tuple[str, str]]:
        full, empty = ("━", "─") if self._terminal.unicode else ("#", "-")
        done = length * percent // 100
        return [(full * done, "red" if bad else "green"), (empty * (length - done), "dim")]


__all__ = ["Above", "LiveLines"]
