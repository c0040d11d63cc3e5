"""Numbers and counts as a person reads them.

Runs in the client, on the quick path: imports our own constants only.
"""

from __future__ import annotations

from testd_daemon.reports.base import VERDICTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


_STYLES = {"passed": "green", "skipped": "yellow", "xfailed": "yellow", "xpassed": "yellow", "cancelled": "dim"}


def style(verdict: str) -> str:
    """Give the style in which a verdict is painted."""
    return _STYLES.get(verdict, "red")


def seconds(value: float) -> str:
    """Say a duration: `0.03 s`, `12.3 s`, `2 min 05 s`, `3 h 04 min`."""
    if value < 9.995:
        return f"{value:.2f} s"
    if value < 59.95:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def brief(value: float) -> str:
    """Say a duration that may be very short: `0.07 ms`, else as `seconds` does."""
    return f"{value * 1000:.2f} ms" if value < 0.9995 else seconds(value)


def clock(value: float) -> str:
    """Say a time that runs while it is read: `3.9 s`, `2 min 05 s`."""
    return f"{value:.1f} s" if value < 59.95 else seconds(value)


def memory(kib: int) -> str:
    """Say an amount of memory, given in KiB: `512 KiB`, `34 MiB`, `1.2 GiB`."""
    if kib < 1024:
        return f"{kib} KiB"
    if kib < 1024 * 1024:
        return f"{kib / 1024:.0f} MiB"
    return f"{kib / 1024 / 1024:.1f} GiB"


def number(count: int, noun: str) -> str:
    """Say a count with its noun: `1 test`, `1,203 tests`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def counts(by_verdict: Mapping[str, int]) -> list[tuple[str, str]]:
    """List `(verdict, "3 failed")` for every verdict that occurs, in the order of a summary."""
    known = [(verdict, by_verdict.get(verdict, 0)) for verdict in VERDICTS]
    later = [(verdict, count) for verdict, count in by_verdict.items() if verdict not in VERDICTS]
    return [
        (verdict, "1 error" if (verdict, count) == ("error", 1) else f"{count} {_plural(verdict)}")
        for verdict, count in known + later
        if count
    ]


def ago(then: float, now: float) -> str:
    """Say how long ago a moment was: `just now`, `3 min ago`, `2 days ago`."""
    passed = max(0.0, now - then)
    if passed < 5:
        return "just now"
    for limit, size, unit in ((60, 1, "s"), (3600, 60, "min"), (48 * 3600, 3600, "h")):
        if passed < limit:
            return f"{int(passed // size)} {unit} ago"
    return f"{int(passed // 86400)} days ago"


def _plural(verdict: str) -> str:
    return "errors" if verdict == "error" else verdict


__all__ = ["ago", "brief", "clock", "counts", "memory", "number", "seconds", "style"]
