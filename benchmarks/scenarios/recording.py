"""What it costs to record what tests use: warm runs of whole suites with it and without.

Where nothing has changed nothing is recorded again, so there are two pairs: before each round of the first one a file
that nobody knows comes into the project, which any test may use. Beside them, from Python 3.12 on, the floor: one
process that runs the tests with the least that a record of functions consists of, and without it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from contenders import least_record, warm
from context import Context, race
from house import House
from measuring import come_to_rest, interleave
from table import Row

__all__ = ["measure"]

SUITES = ("marshmallow", "tomlkit", "jinja2", "click")
#: From Python 3.12 on functions are recorded, too, and by the interpreter's own means.
FUNCTIONS = sys.version_info >= (3, 12)
GOAL = 1.15 if FUNCTIONS else 1.5
WITHOUT = "testd, record = false"
CHANGED, UNCHANGED = "testd, all recorded", "testd, nothing changed"


def measure(context: Context) -> Iterator[Row]:
    """Yield four rows for each suite, and one for the floor where there is one."""
    for name in SUITES[: 1 if context.quick else None]:
        suite = context.suite(name)
        unknown = suite.project / "unknown.bin"
        with context.house(suite) as house, context.house(suite) as other:
            other.environment["TESTD_RECORD"] = "false"
            for what, change in ((CHANGED, unknown), (UNCHANGED, None)):
                contenders = [
                    warm(house, context.testd, suite, name=what, before=_before(house, change)),
                    warm(other, context.testd, suite, name=WITHOUT, before=_before(house, None)),
                ]
                try:
                    series = interleave(contenders, context.rounds, warm_up=2)
                finally:
                    unknown.unlink(missing_ok=True)
                yield from race("recording", name, series, {what: ([WITHOUT], GOAL)})
        if FUNCTIONS:
            recorded, bare = least_record(suite, context.rounds)
            note = "the first start of each function in a test, nobody told; pytest in one process, forked, in turns"
            yield Row(scenario="recording", case=name, what="the least record", value=f"{recorded:.3f} s",
                      ratio=recorded / bare, against="the same without", note=note)  # fmt: skip


def _before(house: House, change: Path | None) -> Callable[[], None]:
    """Return what happens ahead of each round: what was told last is learned, and a file changes."""

    def prepare() -> None:
        come_to_rest(house.processes)
        if change is not None:
            change.write_text(str(time.time_ns()))

    return prepare
