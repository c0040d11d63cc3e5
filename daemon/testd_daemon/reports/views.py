"""What covers the page of a watch: help, and one failure in full.

Runs in the client of a watch; loaded with the first of them. Imports our own helpers.
"""

from __future__ import annotations

import textwrap

from testd_daemon.reports import failure, lines
from testd_daemon.reports.dialog import KEYS
from testd_daemon.reports.terminal import MAX_WIDTH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from testd_daemon.reports.terminal import Terminal
    from testd_daemon.reports.watched import Watched

_WIDTH = max(len(key) for key, _ in KEYS)
_MORE = (
    "Keys work while tests run, too: what runs then ends early, and what was asked for takes its place.",
    "In a line that is typed backspace, Ctrl-W and Ctrl-U erase, enter runs and escape leaves.",
)


def helped(terminal: Terminal) -> str:
    """Say what the keys do."""
    indent = _WIDTH + 4
    rows = [
        f"  {terminal.paint(f'{key:<{_WIDTH}}', 'bold')}  {_wrapped(meaning, terminal, indent)}\n"
        for key, meaning in KEYS
    ]
    more = [_wrapped(sentence, terminal, 0) + "\n" for sentence in _MORE]
    return "".join([terminal.paint("keys\n", "bold"), *rows, "\n", *more])


def _wrapped(text: str, terminal: Terminal, indent: int) -> str:
    """Break text into lines of which all but the first are indented."""
    width = max(10, min(terminal.width, MAX_WIDTH) - indent)
    return f"\n{' ' * indent}".join(textwrap.wrap(text, width))


def failed(terminal: Terminal, watched: Watched, which: tuple[str, str], again: Callable[[str, str], str]) -> str:
    """Tell one failure in full: traceback, captured output, the command that runs just this test."""
    row = watched.detail(which)
    where = which[1] if len(watched.targets) > 1 else ""
    if row is None:
        verdict, message = watched.failing[which]
        said = lines.named(terminal, verdict, which[0], message, where=where)
        return f"{said}\n\nIts details are not here, or not any more; f runs it again.\n\n{again(*which)}"
    return (
        failure.header(terminal, row, where)
        + failure.describe(terminal, row[6], everything=True)
        + again(*which)
    )


__all__ = ["failed", "helped"]
