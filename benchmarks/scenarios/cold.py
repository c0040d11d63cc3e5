"""B9: do no harm. The first, cold run (no daemon at all) against plain pytest; the warm run against `pytest -n 2`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from contenders import plain, same, warm, xdist
from context import Context, race
from house import House
from measuring import Contender, interleave, run
from suites import Prepared
from table import Row

__all__ = ["measure"]

SUITES = ("werkzeug", "attrs")
COLD_GOAL = 1.05
WARM_GOAL = 1.0


def measure(context: Context) -> Iterator[Row]:
    """Yield the rows of each suite."""
    for name in SUITES[: 1 if context.quick else None]:
        yield from _case(context, name)


def _case(context: Context, name: str) -> Iterator[Row]:
    suite, peers = _steady(context.suite(name)), _steady(context.peers(name))
    with context.house(suite) as house, context.house(suite) as other:
        contenders = [
            plain(suite),
            xdist(peers),
            replace(warm(house, context.testd, suite), name="testd, warm"),
            _cold(context, other, suite),
        ]
        differing = same({contender.name: run(contender) for contender in contenders})
        for tool, difference in differing.items():
            yield Row(scenario="B9", case=name, what=tool, value="-", met=False, note=f"not timed: {difference}")
        equal = [contender for contender in contenders if contender.name not in differing]
        series = interleave(equal, context.rounds, warm_up=0)
    goals = {"testd, warm": (["pytest -n 2"], WARM_GOAL), "testd, cold": (["pytest"], COLD_GOAL)}
    yield from race("B9", name, series, goals)


def _cold(context: Context, house: House, suite: Prepared) -> Contender:
    def stop() -> None:
        house.stop()
        house.forget()

    return warm(house, context.testd, suite, name="testd, cold", before=stop)


def _steady(found: Prepared) -> Prepared:
    """hypothesis draws new examples in each run: the same ones for every contender."""
    if not any(requirement.startswith("hypothesis") for requirement in found.suite.requirements):
        return found
    options = f"{found.suite.environment.get('PYTEST_ADDOPTS', '')} --hypothesis-seed=0".strip()
    return replace(found, suite=replace(found.suite, environment={"PYTEST_ADDOPTS": options}))
