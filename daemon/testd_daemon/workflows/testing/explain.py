"""How an assertion that does not hold is told: what was expected, what is there, what the log says. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches, unified_diff

__all__ = ["difference", "nearby", "tail"]

#: Lines of a log, and of a difference, that are shown.
LOG_LINES = 40
DIFFERENCE_LINES = 60
#: Keys that are shown of what there is in the place of what is not.
KEYS = 10


def tail(log: str, lines: int = LOG_LINES) -> str:
    """Return the end of a log, and how much was left out."""
    found = log.rstrip("\n").splitlines()
    left_out = len(found) - lines
    head = [f"... {left_out} lines before ..."] if left_out > 0 else []
    return "\n".join([*head, *found[-lines:]])


def difference(actual: str, expected: str) -> str:
    """Return how two texts differ: one line each where both are one, else line by line."""
    if "\n" not in actual.rstrip("\n") and "\n" not in expected.rstrip("\n"):
        return f"expected: {expected!r}\nactual:   {actual!r}"
    lines = list(
        unified_diff(expected.splitlines(keepends=True), actual.splitlines(keepends=True), "expected", "actual", n=2)
    )
    shown = [
        line if line.endswith("\n") else f"{line}\n\\ no newline at the end\n" for line in lines[:DIFFERENCE_LINES]
    ]
    left_out = len(lines) - DIFFERENCE_LINES
    return "".join([*shown, f"... {left_out} more lines" if left_out > 0 else ""]).rstrip("\n")


def nearby(key: str, keys: Iterable[str]) -> str:
    """Return which keys there are in the place of one that is not, those first that look like it."""
    found = list(keys)
    if not found:
        return "there is nothing in its folder"
    near = get_close_matches(key, found, n=KEYS, cutoff=0.5)
    shown = list(dict.fromkeys([*near, *found]))[:KEYS]
    more = f"\n  ... and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    return "there are:\n" + "\n".join(f"  {each}" for each in shown) + more
