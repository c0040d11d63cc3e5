"""Lines that stay at the bottom of a terminal, drawn anew when they change, with everything else written above them.

Runs in the client. Nothing is drawn but by whoever shows or writes something: there is no thread. All that one change
needs is written at once, so that nothing flickers. Lines are cut to the terminal's width, as it is when they are drawn;
where it became narrower since, a terminal has wrapped them, and what they take now is taken away.
"""

from __future__ import annotations

from testd_daemon.reports import spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from testd_daemon.reports.spans import Line
    from testd_daemon.reports.terminal import Terminal

_HIDE, _SHOW = "\x1b[?25l", "\x1b[?25h"


class Bottom:
    """The bottom lines of one terminal, in parts that are shown one below the other in the order of their names."""

    def __init__(self, terminal: Terminal) -> None:
        """Show nothing yet. From the first line on, `terminal.bottom` is this."""
        self._terminal = terminal
        self._parts: dict[str, tuple[Sequence[Line], int]] = {}
        self._drawn: list[int] = []  # the columns that each drawn line takes
        self._hidden = False
        self._open = False  # what is above did not end its line
        terminal.bottom = self

    def show(self, part: str, lines: Sequence[Line], cursor: int = -1) -> None:
        """Show a part's lines in place of those that it had. `cursor`: the column of the last line where it stands."""
        before = self._parts.pop(part, None)
        if lines:
            self._parts[part] = (lines, cursor)
        if lines or before is not None:
            self._terminal.put(self._erased() + self._redrawn())

    def write(self, text: str) -> None:
        """Write text above."""
        self._terminal.put(self._erased() + text + self._redrawn(text))

    def redraw(self) -> None:
        """Draw the lines again: the terminal has another size, or somebody else has written to it."""
        self._terminal.put(self._erased() + self._redrawn())

    def forget(self) -> str:
        """Take the lines for gone: what was written to the terminal has erased them. Gives back the cursor."""
        self._drawn = []
        hidden, self._hidden = self._hidden, False
        return _SHOW if hidden else ""

    def _erased(self) -> str:
        if not self._drawn:
            return ""
        columns = self._terminal.columns()
        rows = sum(max(1, -(-taken // columns)) for taken in self._drawn)
        self._drawn = []
        return "\r" + (f"\x1b[{rows - 1}A" if rows > 1 else "") + "\x1b[J"

    def _redrawn(self, above: str = "") -> str:
        self._open = not above.endswith("\n") if above else self._open
        lines, cursor = self._fitting()
        hidden, self._hidden = self._hidden, bool(lines) and cursor < 0
        toggled = "" if hidden == self._hidden else _HIDE if self._hidden else _SHOW
        if not lines:
            return toggled
        begin = "\n" if self._open else ""
        self._open = False
        self._drawn = [spans.width(line) for line in lines]
        text = "\n".join(spans.painted(self._terminal, line) for line in lines)
        move = f"\r\x1b[{cursor}C" if cursor > 0 else "\r" if cursor == 0 else ""
        return begin + text + move + toggled

    def _fitting(self) -> tuple[list[Line], int]:
        """Return the lines for which there is room, the last part's before others', and where the cursor stands."""
        width, room = self._terminal.columns(), max(1, self._terminal.rows() - 1)
        ellipsis = "…" if self._terminal.unicode else "..."
        lines: list[Line] = []
        last = -1
        for part in sorted(self._parts, reverse=True):
            shown, cursor = self._parts[part]
            last = cursor if not lines else last
            lines = [*(spans.cut(line, width, ellipsis) for line in shown[: max(0, room - len(lines))]), *lines]
        return lines, min(last, width - 1)


__all__ = ["Bottom"]
