"""What covers the page of a watch: help, and one failure in full.

Runs in the client of a watch; loaded with the first of them. Imports our own helpers.
"""

from __future__ import annotations

from testd_daemon.reports import failure, lines, safe
from testd_daemon.reports.dialog import KEYS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from testd_daemon.reports.terminal import Terminal
    from testd_daemon.reports.watched import Watched

_WIDTH = max(len(key) for key, _ in KEYS)


def helped(terminal: Terminal) -> str:
    """Say what the keys do."""
    rows = [f"  {terminal.paint(f'{key:<{_WIDTH}}', 'bold')}  {meaning}\n" for key, meaning in KEYS]
    return (
        terminal.paint("keys\n", "bold")
        + "".join(rows)
        + "\nThey work while tests run, too: what runs then ends early, and what was asked for takes its place.\n"
        "In a line that is typed: arrows, backspace, Ctrl-W and Ctrl-U erase, enter runs, escape leaves.\n"
    )


def failed(terminal: Terminal, watched: Watched, which: tuple[str, str], again: Callable[[str, str], str]) -> str:
    """Tell one failure in full: traceback, captured output, the command that runs just this test."""
    row = watched.detail(which)
    verdict, message = watched.failing[which]
    if row is None:
        said = lines.named(terminal, verdict, which[0], message, where=which[1])
        return f"{said}\n\nIts details were told before this command looked; f runs it again.\n\n{again(*which)}"
    return (
        failure.header(terminal, row, safe.line(which[1]))
        + failure.describe(terminal, row[6], everything=True)
        + again(*which)
    )


__all__ = ["failed", "helped"]
