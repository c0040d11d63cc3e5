"""What tests print under `-s`, live. With one worker it passes as it is; with several, whole lines with a prefix.

Runs in the client; loaded with a run's first output. Imports our own helpers.
"""

from __future__ import annotations

from testd_daemon.reports import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.reports.terminal import Terminal

#: A line that does not end is written anyway when it has grown to this many characters.
_LONGEST_LINE = 4096


class LiveOutput:
    """The output of every worker of a run."""

    def __init__(self, terminal: Terminal, *, whose: str = "worker") -> None:
        """Write to `terminal`. `whose`: `worker`, each line names target and number; `name`, the target's alone."""
        self._terminal = terminal
        self._whose = whose
        self._open: dict[tuple[str, int, str], str] = {}
        self._column = 0  # not 0: what was passed as it is has not ended its line

    def add(self, text: str, source: tuple[str, int, str], *, prefixed: bool) -> None:
        """Take a piece of output of a target's worker's stream. `prefixed`: others print at the same time."""
        if not prefixed:
            self._terminal.write(text)
            self._column = 0 if text.endswith("\n") else 1
            return
        text = self._open.pop(source, "") + text.replace("\r\n", "\n").replace("\r", "\n")
        *lines, rest = text.split("\n")
        if len(rest) > _LONGEST_LINE:
            lines, rest = [*lines, rest], ""
        if rest:
            self._open[source] = rest
        self._write(source, lines)

    def flush(self) -> None:
        """End every line that was not ended: the report has something to say, or the run is over."""
        for key in sorted(self._open):
            self._write(key, [self._open.pop(key)])
        if self._column:
            self._terminal.write("\n")
            self._column = 0

    def _write(self, key: tuple[str, int, str], lines: list[str]) -> None:
        target, worker, stream = key
        bar = "│" if self._terminal.unicode else "|"
        name = target if self._whose == "name" else f"{target + ' ' if target else ''}{worker}"
        prefix = self._terminal.paint(f"{name} {bar}", "red" if stream == "stderr" else "cyan")
        colour = self._terminal.colour
        self._terminal.write("".join(f"{prefix} {safe.block(line, colour=colour)}\n" for line in lines))


__all__ = ["LiveOutput"]
