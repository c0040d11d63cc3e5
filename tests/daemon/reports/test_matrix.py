"""The verdicts of several targets in one number a test: what differs, where, and at what price."""

from __future__ import annotations

import itertools
import tracemalloc

import pytest

from testd_daemon.reports.base import BAD, VERDICTS
from testd_daemon.reports.matrix import Matrix, listed

TARGETS = ["py3.8", "py3.9", "py3.13", "node22", "box"]


def matrix(**tests):
    """Make a matrix of `name="PFs--"`: a letter for each target."""
    verdicts = {"P": "passed", "F": "failed", "C": "crashed", "T": "timed out", "s": "skipped", "c": "cancelled"}
    made = Matrix()
    for name, marks in tests.items():
        for target, mark in zip(TARGETS, marks, strict=True):
            if mark in verdicts:
                made.add([(name, target, verdicts[mark])])
    return made


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ("PFPPF", "fails only on py3.9 and box"),
        ("FPPPP", "fails only on py3.8"),
        ("FFFFF", "fails on all 5 targets"),
        ("FFFFP", "fails everywhere but on box"),
        ("FFFPP", "fails everywhere but on node22 and box"),
        ("FFFsP", "fails only on py3.8, py3.9 and py3.13"),
        ("FFFF-", "fails on all 4 that ran it"),
        ("sFss-", "fails on py3.9, the only one that ran it"),
        ("PCPPC", "crashes only on py3.9 and box"),
        ("PTPPP", "times out only on py3.9"),
        ("PTPPC", "fails only on py3.9 and box"),
    ],
)
def test_where_a_test_fails(marks, said):
    (pattern,) = matrix(test=marks).bad(TARGETS)
    assert f"{pattern.verb(1)} {pattern.where()}" == said


def test_tests_that_fail_on_the_same_targets_are_together_and_the_rarest_failures_first():
    made = matrix(a="FFFFF", b="PPPFP", c="PPPFP", d="PPPPP", e="FPPPF")
    assert [(pattern.tests, pattern.bad) for pattern in made.bad(TARGETS)] == [
        (["b", "c"], ["node22"]),
        (["e"], ["py3.8", "box"]),
        (["a"], TARGETS),
    ]
    assert len(made) == 5


def test_columns_are_in_the_order_that_was_asked_for():
    (pattern,) = matrix(a="FPPPs").bad(list(reversed(TARGETS)))
    assert pattern.verdicts == ("skipped", "passed", "passed", "passed", "failed")


def test_what_is_skipped_or_missing_on_some_targets_only():
    made = matrix(a="sPPPP", b="PPPP-", c="sssss", d="PPPPc", e="PPPPP", f="sPPPF")
    assert sorted(test for pattern in made.unequal(TARGETS) for test in pattern.tests) == ["a", "b"]


def test_a_target_without_any_outcome_makes_no_difference():
    made = matrix(a="PPPP-", b="PPPP-")
    assert made.unequal(TARGETS) == made.bad(TARGETS) == []
    assert made.ran() == TARGETS[:4]


def test_of_two_verdicts_on_a_test_the_worse_stays():
    for first, second in itertools.permutations(VERDICTS, 2):
        made = Matrix()
        for verdict in (first, second):
            made.add([("a", "x", verdict)])
        expected = min(first, second, key=VERDICTS.index)
        assert [pattern.verdicts for pattern in made.bad(["x"])] == ([(expected,)] if expected in BAD else [])


def test_a_verdict_of_a_later_version_is_kept_apart():
    made = Matrix()
    made.add([("a", "x", "exploded")])
    made.add([("a", "y", "passed")])
    assert [pattern.verdicts for pattern in made.unequal(["x", "y"])] == [("other", "passed")]


@pytest.mark.parametrize("count", [2, 12, 40])
def test_any_number_of_targets_has_room(count):
    targets = [f"t{number}" for number in range(count)]
    made = Matrix()
    for target in targets:
        made.add([("a", target, "failed" if target == targets[-1] else "passed")])
    (pattern,) = made.bad(targets)
    assert pattern.bad == [targets[-1]]


def test_outcomes_that_agree_cost_no_object_each():
    """62,000 tests on five targets were 310,000 rows; what is kept is a name and an entry for each test."""
    tests = 20_000
    tracemalloc.start()
    try:
        made = Matrix()
        for target, number in itertools.product(TARGETS, range(tests)):
            made.add([(f"tests/test_{number}.py", target, "passed" if number % 7 else "skipped")])
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(made) == tests
    assert kept / tests < 250


def test_names_as_a_sentence_says_them():
    assert listed(["a"]) == "a"
    assert listed(["a", "b"]) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcdef")) == "6 targets"
