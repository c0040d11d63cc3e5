"""The client's own cost: CPU time of a `testd run` that does next to nothing, over that of a bare interpreter."""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from contenders import warm
from context import Context
from measuring import Contender, interleave
from suites import PYTEST, Suite, environment_only
from table import Row

__all__ = ["measure"]

GOAL = 0.060
SUITE = Suite(name="floor-bare", version="1", requirements=(PYTEST,))


def measure(context: Context) -> Iterator[Row]:
    """Yield the cost of the client's start and imports. The daemon's work is not the client's CPU time."""
    with tempfile.TemporaryDirectory(prefix="testd-client-") as folder:
        project = Path(folder)
        (project / "pytest.ini").write_text("[pytest]\n")
        (project / "test_trivial.py").write_text("def test_trivial():\n    pass\n")
        found = environment_only(SUITE, context.root, project)
        with context.house(found) as house:
            client = replace(warm(house, context.testd, found), helpers=None, name="testd run")
            bare = Contender(
                name="python -c pass",
                command=[sys.executable, "-c", "pass"],
                cwd=project,
                environment=house.environment,
            )
            series = interleave([bare, client], max(10, context.rounds * 2), warm_up=2)
    floor, cost = (
        statistics.median(sample.cpu for sample in series[name].samples) for name in (bare.name, client.name)
    )
    yield Row(
        scenario="client",
        case="one trivial test",
        what="over a bare interpreter",
        value=f"{(cost - floor) * 1000:.0f} ms",
        goal="≤ 60 ms",
        met=cost - floor <= GOAL,
        note=f"CPU time: {cost * 1000:.0f} ms, interpreter {floor * 1000:.0f} ms",
    )
