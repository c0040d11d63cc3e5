"""An idle daemon: the CPU time and the wake-ups of all its processes while nobody asks for anything."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import psutil

from contenders import warm
from context import Context
from measuring import run
from table import Row

__all__ = ["measure"]

SECONDS, SECONDS_QUICK = 60.0, 10.0
#: After a run: the last history is written, the last worker reaped.
SETTLE = 3.0
#: The kernel counts CPU time in these; one of them is noise.
TICK = 0.02


def measure(context: Context) -> Iterator[Row]:
    """Yield the CPU time, and how often the processes woke up."""
    suite = context.suite("markupsafe")
    seconds = SECONDS_QUICK if context.quick else SECONDS
    with context.house(suite) as house:
        run(warm(house, context.testd, suite))
        time.sleep(SETTLE)
        processes = house.processes()
        before = [_figures(process) for process in processes]
        time.sleep(seconds)
        after = [_figures(process) for process in processes]
    cpu = sum(late[0] - early[0] for early, late in zip(before, after, strict=True))
    wakes = sum(late[1] - early[1] for early, late in zip(before, after, strict=True))
    yield Row(
        scenario="idle",
        case=f"{len(processes)} processes, {seconds:.0f} s",
        what="CPU time",
        value=f"{cpu * 1000:.0f} ms",
        goal="none measurable",
        met=cpu <= TICK,
        note=f"{wakes / seconds:.1f} wake-ups a second",
    )


def _figures(process: psutil.Process) -> tuple[float, int]:
    with contextlib.suppress(psutil.Error):
        times = process.cpu_times()
        return times.user + times.system, process.num_ctx_switches().voluntary
    return 0.0, 0
