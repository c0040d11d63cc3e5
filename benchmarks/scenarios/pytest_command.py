"""`testd pytest -q FILE` beside `pytest -q FILE`: the same command, the same output, run again and again.

What the daemon prepares after a run is not part of the next one: before each round it has come to rest.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from contenders import same
from context import Context, race
from house import House
from measuring import Contender, come_to_rest, interleave, run
from suites import Prepared
from table import Row

__all__ = ["measure"]

GOAL = 0.35
CASES = (
    ("click", "tests/test_basic.py"),
    ("marshmallow", "tests/test_fields.py"),
    ("tomlkit", "tests/test_items.py"),
    ("jinja2", "tests/test_filters.py"),
    ("werkzeug", "tests/test_http.py"),
    ("attrs", "tests/test_slots.py"),
    ("numpy-financial", "numpy_financial/tests/test_financial.py"),
)


def measure(context: Context) -> Iterator[Row]:
    """Yield two rows for each file, then the median of the ratios."""
    ratios = []
    for name, path in CASES[: 2 if context.quick else None]:
        suite = context.suite(name)
        words = ["-q", path]
        with context.house(suite) as house:
            contenders = [_plain(suite, words), _warm(context, house, suite, words)]
            differing = same({contender.name: run(contender) for contender in contenders})
            if differing:
                yield Row(scenario="pytest", case=name, what="testd pytest", value="-", met=False, note=str(differing))
                continue
            series = interleave(contenders, context.rounds, warm_up=2)
        yield from race("pytest", f"{name} {path}", series, {"testd pytest": (["pytest"], 0.0)})
        ratios.append(series["testd pytest"].median / series["pytest"].median)
    if ratios:
        middle = statistics.median(ratios)
        yield Row(
            scenario="pytest", case=f"{len(ratios)} projects", what="testd pytest, the median ratio", value="",
            ratio=middle, against="pytest", goal=f"≤ {GOAL:g}", met=middle <= GOAL,
        )  # fmt: skip


def _plain(suite: Prepared, words: list[str]) -> Contender:
    command = [str(suite.venv / "bin" / "pytest"), *words]
    return Contender(name="pytest", command=command, cwd=suite.project, environment=suite.environ())


def _warm(context: Context, house: House, suite: Prepared, words: list[str]) -> Contender:
    return Contender(
        name="testd pytest", command=[str(context.testd), "pytest", *words], cwd=suite.project,
        environment=house.environment, before=lambda: come_to_rest(house.processes), helpers=house.processes,
    )  # fmt: skip
