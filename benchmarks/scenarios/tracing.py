"""What a traced call costs: over the plain call, and beside a span of OpenTelemetry's SDK that says as much."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from context import Context
from measuring import COMMAND_DEADLINE, MeasureError
from suites import Suite, environment_only
from table import Row

__all__ = ["measure"]

SUITE = Suite(name="tracing", version="1", requirements=("opentelemetry-sdk==1.38.0",))
SCRIPT = Path(__file__).parent.parent / "traced_calls.py"
RUNNERS = Path(__file__).parent.parent.parent / "runners"
#: Seconds over the plain call that are allowed.
GOALS = {"not recording": 1e-6, "recording": 15e-6}
RIVAL = "OpenTelemetry"


def measure(context: Context) -> Iterator[Row]:
    """Yield a row for each way to call a function."""
    with tempfile.TemporaryDirectory(prefix="testd-tracing-") as folder:
        found = environment_only(SUITE, context.root, Path(folder))
        command = [str(found.python), str(SCRIPT), str(context.rounds)]
        environment = {**found.environ(), "PYTHONPATH": str(RUNNERS)}
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=COMMAND_DEADLINE, check=False
        )
    if done.returncode:
        raise MeasureError(f"{command}: exit {done.returncode}\n{done.stderr[-2000:]}")
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    over = {
        name: statistics.median(figures[name] - figures["plain"] for figures in rounds)
        for name in rounds[0]
        if name != "plain"
    }
    for name, seconds in over.items():
        goal = GOALS.get(name)
        yield Row(
            scenario="tracing",
            case="a call with two small arguments",
            what=name,
            value=f"{seconds * 1e6:.2f} µs",
            ratio=seconds / over[RIVAL] if name != RIVAL else None,
            against=RIVAL if name != RIVAL else "",
            goal=f"≤ {goal * 1e6:g} µs" if goal else "",
            met=seconds <= goal if goal else None,
            note="over the plain call",
        )
