"""B1, B5: save a source file under watch → the last affected verdict; beside pytest-watcher and pytest-testmon.

pytest-watcher runs the whole suite, or the one file; pytest-testmon is run after the same edit, as one would by hand.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import suites
from context import Context
from measuring import Contender, MeasureError, run
from table import Row
from watching import Answer, Edit, Floor, Testd, Watcher

__all__ = ["measure"]

WATCHERS = ("pytest-watcher==0.6.3", "watchdog==6.0.0")
TESTMON = ("pytest-testmon==2.2.0",)
WHOLE_GOAL, TESTMON_GOAL, FLOOR_GOAL = 0.15, 0.35, 1.5
#: Suite, the edited file, the function in it.
WHOLE = (
    ("click", "src/click/shell_completion.py", "split_arg_string"),
    ("marshmallow", "src/marshmallow/validate.py", "Length.__call__"),
    ("tomlkit", "tomlkit/parser.py", "Parser._parse_bool"),
    ("jinja2", "src/jinja2/filters.py", "do_title"),
    ("werkzeug", "src/werkzeug/http.py", "parse_date"),
    ("attrs", "src/attr/filters.py", "include"),
    ("numpy-financial", "numpy_financial/_financial.py", "npv"),
)
#: Suite, the edited file, the function, the file of tests, the goal.
ONE_FILE = (
    ("click", "src/click/core.py", "Context.invoke", "tests/test_basic.py", 0.5),
    ("attrs", "src/attr/_make.py", "_ClassBuilder.build_class", "tests/test_slots.py", 0.25),
)


def measure(context: Context) -> Iterator[Row]:
    """Yield the rows of whole suites, then those of single files."""
    for name, file, function in WHOLE[: 2 if context.quick else None]:
        yield from _whole(context, name, file, function)
    for name, file, function, tests, goal in ONE_FILE[: 1 if context.quick else None]:
        yield from _one_file(context, name, file, function, tests, goal)


def _with(context: Context, name: str, what: str, requirements: tuple[str, ...]) -> suites.Prepared:
    """Return a suite in an environment of its own that has these, too: they would load into plain pytest."""
    (suite,) = suites.choose([name])
    plain = suites.prepare(suite, context.root)
    more = replace(suite, requirements=(*suite.requirements, *requirements))
    return suites.beside(more, plain, context.root, what)


def _whole(context: Context, name: str, file: str, function: str) -> Iterator[Row]:
    suite = context.suite(name)
    watcher, testmon = _with(context, name, "watcher", WATCHERS), _with(context, name, "testmon", TESTMON)
    with Edit(suite.project / file, function) as edit:
        answers, ran = _race(context, suite, watcher, edit, ())
        floor = _floor(context, suite, edit, ran)
        learned = _testmon(context, testmon, edit)
    case = f"{name}, {Path(file).name}"
    yield from _rows("B5", case, answers, WHOLE_GOAL)
    ours = _median(answers["testd"])
    if floor:
        theirs = statistics.median(floor)
        yield Row(
            scenario="B5", case=case, what="testd against the floor", value=f"{theirs:.3f} s", ratio=ours / theirs,
            against="the floor", goal=f"≤ {FLOOR_GOAL:g}", met=ours / theirs <= FLOOR_GOAL,
            note=f"{len(ran)} tests by pytest in one interpreter that stays",
        )  # fmt: skip
    if learned:
        theirs = statistics.median(learned)
        yield Row(scenario="B5", case=case, what="pytest --testmon", value=f"{theirs:.3f} s")
        yield Row(
            scenario="B5", case=case, what="testd against testmon", value="", ratio=ours / theirs, against="testmon",
            goal=f"≤ {TESTMON_GOAL:g}", met=ours / theirs <= TESTMON_GOAL,
        )  # fmt: skip
    else:
        yield Row(scenario="B5", case=case, what="pytest --testmon", value="-", note="does not run this suite")


def _one_file(context: Context, name: str, file: str, function: str, tests: str, goal: float) -> Iterator[Row]:
    suite = context.suite(name)
    with Edit(suite.project / file, function) as edit:
        answers, _ = _race(context, suite, _with(context, name, "watcher", WATCHERS), edit, (tests,))
    yield from _rows("B1", f"{name}, {Path(file).name} → {tests}", answers, goal)


def _race(
    context: Context, suite: suites.Prepared, peers: suites.Prepared, edit: Edit, paths: tuple[str, ...]
) -> tuple[dict[str, list[Answer]], list[str]]:
    """Have both tools answer in turn; each is on its own while it does: they watch the same files.

    Returns their answers, and the tests that testd ran.
    """
    ran: list[str] = []
    answers: dict[str, list[Answer]] = {"pytest-watcher": [], "testd": []}
    for _ in range(2 if context.rounds > 3 else 1):
        with context.house(suite) as house, Testd(context.testd, suite.project, house.environment, paths) as ours:
            ours.time(edit)
            answers["testd"] += [ours.time(edit) for _ in range(context.rounds)]
            ran = ours.ran
        with Watcher(peers.python, suite.project, peers.environ(), paths) as theirs:
            answers["pytest-watcher"] += [theirs.time(edit) for _ in range(max(3, context.rounds // 2))]
    return answers, ran


def _floor(context: Context, suite: suites.Prepared, edit: Edit, tests: list[str]) -> list[float]:
    """Return how long these tests take after each edit in one interpreter that stays; nothing where it cannot."""
    with contextlib.suppress(MeasureError), Floor(suite.python, suite.project, suite.environ()) as floor:
        floor.time(edit, tests)
        return [floor.time(edit, tests) for _ in range(context.rounds)]
    return []


def _testmon(context: Context, suite: suites.Prepared, edit: Edit) -> list[float]:
    """Return how long `pytest --testmon` takes after each edit; nothing where it does not run the suite."""
    command = [str(suite.python), "-m", "pytest", "-q", "--testmon"]
    data = suite.project / ".testmondata"
    contender = Contender(
        name="testmon", command=command, cwd=suite.project, environment=suite.environ(),
        exit_codes=frozenset({0, 1, 5}), before=edit.make,
    )  # fmt: skip
    try:
        with contextlib.suppress(FileNotFoundError):
            data.unlink()
        run(replace(contender, before=None))
        run(contender)
        seconds = []
        for _ in range(max(3, context.rounds // 2)):
            time.sleep(0.1)
            seconds.append(run(contender).wall)
    except MeasureError:
        return []
    finally:
        for left in suite.project.glob(".testmondata*"):
            left.unlink()
    return seconds


def _median(answers: list[Answer]) -> float:
    return statistics.median(answer.last for answer in answers)


def _rows(scenario: str, case: str, answers: dict[str, list[Answer]], goal: float) -> Iterator[Row]:
    theirs = _median(answers["pytest-watcher"])
    for tool, found in answers.items():
        last = _median(found)
        first = statistics.median(answer.first for answer in found)
        mine = tool == "testd"
        yield Row(
            scenario=scenario, case=case, what=tool, value=f"{last:.3f} s",
            ratio=last / theirs if mine else None, against="pytest-watcher" if mine else "",
            goal=f"≤ {goal:g}" if mine else "", met=last / theirs <= goal if mine else None,
            note=f"{found[-1].tests} tests" + (f", the first verdict after {first:.3f} s" if mine else ""),
        )  # fmt: skip
