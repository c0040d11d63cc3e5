"""Where a report is written: the stream, its width, its encoding, and whether it takes colours.

Runs in the client, on the quick path: imports os and sys.
"""

from __future__ import annotations

import os
import sys

from testd_daemon.errors import TestdError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol, TextIO

    class Above(Protocol):
        """What keeps a line at the bottom of a terminal, and writes above it."""

        def write_above(self, text: str) -> None:
            """Write `text`, which ends a line, above the bottom line."""


_CODES = {
    "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35", "cyan": "36",
}  # fmt: skip

#: A line is never made wider than this for the sake of a rule across the screen.
MAX_WIDTH = 120


class Terminal:
    """A text stream with what is known about it."""

    def __init__(self, stream: TextIO, *, colour: bool, live: bool, width: int) -> None:
        """Write to `stream`. `live`: a line may be drawn and drawn again."""
        self.stream = stream
        self.colour = colour
        self.live = live
        self.width = width
        self.unicode = _encodes(stream, "─…·")
        self.above: Above | None = None

    def paint(self, text: str, style: str) -> str:
        """Give `text` a style (`bold red`) where colours are wanted."""
        if not self.colour or not text:
            return text
        return f"\x1b[{';'.join(_CODES[word] for word in style.split())}m{text}\x1b[0m"

    def rule(self, used: int) -> str:
        """Give the rest of a line across the screen, of which `used` columns are taken."""
        return ("─" if self.unicode else "-") * max(3, min(self.width, MAX_WIDTH) - used)

    def write(self, text: str) -> None:
        """Write whole lines, above a live line where there is one.

        Raises BrokenPipeError when nobody reads any more, TestdError when it cannot be written.
        """
        if not text:
            return
        try:
            if self.above is not None:
                self.above.write_above(text)
            else:
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
    return Terminal(
        stream,
        colour=wants_colour(environment, terminal=terminal and not dumb),
        live=terminal and not dumb,
        width=_width(stream, environment),
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


def _width(stream: TextIO, environment: Mapping[str, str]) -> int:
    columns = environment.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return max(20, int(columns))
    try:
        return max(20, os.get_terminal_size(stream.fileno()).columns or 80)
    except (OSError, ValueError):
        return 80


def _encodes(stream: TextIO, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeError, LookupError):
        return False
    return True


__all__ = ["MAX_WIDTH", "Terminal", "describe", "standard_output", "wants_colour"]
