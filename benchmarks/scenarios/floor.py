"""B3: one trivial test where hypothesis, xdist and cov are installed, and where nothing is but pytest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from contenders import plain, same, warm
from context import Context, race
from measuring import interleave, run
from suites import PYTEST, Prepared, Suite, environment_only
from table import Row

__all__ = ["measure"]

FULL = Suite(
    name="floor-full",
    version="1",
    requirements=(PYTEST, "hypothesis==6.170.15", "pytest-xdist==3.8.0", "pytest-cov==7.1.0"),
)
BARE = Suite(name="floor-bare", version="1")
GOALS = {"floor-full": 0.1, "floor-bare": 0.25}


def measure(context: Context) -> Iterator[Row]:
    """Yield a row for each contender in each environment."""
    for suite in (FULL, BARE):
        with tempfile.TemporaryDirectory(prefix="testd-floor-") as folder:
            project = Path(folder)
            (project / "pytest.ini").write_text("[pytest]\n")
            (project / "test_trivial.py").write_text("def test_trivial():\n    pass\n")
            yield from _case(context, environment_only(suite, context.root, project))


def _case(context: Context, found: Prepared) -> Iterator[Row]:
    with context.house(found) as house:
        contenders = [plain(found), warm(house, context.testd, found)]
        differing = same({contender.name: run(contender) for contender in contenders})
        if differing:
            yield Row(scenario="B3", case=found.suite.name, what="testd", value="-", met=False, note=str(differing))
            return
        series = interleave(contenders, max(5, context.rounds))
    yield from race("B3", found.suite.name, series, {"testd": (["pytest"], GOALS[found.suite.name])})
