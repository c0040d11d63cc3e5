r"""Text from tests, made harmless for a terminal.

What a test prints, and what it is called, may hold any character. On a terminal some of them move the cursor, erase
what was said before, or make the terminal type an answer. The text report shows those instead of obeying them:
`\x1b` becomes `^[`. Colours stay where the report itself is coloured, and are taken out elsewhere. Line ends are made
plain line ends. The JSON and JUnit reports and a single worker's `-s` output carry the text as it was.

Runs in the client, on the quick path: imports re, and only for text that holds such a character.
"""

from __future__ import annotations

#: Everything below the space but tab and line feed, DEL, the C1 controls, and the marks that reorder a line.
_UNSAFE = {
    **{code: "^" + chr(code + 64) for code in range(32) if chr(code) not in "\t\n"},
    127: "^?",
    **{code: f"\\x{code:02x}" for code in range(128, 160)},
    **{code: f"\\u{code:04x}" for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))},
}


def block(text: str, *, colour: bool) -> str:
    """Make text of several lines harmless."""
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\x1b" not in text:
        return text.translate(_UNSAFE)
    import re

    parts = re.split(r"(\x1b\[[0-9;:]*m)", text)
    parts[::2] = [part.translate(_UNSAFE) for part in parts[::2]]
    return "".join(parts) + "\x1b[0m" if colour and len(parts) > 1 else "".join(parts[::2])


def line(text: str) -> str:
    """Make text that must stay on one line harmless: line ends and tabs are shown too, colours are taken out."""
    if text.isprintable():
        return text
    return block(text, colour=False).translate({10: "\\n", 9: "\\t"})


__all__ = ["block", "line"]
