"""How a status looks, in text and in pictures, and how several of them are told as one. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["COLOURS", "STYLES", "counted", "said", "together"]

#: Status → how its word is painted in a terminal.
STYLES = {
    "pending": "dim",
    "invoked": "cyan",
    "running": "bold cyan",
    "completed": "green",
    "failed": "red",
    "skipped": "yellow",
    "not_invoked": "dim",
    "timeout": "red",
}
#: Status → the colours of a box: what fills it, and its border. Empty: of a function without a run.
COLOURS = {
    "": ("#f3f4f6", "#6b7280"),
    "pending": ("#f3f4f6", "#9ca3af"),
    "invoked": ("#e0f2fe", "#0284c7"),
    "running": ("#bae6fd", "#0369a1"),
    "completed": ("#dcfce7", "#15803d"),
    "failed": ("#fecaca", "#b91c1c"),
    "skipped": ("#fef3c7", "#b45309"),
    "not_invoked": ("#ffffff", "#9ca3af"),
    "timeout": ("#fed7aa", "#c2410c"),
}
#: Which of several statuses says most of all of them.
_FIRST = ("failed", "timeout", "running", "invoked", "pending", "skipped", "completed", "not_invoked")


def together(statuses: Sequence[str]) -> str:
    """Return the one status that says most of several instances'; empty where there is none."""
    known = [status for status in _FIRST if status in statuses]
    waiting = {"pending", "invoked"} & {*statuses}
    return "running" if waiting and "completed" in statuses else known[0] if known else ""


def said(status: str) -> str:
    """Say a status in a word or two."""
    return {"not_invoked": "not invoked", "timeout": "timed out"}.get(status, status)


def counted(counts: Mapping[str, int]) -> str:
    """Say how many have which status: `3 completed, 1 failed`."""
    return ", ".join(f"{count} {said(status)}" for status, count in counts.items())
