"""What is too long to be read is cut for display, and it is said how much is left out.

Runs in the client; imports nothing.

The journal, `--format json` and `--junitxml` have all that was kept; `-v` shows it too.
"""

from __future__ import annotations

#: Of what a test printed, the end is shown: so many lines, and so many characters.
MOST_LINES = 60
MOST_CHARACTERS = 8 * 1024
#: Of a long line the beginning is shown.
LONGEST_LINE = 2000


def section(text: str) -> str:
    """Return the end of a captured section, with long lines cut."""
    lines = text.split("\n")
    kept = lines[-MOST_LINES:]
    while len(kept) > 1 and sum(min(len(line), LONGEST_LINE) + 1 for line in kept) > MOST_CHARACTERS:
        del kept[0]
    left_out = len(lines) - len(kept)
    shown = long_lines("\n".join(kept))
    if not left_out:
        return shown
    noun = "line" if left_out == 1 else "lines"
    return f"... {left_out:,} {noun} above this are not shown (-v shows all)\n{shown}"


def long_lines(text: str) -> str:
    """Return text without the rest of lines that nobody reads to their end."""
    if len(text) <= LONGEST_LINE:
        return text
    return "\n".join(_line(line) for line in text.split("\n"))


def _line(line: str) -> str:
    if len(line) <= LONGEST_LINE:
        return line
    return f"{line[:LONGEST_LINE]}... ({len(line) - LONGEST_LINE:,} more characters; -v shows all)"


__all__ = ["LONGEST_LINE", "MOST_CHARACTERS", "MOST_LINES", "long_lines", "section"]
