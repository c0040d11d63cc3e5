"""The screen of a watch: a page for each generation, lines at the bottom, and now and then a view that covers the page.

Runs in the client of a watch. The terminal's own scrollback is the record of what was: a new page moves the old one up
into it. What covers the page (help, a failure in full) is not kept there; when it goes, the page's end is written
again, with what came meanwhile.
"""

from __future__ import annotations

from testd_daemon.reports.bottom import Bottom

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.reports.terminal import Terminal

#: Go to the first column of the first row, and erase from there on.
_EMPTY = "\x1b[H\x1b[J"
#: Of a page at least so many characters are kept, to be written again.
_KEPT = 256 * 1024


class Screen(Bottom):
    """One terminal, all of it."""

    def __init__(self, terminal: Terminal, *, clear: bool) -> None:
        """`clear`: each page begins on an empty screen. Otherwise everything is written below what is there."""
        super().__init__(terminal)
        self._clear = clear
        self._page: list[str] = []
        self._size = 0  # of the page, in characters
        self._held: str | None = None  # what was written since something covers the page

    def begin(self) -> None:
        """Begin a new page."""
        self._page, self._size, self._held = [], 0, None
        if self._clear:
            # As many line feeds as there are rows move what is above the cursor into the scrollback, and no more.
            away = self._erased() + "\n" * max(0, self._terminal.rows() - 1) + _EMPTY
            self._terminal.put(away + self._redrawn("\n"))

    def write(self, text: str) -> None:
        """Write text on the page."""
        self._page.append(text)
        self._size += len(text)
        if self._size > 2 * _KEPT:
            self._page = ["".join(self._page)[-_KEPT:]]
            self._size = _KEPT
        if self._held is None:
            super().write(text)
        else:
            self._held += text

    def cover(self, text: str) -> None:
        """Show text in place of the page, until `uncover` or the next page."""
        self._held = self._held or ""
        self._put_page(text)

    def uncover(self) -> None:
        """Show the page again."""
        held, self._held = self._held, None
        if held is None:
            return
        if self._clear:
            rows = self._terminal.rows() - 1
            self._put_page("".join("".join(self._page).splitlines(keepends=True)[-rows:]))
        else:
            super().write(held)

    def _put_page(self, text: str) -> None:
        self._terminal.put(self._erased() + (_EMPTY if self._clear else "") + text + self._redrawn(text))


__all__ = ["Screen"]
