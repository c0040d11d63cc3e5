"""B7: 400 tests with a segfault, `os._exit(0)`, out of memory, an endless loop in C and a flood of output among them.

Every other test is reported once, each cause is named, and a crash costs at most a second more.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from contenders import warm, xdist
from context import Context
from measuring import Contender, MeasureError, Sample, run
from suites import PYTEST, Prepared, Suite, environment_only
from table import Row

__all__ = ["measure"]

QUIET = 395
TIMEOUT = 2.0
PER_CRASH = 1.0
PEER_DEADLINE = 60.0
SUITE = Suite(name="crashes", version="1", requirements=(PYTEST, "pytest-xdist==3.8.0"))

HOSTILE = """
import ctypes, itertools, os, sys

def test_segfault():
    ctypes.string_at(0)

def test_exit():
    os._exit(0)

def test_memory():
    kept = []
    while True:
        kept.append(bytearray(os.urandom(1 << 12) * 4096))

def test_endless_loop_in_c():
    sum(itertools.repeat(0))  # returns to no bytecode: no signal handler ever runs

def test_flood():
    for _ in range(200):
        sys.stdout.write("x" * (1 << 20))
"""

#: For each hostile test its verdict, and a word that the cause must have in it.
EXPECTED = {
    "test_segfault": ("crashed", "SIGSEGV"),
    "test_exit": ("crashed", "exit"),
    "test_memory": ("crashed", "limit of 512 MiB"),
    "test_endless_loop_in_c": ("timed out", ""),
    "test_flood": ("passed", ""),
}


def measure(context: Context) -> Iterator[Row]:
    """Yield what became of every test, what the crashes cost, and how a peer does."""
    with tempfile.TemporaryDirectory(prefix="testd-crashes-") as folder:
        project = Path(folder)
        _write(project)
        found = environment_only(SUITE, context.root, project)
        options = ["--format", "json", "--timeout", f"{TIMEOUT:g}"]
        with context.house(found) as house:
            calm = warm(house, context.testd, found, options=[*options, "-k", "quiet"], name="testd, without")
            wild = warm(house, context.testd, found, options=options)
            run(calm)
            without, with_them = run(calm), run(wild)
        yield _completeness(with_them)
        yield from _causes(with_them)
        yield _cost(without, with_them)
        yield _peer(found)


def _write(project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\n")
    (project / "testd.toml").write_text('memory_limit = "512MiB"\n')
    names = [f"test_quiet_{number}" for number in range(QUIET)]
    hostile = HOSTILE.strip().split("\n\n")
    heading, attacks = hostile[0], hostile[1:]
    step = QUIET // len(attacks)
    for number, attack in enumerate(attacks):
        share = names[number * step : (number + 1) * step if number < len(attacks) - 1 else None]
        quiet = [f"def {name}():\n    assert True" for name in share]
        body = [*quiet[: len(quiet) // 2], attack, *quiet[len(quiet) // 2 :]]
        (project / f"test_part_{number}.py").write_text("\n\n".join([heading, *body]) + "\n")


def _outcomes(sample: Sample) -> list[dict[str, Any]]:
    events = (json.loads(line) for line in sample.output.splitlines() if line.startswith("{"))
    return [event for event in events if event["event"] == "outcome"]


def _completeness(sample: Sample) -> Row:
    quiet = [outcome for outcome in _outcomes(sample) if "test_quiet" in outcome["test"]]
    once = len({outcome["test"] for outcome in quiet}) == len(quiet) == QUIET
    verdicts = Counter(outcome["verdict"] for outcome in quiet)
    met = once and verdicts["passed"] == QUIET
    value = f"{len(quiet)} reported, {verdicts['passed']} passed"
    return Row(scenario="B7", case="the other tests", what="testd", value=value, goal=f"{QUIET} once, passed", met=met)


def _causes(sample: Sample) -> Iterator[Row]:
    found = {outcome["test"].rpartition("::")[2]: outcome for outcome in _outcomes(sample)}
    for name, (verdict, word) in EXPECTED.items():
        outcome = found.get(name, {"verdict": "not reported", "detail": None})
        said = (outcome["detail"] or {}).get("message", "")
        met = outcome["verdict"] == verdict and word in said
        yield Row(
            scenario="B7",
            case=name,
            what="testd",
            value=outcome["verdict"],
            goal=f"{verdict} {word}".strip(),
            met=met,
            note=said,
        )


def _cost(without: Sample, with_them: Sample) -> Row:
    crashes = len(EXPECTED) - 1
    each = (with_them.wall - without.wall - TIMEOUT) / crashes
    return Row(
        scenario="B7",
        case="cost of a crash",
        what="testd",
        value=f"{each:.2f} s",
        goal=f"≤ {PER_CRASH:g} s",
        met=each <= PER_CRASH,
        note=f"{without.wall:.2f} s without them, {with_them.wall:.2f} s with; the timeout deducted",
    )


def _peer(found: Prepared) -> Row:
    """xdist has neither a timeout nor a memory limit: it gets the crashes only, and a minute."""
    contender: Contender = xdist(found, ["-k", "not memory and not endless"])
    try:
        sample = run(replace(contender, exit_codes=frozenset(range(6))), PEER_DEADLINE)
    except MeasureError as error:
        return Row(scenario="B7", case="crashes only", what=contender.name, value="-", note=str(error).splitlines()[0])
    last = sample.output.rstrip().splitlines()[-1]
    return Row(scenario="B7", case="crashes only", what=contender.name, value=f"{sample.wall:.2f} s", note=last)
