"""What it costs to record what tests use: warm runs of whole suites with it and without."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from contenders import warm
from context import Context, race
from measuring import interleave
from table import Row

__all__ = ["measure"]

SUITES = ("marshmallow", "tomlkit", "jinja2", "click")
#: From Python 3.12 on functions are recorded, too, and by the interpreter's own means.
GOAL = 1.15 if sys.version_info >= (3, 12) else 1.5
WITHOUT = "testd, record = false"


def measure(context: Context) -> Iterator[Row]:
    """Yield two rows for each suite."""
    for name in SUITES[: 1 if context.quick else None]:
        suite = context.suite(name)
        with context.house(suite) as house, context.house(suite) as other:
            other.environment["TESTD_RECORD"] = "false"
            contenders = [warm(house, context.testd, suite), warm(other, context.testd, suite, name=WITHOUT)]
            series = interleave(contenders, context.rounds, warm_up=2)
        yield from race("recording", name, series, {"testd": ([WITHOUT], GOAL)})
