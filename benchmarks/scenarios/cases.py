"""1,000 cases of a suite, warm, beside plain pytest with a parametrized test that calls and compares the same."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path

from contenders import counts
from context import Context
from measuring import Contender, MeasureError, interleave
from suites import PYTEST, Prepared, Suite, environment_only
from table import Row

__all__ = ["measure"]

SUITE = Suite(name="floor-bare", version="1", requirements=(PYTEST,))
CASES = 1000
RATE = 2000.0

LIBRARY = """
def price(amount, cents, *, percent=0):
    return {"cents": amount * cents * (100 - percent) // 100, "amount": amount, "tags": ["a", "b"]}
"""
PLAIN = f"""
import pytest
from prices import price

@pytest.mark.parametrize("number", range({CASES}))
def test_price(number):
    assert price(number, 250, percent=10) == {{"cents": number * 225, "amount": number, "tags": ["a", "b"]}}
"""


def measure(context: Context) -> Iterator[Row]:
    """Yield a row for each: whole commands, start and exit included."""
    with tempfile.TemporaryDirectory(prefix="testd-cases-") as folder:
        project = Path(folder)
        _write(project)
        found = environment_only(SUITE, context.root, project)
        with context.house(found) as house:
            suite = Contender(
                name="testd suite run", command=[str(context.testd), "suite", "run", "-q"], cwd=project,
                environment=house.environment,
            )  # fmt: skip
            plain = _pytest(found)
            series = interleave([plain, suite], context.rounds, warm_up=2)
    seconds = {name: statistics.median(sample.wall for sample in found.samples) for name, found in series.items()}
    for name, taken in series.items():
        if counts(taken.samples[-1])["passed"] != CASES:
            raise MeasureError(f"{name}: not {CASES} passed: {taken.samples[-1].output[-500:]}")
    rate = CASES / seconds[suite.name]
    yield Row(scenario="cases", case=f"{CASES:,} cases", what=plain.name, value=f"{CASES / seconds[plain.name]:,.0f}/s")
    yield Row(
        scenario="cases",
        case=f"{CASES:,} cases",
        what=suite.name,
        value=f"{rate:,.0f}/s",
        ratio=seconds[suite.name] / seconds[plain.name],
        against=plain.name,
        goal=f"≥ {RATE:,.0f}/s",
        met=rate >= RATE,
        note=f"whole command {seconds[suite.name]:.2f} s",
    )


def _pytest(found: Prepared) -> Contender:
    return Contender(
        name="pytest", command=[str(found.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_prices.py"],
        cwd=found.project, environment=found.environ(),
    )  # fmt: skip


def _write(project: Path) -> None:
    (project / "prices.py").write_text(LIBRARY)
    (project / "test_prices.py").write_text(PLAIN)
    meta = {"function_meta": {"module_name": "prices", "function_name": "price"}}
    cases = [
        {
            "id": str(number),
            "name": f"price {number}",
            "function_to_execute": meta,
            "input_to_pass": [number, 250, {"percent": 10}],
            "assertions": [
                {"operator": "equals", "object": {"cents": number * 225, "amount": number, "tags": ["a", "b"]}}
            ],
        }
        for number in range(CASES)
    ]
    suite = {"id": "prices", "name": "prices", "test_cases": cases}
    (project / "prices.suite.json").write_text(json.dumps(suite))
