"""10,000 trivial exports tests: outcomes a second as the client sees them, and how fast `status` answers meanwhile."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from context import Context
from house import House
from measuring import MeasureError
from suites import PYTEST, Prepared, Suite, environment_only
from table import Row

__all__ = ["measure"]

FILES, EACH = 100, 100
RATE = 10_000.0
STATUS_GOAL = 0.020
SUITE = Suite(name="exports", version="1", requirements=(PYTEST,))

#: Asks the handler for its status until its standard input closes, and prints each round trip.
PROBE = """
import os, select, sys, time
from testd_daemon.client.sync import Client
client = Client.connect(start=False)
while not select.select([0], [], [], 0.005)[0]:
    started = time.perf_counter()
    client.status()
    print(time.perf_counter() - started, flush=True)
"""


def measure(context: Context) -> Iterator[Row]:
    """Yield the rate, and the latency of status."""
    with tempfile.TemporaryDirectory(prefix="testd-exports-") as folder:
        project = Path(folder)
        _write(project)
        found = environment_only(SUITE, context.root, project)
        with context.house(found) as house:
            _flow(context, house, found)
            runs = sorted(_flow(context, house, found) for _ in range(max(3, context.rounds // 2)))
            latencies = _probed(context, house, found)
    rate, wall = runs[len(runs) // 2]
    yield Row(
        scenario="throughput",
        case=f"{FILES * EACH:,} exports tests",
        what="outcomes a second",
        value=f"{rate:,.0f}",
        goal=f"≥ {RATE:,.0f}",
        met=rate >= RATE,
        note=f"whole command {wall:.2f} s; from first to last outcome line",
    )
    p99 = latencies[min(len(latencies) - 1, int(len(latencies) * 0.99))]
    yield Row(
        scenario="throughput",
        case="meanwhile",
        what="status, p99",
        value=f"{p99 * 1000:.1f} ms",
        goal="≤ 20 ms",
        met=p99 <= STATUS_GOAL,
        note=f"{len(latencies)} requests, median {latencies[len(latencies) // 2] * 1000:.1f} ms",
    )


def _write(project: Path) -> None:
    (project / "testd.toml").write_text('kind = "exports"\n')
    for number in range(FILES):
        tests = "\n\n".join(f"def trivial_{test}():\n    assert True" for test in range(EACH))
        (project / f"part_{number}_test.py").write_text(tests + "\n")


def _flow(context: Context, house: House, found: Prepared) -> tuple[float, float]:
    """Run, and return outcomes a second (between the first batch and the last) and the wall time of the command."""
    command = [str(context.testd), "run", "--format", "json"]
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=found.project, env=house.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        arrivals = [time.perf_counter() for line in process.stdout if line.startswith(b'{"event":"outcome"')]
    wall = time.perf_counter() - started
    if len(arrivals) != FILES * EACH or process.returncode != 0:
        raise MeasureError(f"testd: {len(arrivals)} outcomes, exit {process.returncode}")
    return len(arrivals) / max(1e-6, arrivals[-1] - arrivals[0]), wall


def _probed(context: Context, house: House, found: Prepared) -> list[float]:
    """Return the sorted round trips of status requests made while runs flow."""
    with subprocess.Popen(
        [sys.executable, "-c", PROBE], env=house.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as probe:
        assert probe.stdin is not None
        assert probe.stdout is not None
        probe.stdout.readline()
        for _ in range(3):
            _flow(context, house, found)
        probe.stdin.close()
        return sorted(json.loads(line) for line in probe.stdout)
