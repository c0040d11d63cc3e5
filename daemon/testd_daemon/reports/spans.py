"""A line in pieces of different styles, measured in columns and cut to a width.

Runs in the client; rich, which knows how wide characters are, is imported where a line has other than narrow ones.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from testd_daemon.reports.terminal import Terminal

    #: A text without control characters, and the style in which it is painted: empty for none.
    Span = tuple[str, str]
    Line = Sequence[Span]


def columns(text: str) -> int:
    """Say how many columns a text takes."""
    if _narrow(text):
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def width(line: Line) -> int:
    """Say how many columns a line takes."""
    return sum(columns(text) for text, _ in line)


def cut(line: Line, most: int, ellipsis: str) -> list[Span]:
    """Return a line of at most so many columns; where something is left out it ends with `ellipsis`."""
    if width(line) <= most:
        return list(line)
    room, kept = max(0, most - len(ellipsis)), []
    for text, style in line:
        took = columns(text)
        if took >= room:
            kept.append((_first(text, room), style))
            break
        kept.append((text, style))
        room -= took
    return [*kept, (ellipsis[:most], "")]


def painted(terminal: Terminal, line: Iterable[Span]) -> str:
    """Give a line as it is written."""
    return "".join(terminal.paint(text, style) if style else text for text, style in line)


def _first(text: str, room: int) -> str:
    if _narrow(text):
        return text[:room]
    from rich.cells import set_cell_size

    return set_cell_size(text, min(room, columns(text)))


def _narrow(text: str) -> bool:
    """Whether every character takes one column: Latin, arrows, lines and blocks. Of others rich must know."""
    return text.isascii() or all(
        character < "\u0300" or "\u2190" <= character <= "\u21ff" or "\u2500" <= character <= "\u257f"
        or character in "\u2026\u00d7"
        for character in text
    )  # fmt: skip


__all__ = ["columns", "cut", "painted", "width"]
