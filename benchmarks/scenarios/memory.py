"""What a forked worker adds: its proportional memory (PSS) while it runs click's suite."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

import psutil

from contenders import warm
from context import Context
from house import House
from measuring import run
from table import Row

__all__ = ["measure"]

GOAL = 20 * 1024 * 1024
SAMPLE_EVERY = 0.05


def measure(context: Context) -> Iterator[Row]:
    """Yield the largest PSS and the largest private memory of a worker."""
    suite = context.suite("click")
    with context.house(suite) as house:
        ours = warm(house, context.testd, suite)
        run(ours)
        resident = {process.pid for process in house.processes()}
        with subprocess.Popen(
            list(ours.command), cwd=ours.cwd, env=house.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ) as client:
            peaks = _sample(house, client, resident)
    pss, private = (max(found, default=0) / 1024**2 for found in zip(*peaks.values(), strict=True))
    yield Row(
        scenario="memory",
        case="click, warm",
        what="PSS of a worker",
        value=f"{pss:.1f} MiB",
        goal="< 20 MiB",
        met=0 < pss * 1024**2 < GOAL,
        note=f"{private:.1f} MiB of it private; {len(peaks)} workers seen",
    )


def _sample(house: House, client: subprocess.Popen[bytes], resident: set[int]) -> dict[int, tuple[int, int]]:
    """Return the peaks (PSS, private) of each process that came with this run and is nobody's parent."""
    peaks: dict[int, tuple[int, int]] = {}
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            client.wait(SAMPLE_EVERY)
            return peaks or {0: (0, 0)}
        for process in house.processes():
            with contextlib.suppress(psutil.Error):
                if process.pid in resident or client.pid in (process.pid, process.ppid()):
                    continue
                info = process.memory_full_info()
                before = peaks.get(process.pid, (0, 0))
                peaks[process.pid] = (max(before[0], info.pss), max(before[1], info.uss))
