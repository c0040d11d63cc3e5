"""The terminal of a watch as a person meets it: what was pressed changes what is seen.

Runs in the client of a watch. Between `dialog.py`, which knows what keys mean, and `screen.py`, which draws.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.reports.dialog import Action, Dialog
    from testd_daemon.reports.edit import Key
    from testd_daemon.reports.screen import Screen
    from testd_daemon.reports.terminal import Terminal
    from testd_daemon.reports.text import TextSettings

#: The part of the bottom in which the keys are named; it comes behind the others.
_PART = "prompt"


class Front:
    """A screen, and the dialog that goes on below it."""

    def __init__(self, terminal: Terminal, screen: Screen, dialog: Dialog, settings: TextSettings) -> None:
        """Take the parts. `settings` are those of the reports."""
        self._terminal = terminal
        self._screen = screen
        self._dialog = dialog
        self._settings = settings
        self._view: tuple[str, int] | None = None
        self._shown: object = None  # what is at the bottom

    def began(self) -> None:
        """Take note of a new generation: it has its own page."""
        self._dialog.began()
        self._view = self._dialog.view

    def key(self, key: Key) -> Action | None:
        """Take a key; return what it asks of the daemon."""
        action = self._dialog.key(key)
        if self._dialog.view != self._view:
            self._view = self._dialog.view
            self._look()
        return action

    def update(self) -> None:
        """Bring the bottom line up to date."""
        lines, cursor = self._dialog.lines(self._terminal.columns(), unicode=self._terminal.unicode)
        if (lines, cursor) != self._shown:
            self._shown = (lines, cursor)
            self._screen.show(_PART, lines, cursor)

    def redraw(self) -> None:
        """Draw the bottom anew: the terminal has another size, or others have written to it."""
        self._screen.redraw()
        self._shown = None

    def close(self) -> None:
        """Take the bottom line away."""
        self._screen.show(_PART, ())
        self._shown = None

    def _look(self) -> None:
        if self._view is None:
            self._screen.uncover()
            return
        from testd_daemon.reports import views

        kind, index = self._view
        if kind == "help":
            self._screen.cover(views.helped(self._terminal))
            return
        which = self._dialog.failures()[index]
        self._screen.cover(views.failed(self._terminal, self._dialog.watched, which, self._again))

    def _again(self, test: str, target: str) -> str:
        several = len(self._dialog.watched.targets) > 1
        command = self._settings.command(test, target, several=several)
        return self._terminal.paint("again: ", "dim") + self._terminal.paint(command, "bold") + "\n"


__all__ = ["Front"]
