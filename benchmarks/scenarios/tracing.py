"""What a traced call costs: over the plain call, and beside a span of OpenTelemetry's SDK that says as much.

And what it costs a program that its traced calls are sent to the daemon while it works.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from context import Context
from measuring import COMMAND_DEADLINE, MeasureError
from suites import Prepared, Suite, environment_only
from table import Row

__all__ = ["measure"]

SUITE = Suite(name="tracing", version="1", requirements=("opentelemetry-sdk==1.38.0",))
SCRIPT = Path(__file__).parent.parent / "traced_calls.py"
PROGRAM = Path(__file__).parent.parent / "traced_program.py"
RUNNERS = Path(__file__).parent.parent.parent / "runners"
#: Seconds over the plain call that are allowed.
GOALS = {"not recording": 1e-6, "recording": 15e-6}
RIVAL = "OpenTelemetry"


def measure(context: Context) -> Iterator[Row]:
    """Yield a row for each way to call a function."""
    with tempfile.TemporaryDirectory(prefix="testd-tracing-") as folder:
        found = environment_only(SUITE, context.root, Path(folder))
        yield from _sending(context, found, Path(folder))
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


def _sending(context: Context, found: Prepared, folder: Path) -> Iterator[Row]:
    """Yield a row for each way in which a program may be traced; the ways take turns."""
    (folder / "testd.toml").write_text("")
    with context.house(found) as house:
        started = subprocess.run(
            [str(context.testd), "traces"], cwd=folder, env=house.environment, capture_output=True, check=False,
            timeout=COMMAND_DEADLINE,
        )  # fmt: skip
        if started.returncode:
            raise MeasureError(f"testd traces: exit {started.returncode}")
        traced = {**house.environment, "PYTHONPATH": str(RUNNERS), "TESTD_TRACE": '{"wait": 60}'}
        ways = {
            "not recording": {**traced, "TESTD_TRACE": "0"},
            "recording, no daemon": {**traced, "TESTD_RUNTIME_DIR": str(folder / "nobody")},
            "sending": traced,
        }
        taken: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(context.rounds):
            for name, environment in ways.items():
                taken[name].append(_program(found, folder, environment))
    plain = statistics.median(taken["not recording"])
    for name, seconds in taken.items():
        middle = statistics.median(seconds)
        yield Row(
            scenario="tracing", case="a program of 200 roots with 4,000 calls", what=name, value=f"{middle:.3f} s",
            ratio=middle / plain if name != "not recording" else None,
            against="not recording" if name != "not recording" else "", note="its own work, not its end",
        )  # fmt: skip


def _program(found: Prepared, folder: Path, environment: dict[str, str]) -> float:
    """Return the seconds of the program's own work."""
    done = subprocess.run(
        [str(found.python), str(PROGRAM)], cwd=folder, env=environment, capture_output=True, text=True, check=False,
        timeout=COMMAND_DEADLINE,
    )  # fmt: skip
    if done.returncode or done.stderr:
        raise MeasureError(f"{PROGRAM}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return float(done.stdout)
