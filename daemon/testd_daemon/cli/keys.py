r"""From the bytes that a terminal sends to keys.

Runs in the client of a watch; imports nothing. A key is a pair: its name and its text. `("text", "f")` is a character,
`("enter", "")` or `("left", "")` one with a name, `("paste", …)` what a terminal marks as pasted, `("burst", …)`
several different characters that came at once: pasted where a terminal does not mark that, or typed while nobody
looked. What takes single letters for commands leaves both alone. Sequences that mean nothing here are swallowed whole.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    Key = tuple[str, str]

ESCAPE: Key = ("escape", "")
_PASTE, _PASTED = b"\x1b[200~", b"\x1b[201~"
#: Of what is pasted so much is kept: nobody looks for a test with more.
_LONGEST_PASTE = 4096

_CONTROLS = {0x0D: "enter", 0x0A: "enter", 0x09: "tab", 0x7F: "backspace", 0x08: "backspace", 0x1B: "escape"}
_SEQUENCES = {
    b"A": "up", b"B": "down", b"C": "right", b"D": "left", b"H": "home", b"F": "end",
    b"1~": "home", b"7~": "home", b"4~": "end", b"8~": "end", b"3~": "delete",
}  # fmt: skip


class Keys:
    """Take bytes, give keys. What is not complete waits for more."""

    def __init__(self) -> None:
        """Begin without anything."""
        self._rest = b""

    @property
    def waits(self) -> bool:
        """Whether something may be complete as it is: an escape that is a key of its own, or begins a sequence."""
        return bool(self._rest) and not self._rest.startswith(_PASTE)

    def feed(self, data: bytes) -> list[Key]:
        """Take what was read at once."""
        data, self._rest = self._rest + data, b""
        keys: list[Key] = []
        while data:
            taken, key = _next(data)
            if not taken:
                self._rest = data if len(data) <= _LONGEST_PASTE else data[: len(_PASTE)] + data[-_LONGEST_PASTE:]
                break
            data = data[taken:]
            if key is not None:
                keys.append(key)
        return _together(keys)

    def expire(self) -> list[Key]:
        """Give up waiting for more: an escape alone is the key, what else was begun is nothing."""
        if not self.waits:
            return []
        rest, self._rest = self._rest, b""
        return [ESCAPE] if rest == b"\x1b" else []


def _next(data: bytes) -> tuple[int, Key | None]:
    """Return how many bytes the first key takes, 0 where they are not all there, and the key, None for nothing."""
    first = data[0]
    if first == 0x1B:
        return _sequence(data)
    if first in _CONTROLS:
        return 1, (_CONTROLS[first], "")
    if first < 0x20:
        return 1, (f"ctrl-{chr(first + 96)}" if 1 <= first <= 26 else "", "")
    return _character(data)


def _character(data: bytes) -> tuple[int, Key | None]:
    first = data[0]
    if 0x80 <= first < 0xC0:
        return 1, None  # the middle of a character whose beginning is lost
    size = 1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)
    if len(data) < size:
        return 0, None
    try:
        text = data[:size].decode()
    except UnicodeDecodeError:
        return 1, None
    return size, ("text", text) if text.isprintable() else None


def _sequence(data: bytes) -> tuple[int, Key | None]:
    """Read what begins with an escape."""
    kind = data[1:2]
    if not kind:
        return 0, None
    if data.startswith(_PASTE):
        return _pasted(data)
    if kind == b"[":
        return _control_sequence(data)
    if kind == b"O":  # a key of the application mode
        return (3, _named(data[2:3])) if len(data) > 2 else (0, None)
    if kind in (b"]", b"P", b"X", b"^", b"_"):  # an answer of the terminal: to its end, which is BEL or ESC \
        ends = [at + size for end, size in ((b"\x07", 1), (b"\x1b\\", 2)) if (at := data.find(end, 2)) > 0]
        return (min(ends), None) if ends else (0, None)
    if kind == b"\x1b":
        return 1, ESCAPE
    return 1 + (_character(data[1:])[0] if data[1] >= 0x20 else 1), None  # Alt with a key


def _control_sequence(data: bytes) -> tuple[int, Key | None]:
    for at in range(2, len(data)):
        if 0x40 <= data[at] <= 0x7E:
            whole = data[2 : at + 1]
            return at + 1, _named(whole if whole[-1:] == b"~" else whole[-1:] if whole[:-1] in (b"", b"1") else b"")
        if not 0x20 <= data[at] < 0x40:
            return at, None  # broken off by something else
    return 0, None


def _named(sequence: bytes) -> Key | None:
    name = _SEQUENCES.get(sequence)
    return (name, "") if name else None


def _pasted(data: bytes) -> tuple[int, Key | None]:
    end = data.find(_PASTED)
    if end < 0:
        return 0, None
    text = data[len(_PASTE) : end].decode(errors="replace")
    return end + len(_PASTED), ("paste", text)


def _together(keys: list[Key]) -> list[Key]:
    """Join characters, and the line ends between them, that came at once and are not the same one again and again."""
    joined: list[Key] = []
    run: list[Key] = []
    for key in [*keys, ("", "")]:
        if key[0] in ("text", "enter"):
            run.append(key)
            continue
        if len(set(run)) > 1:
            joined.append(("burst", "".join(text or "\n" for _, text in run)))
        else:
            joined += run
        run = []
        joined += [key] if key[0] else []
    return joined


__all__ = ["ESCAPE", "Keys"]
