"""What a run said about each test, and how two runs differ.

Part of the comparison (`fidelity.py`), pure: no input, no output. Standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = [
    "Difference",
    "FidelityError",
    "Verdicts",
    "compare",
    "differing",
    "flaky",
    "moving",
    "outcomes",
    "settle",
    "shape",
]

#: What a run said: the verdicts under each id. More than one where the framework gave two tests the same id.
Verdicts = dict[str, list[str]]


class FidelityError(Exception):
    """A side gave no verdicts at all: which one, how it was called, what it printed."""


@dataclass(frozen=True, order=True)
class Difference:
    """One test on which the two sides differ. An empty side did not have the test."""

    test: str
    pytest: str
    testd: str

    def __str__(self) -> str:
        return f"{self.test}: pytest {self.pytest or 'does not have it'}, testd {self.testd or 'does not have it'}"


def compare(plain: Verdicts, ours: Verdicts, leave_out: Iterable[str] = ()) -> list[Difference]:
    """Return every difference between two sides, sorted by test."""
    skip = set(leave_out)
    found = []
    for test in sorted((plain.keys() | ours.keys()) - skip):
        left, right = sorted(plain.get(test, [])), sorted(ours.get(test, []))
        if left != right:
            found.append(Difference(test, ", ".join(left), ", ".join(right)))
    return found


def differing(left: Verdicts, right: Verdicts) -> set[str]:
    """Return the tests that both sides have, with verdicts that differ."""
    return {test for test in left.keys() & right.keys() if sorted(left[test]) != sorted(right[test])}


def outcomes(lines: Iterable[str]) -> Verdicts:
    """Read the verdicts from what `testd run --format json` printed. Raises FidelityError unless the run completed."""
    found: Verdicts = {}
    completed = False
    for line in lines:
        event = json.loads(line)
        if event["event"] == "outcome":
            found.setdefault(event["test"], []).append(event["verdict"])
        completed = completed or event["event"] == "completed"
    if not completed:
        raise FidelityError("testd's events end without the completion of the run")
    return found


def flaky(runs: Sequence[Verdicts]) -> set[str]:
    """Return the tests that several runs of the same side all have, with verdicts that do not agree."""
    tests = {test for test in runs[0] if all(test in run for run in runs)}
    return {test for test in tests if any(run[test] != runs[0][test] for run in runs[1:])}


def moving(runs: Sequence[Verdicts]) -> set[str]:
    """Return the shapes of the ids that only some runs of the same side have (the time of day is a parameter)."""
    tests = {test for run in runs for test in run}
    return {shape(test) for test in tests if any(test not in run for run in runs)}


def shape(test: str) -> str:
    """Return an id with each number replaced by a zero."""
    return re.sub(r"\d+", "0", test)


def settle(found: Verdicts, shapes: set[str]) -> Verdicts:
    """Return the verdicts with the ids of these shapes under their shape: they are compared as a group."""
    settled: Verdicts = {}
    for test, verdicts in found.items():
        key = shape(test) if shape(test) in shapes else test
        settled.setdefault(key, []).extend(verdicts)
    return settled
