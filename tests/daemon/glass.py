"""A terminal's glass: what can be seen, and what has scrolled away, after what was written to it.

Enough of a terminal for what testd writes: lines that wrap, scrolling, movements, erasing, modes that are skipped.
"""

from __future__ import annotations

import re

_PARTS = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\r\n\b])|([^\x1b\r\n\b]+)")


class Glass:
    """`rows` as they are seen, `gone` above them. Each character takes one column, or two where `wide` has it."""

    def __init__(self, columns=80, rows=24, wide=""):
        self.columns = columns
        self.wide = wide
        self.gone: list[str] = []
        self.rows = [""] * rows
        self.at = self.column = 0
        self.hidden = False
        self.modes: set[str] = set()

    def feed(self, text):
        for parameters, control, move, plain in _PARTS.findall(text):
            if control:
                self._control(parameters, control)
            elif move == "\n":
                self._line_feed()
            elif move == "\r":
                self.column = 0
            elif move == "\b":
                self.column = max(0, self.column - 1)
            else:
                for character in plain:
                    self._put(character)
        return self

    def seen(self):
        """The rows down to the last one with something in it."""
        rows = [row.rstrip() for row in self.rows]
        while rows and not rows[-1]:
            rows.pop()
        return rows

    def everything(self):
        return [row.rstrip() for row in self.gone] + self.seen()

    def _put(self, character):
        width = 2 if character in self.wide else 1
        if self.column + width > self.columns:
            self._line_feed()
            self.column = 0
        row = self.rows[self.at].ljust(self.column)
        self.rows[self.at] = row[: self.column] + character + "\0" * (width - 1) + row[self.column + width :]
        self.column += width

    def _line_feed(self):
        if self.at + 1 < len(self.rows):
            self.at += 1
            self.column = 0
            return
        self.gone.append(self.rows.pop(0))
        self.rows.append("")
        self.column = 0

    def _control(self, parameters, control):
        number = int(parameters) if parameters.isdigit() else 1
        if control == "A":
            self.at = max(0, self.at - number)
        elif control == "C":
            self.column = min(self.columns - 1, self.column + number)
        elif control == "H":
            self.at = self.column = 0
        elif control == "J":
            self.rows[self.at] = self.rows[self.at][: self.column]
            self.rows[self.at + 1 :] = [""] * (len(self.rows) - self.at - 1)
        elif control in "hl":
            self.hidden = control == "l" if parameters == "?25" else self.hidden
            (self.modes.add if control == "h" else self.modes.discard)(parameters)
        else:
            assert control == "m", f"unexpected: {parameters}{control}"
