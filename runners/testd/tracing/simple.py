"""Values that stay in JSON what they are: most arguments of most calls. Runs in the user's process."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["EXACT", "SHORT", "weight"]

#: Integers from here on are not exact in every reader of JSON.
EXACT = 2**53
#: Characters of a text that need no closer look.
SHORT = 256


def weight(values: Iterable[Any]) -> int:
    """Return how many members and characters these values are, -1 if one of them needs a closer look."""
    total = 0
    for value in values:
        kind = type(value)
        if kind is str:
            size = len(value)
            if size > SHORT or not value.isascii():
                return -1
            total += size
        elif kind is int:
            if not -EXACT < value < EXACT:
                return -1
        elif kind is float:
            if value - value != 0:
                return -1
        elif value is not None and kind is not bool:
            return -1
        total += 1
    return total
