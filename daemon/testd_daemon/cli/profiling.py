"""What `testd run --profile` measures of the command itself. Runs in the client, when asked for."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.reports.base import Report


def tell(report: Report, began: float, connected: float) -> None:
    """Tell a report, once the run is accepted, what came before: `began` to connect, was `connected` (monotonic)."""
    now = time.monotonic()
    age = _age()
    if age is not None:
        report.took("start", max(0.0, age - (now - began)))
    report.took("reach", connected - began)
    report.took("accept", now - connected)
    report.took("accepted", time.time())


def _age() -> float | None:
    """Return for how many seconds this process has been there, None where the system does not say."""
    try:
        with open("/proc/self/stat", encoding="ascii", errors="replace") as file:  # noqa: PTH123
            ticks = int(file.read().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


__all__ = ["tell"]
