"""One line of text that a person types and corrects. Runs in the client of a watch; imports our own helpers."""

from __future__ import annotations

from testd_daemon.reports import spans

TYPE_CHECKING = False
if TYPE_CHECKING:
    #: A key's name and its text.
    Key = tuple[str, str]

#: Characters of the longest line.
LONGEST = 1000


class Edit:
    """The text, and where in it the next character goes."""

    def __init__(self, text: str = "") -> None:
        """Begin with a text, behind its end."""
        self.text = text
        self.at = len(text)

    def key(self, key: Key) -> None:
        """Take a key; one that means nothing here is left alone."""
        name, text = key
        if name in ("text", "paste", "burst"):
            self._insert(" ".join(text.split()) if name != "text" else text)
        elif name == "backspace" and self.at:
            self._cut(self.at - 1, self.at)
        elif name == "delete":
            self._cut(self.at, self.at + 1)
        elif name == "ctrl-u":
            self._cut(0, self.at)
        elif name == "ctrl-k":
            self._cut(self.at, len(self.text))
        elif name == "ctrl-w":
            self._cut(self._word(), self.at)
        else:
            self._move(name)

    def shown(self, room: int) -> tuple[str, int]:
        """Return as much of the text around the cursor as a number of columns holds, and the cursor's column."""
        begin = 0
        while spans.columns(self.text[begin : self.at]) >= max(1, room):
            begin += 1
        end = len(self.text)
        while end > self.at and spans.columns(self.text[begin:end]) > room:
            end -= 1
        return self.text[begin:end], spans.columns(self.text[begin : self.at])

    def _word(self) -> int:
        """Return where the word before the cursor begins."""
        before, blank, _ = self.text[: self.at].rstrip().rpartition(" ")
        return len(before + blank)

    def _insert(self, text: str) -> None:
        text = "".join(each for each in text if each.isprintable())[: LONGEST - len(self.text)]
        self.text = self.text[: self.at] + text + self.text[self.at :]
        self.at += len(text)

    def _cut(self, begin: int, end: int) -> None:
        self.text = self.text[:begin] + self.text[end:]
        self.at = begin

    def _move(self, name: str) -> None:
        moves = {
            "left": self.at - 1, "right": self.at + 1, "home": 0, "ctrl-a": 0,
            "end": len(self.text), "ctrl-e": len(self.text),
        }  # fmt: skip
        self.at = max(0, min(len(self.text), moves.get(name, self.at)))


__all__ = ["Edit"]
