"""Where a report is written: the stream, its width, its encoding, and whether it takes colours.

Runs in the client, on the quick path: imports os and sys.
"""

from __future__ import annotations

import os
import sys

from testd_daemon.errors import TestdError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TextIO

    from testd_daemon.reports.bottom import Bottom


_CODES = {
    "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35", "cyan": "36",
}  # fmt: skip

#: Lines are made for a terminal of this many columns at least.
_LEAST_WIDTH = 20
#: A line is never made wider than this for the sake of a rule across the screen.
MAX_WIDTH = 120


class Terminal:
    """A text stream with what is known about it."""

    def __init__(
        self,
        stream: TextIO,
        *,
        colour: bool,
        live: bool,
        width: int,
        size: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        """Write to `stream`. `live`: a line may be drawn and drawn again. `size`: asks for columns and rows as now."""
        self.stream = stream
        self.colour = colour
        self.live = live
        self.width = width
        self.unicode = _encodes(stream, "─…·")
        self.bottom: Bottom | None = None
        self._size = size or (lambda: (width, 24))

    def columns(self) -> int:
        """Say how wide the terminal is now; what is written from now on is made for it."""
        columns = self._size()[0]
        self.width = max(_LEAST_WIDTH, columns)
        return columns

    def rows(self) -> int:
        """Say how high the terminal is now."""
        return self._size()[1]

    def paint(self, text: str, style: str) -> str:
        """Give `text` a style (`bold red`) where colours are wanted."""
        if not self.colour or not text:
            return text
        return f"\x1b[{';'.join(_CODES[word] for word in style.split())}m{text}\x1b[0m"

    def rule(self, used: int) -> str:
        """Give the rest of a line across the screen, of which `used` columns are taken."""
        return ("─" if self.unicode else "-") * max(3, min(self.width, MAX_WIDTH) - used)

    def write(self, text: str) -> None:
        """Write whole lines, above the bottom lines where there are some. Raises what `put` does."""
        if self.bottom is not None:
            self.bottom.write(text)
        else:
            self.put(text)

    def put(self, text: str) -> None:
        """Write text where the cursor stands.

        Raises BrokenPipeError when nobody reads any more, TestdError when it cannot be written.
        """
        if not text:
            return
        try:
            self.stream.write(text)
            self.stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise TestdError(f"the output cannot be written: {error.strerror}") from error


def standard_output(environment: Mapping[str, str]) -> Terminal:
    """Describe this process's standard output, and make it unable to fail on a character."""
    return describe(sys.stdout, environment)


def describe(stream: TextIO, environment: Mapping[str, str]) -> Terminal:
    """Describe a stream. `NO_COLOR` and `FORCE_COLOR` are obeyed, in this order; a dumb terminal is not drawn on."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    dumb = environment.get("TERM", "") in ("", "dumb")
    terminal = _isatty(stream)

    def size() -> tuple[int, int]:
        return _size(stream, environment)

    return Terminal(
        stream,
        colour=wants_colour(environment, terminal=terminal and not dumb),
        live=terminal and not dumb,
        width=max(_LEAST_WIDTH, size()[0]),
        size=size,
    )


def wants_colour(environment: Mapping[str, str], *, terminal: bool) -> bool:
    """Decide about colours as no-color.org and force-color.org say: set and not empty counts, and NO_COLOR first."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR"):
        return True
    return terminal


def _isatty(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # closed: `testd run >&-`
        return False


def _size(stream: TextIO, environment: Mapping[str, str]) -> tuple[int, int]:
    """Return columns and rows: of the environment where it says so, else of the terminal, else 80 and 24."""
    columns, rows = (_number(environment.get(name, "")) for name in ("COLUMNS", "LINES"))
    if not columns or not rows:
        try:
            size = os.get_terminal_size(stream.fileno())
        except (OSError, ValueError):
            size = os.terminal_size((80, 24))
        columns, rows = columns or size.columns or 80, rows or size.lines or 24
    return columns, rows


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _encodes(stream: TextIO, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


__all__ = ["MAX_WIDTH", "Terminal", "describe", "standard_output", "wants_colour"]
