"""What is true or false in a workflow's document, also as text: "False" is false. Pure."""

from __future__ import annotations

from typing import Final

__all__ = ["truth"]

_WORDS: Final = {"": False, "false": False, "no": False, "0": False, "true": True, "yes": True, "1": True}


def truth(value: bool | str) -> bool | None:
    """Return what a value says; None where it is neither."""
    return _WORDS.get(str(value).strip().lower())
