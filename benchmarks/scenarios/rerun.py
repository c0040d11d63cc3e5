"""B2: run again, nothing changed. Whole suites, and one file of each, against plain pytest, `pytest -n 2` and karva."""

from __future__ import annotations

import contextlib
import os
import statistics
from collections.abc import Iterable, Iterator

from contenders import forked, karva, loop_seconds, plain, same, warm, xdist
from context import Context, race
from measuring import Contender, MeasureError, Sample, Series, interleave, run
from table import Row

__all__ = ["measure"]

WHOLE = ("tomlkit", "marshmallow", "jinja2", "click")
ONE_FILE = (
    ("click", "tests/test_basic.py"),
    ("marshmallow", "tests/test_fields.py"),
    ("jinja2", "tests/test_filters.py"),
    ("werkzeug", "tests/test_http.py"),
)
WHOLE_GOAL = 0.35
FILE_GOAL = 0.25
#: karva hangs on some suites: what it is given to show that it gives the same verdicts.
KARVA_DEADLINE = 60.0


def measure(context: Context) -> Iterator[Row]:
    """Yield the rows of whole suites, then those of single files."""
    for name in WHOLE[: 2 if context.quick else None]:
        yield from _case(context, name, (), WHOLE_GOAL, ["pytest", "pytest -n 2"])
    for name, path in ONE_FILE[: 1 if context.quick else None]:
        yield from _case(context, name, (path,), FILE_GOAL, ["pytest"])


def _case(context: Context, name: str, paths: tuple[str, ...], goal: float, rivals: list[str]) -> Iterator[Row]:
    suite, peers = context.suite(name), context.peers(name)
    with context.house(suite) as house:
        contenders = [plain(suite, paths), warm(house, context.testd, suite, paths)]
        if not paths:
            contenders += [xdist(peers, paths), karva(peers, paths)]
        samples = dict(_first(contenders))
        differing = same(samples)
        for tool in [contender.name for contender in contenders if contender.name not in samples]:
            yield Row(scenario="B2", case=name, what=tool, value="-", note="not timed: does not run this suite")
        for tool, difference in differing.items():
            met = False if tool == "testd" else None
            yield Row(scenario="B2", case=name, what=tool, value="-", met=met, note=f"not timed: {difference}")
        equal = [contender for contender in contenders if contender.name in samples and contender.name not in differing]
        series = interleave([*equal, forked(suite, paths)], context.rounds)
    loop = series.pop("floor")
    case = " ".join([name, *paths]) or name
    yield from race("B2", case, series, {"testd": (rivals, goal)})
    yield _floor(case, loop, series["pytest"])
    if {"karva", "testd"} <= series.keys():
        ratio = series["testd"].median / series["karva"].median
        yield Row(
            scenario="B2",
            case=case,
            what="testd against karva",
            value="",
            ratio=ratio,
            against="karva",
            goal="≤ 1",
            met=ratio <= 1,
        )


def _floor(case: str, loop: Series, pytest: Series) -> Row:
    """What is left of plain pytest if its collected tests are divided over the processors and nothing else is done."""
    seconds = statistics.median(loop_seconds(sample) for sample in loop.samples)
    return Row(
        scenario="B2",
        case=case,
        what="floor",
        value=f"{seconds:.3f} s",
        ratio=seconds / pytest.median,
        against="pytest",
        note=f"the collection forked, pytest's own protocol in {os.cpu_count()} processes, nothing around it",
    )


def _first(contenders: Iterable[Contender]) -> Iterator[tuple[str, Sample]]:
    """Run each once; a peer that cannot run the suite is left out."""
    for contender in contenders:
        if contender.name == "karva":
            with contextlib.suppress(MeasureError):
                yield contender.name, run(contender, KARVA_DEADLINE)
        else:
            yield contender.name, run(contender)
