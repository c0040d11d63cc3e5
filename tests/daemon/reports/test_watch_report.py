"""What a watch says, line by line, and what a client knows of it."""

from __future__ import annotations

import pytest
from report_events import (
    completed,
    detail,
    generation,
    notice,
    outcomes,
    planned,
    row,
    standing,
    target,
    terminal,
    text_of,
)

from testd_daemon.reports.headline import headline, why
from testd_daemon.reports.place import Place
from testd_daemon.reports.text import TextReport, TextSettings
from testd_daemon.reports.watch import WatchReport
from testd_daemon.reports.watched import KEPT, Watched

A, B, C = (f"tests/test_a.py::test_{name}" for name in "abc")
CROSS = "\N{MULTIPLICATION SIGN}"
NO = detail(message="no", text="E  no")


def fails(test, target="py3.11"):
    return [test, target, "failed", "no"]


def told(*bodies, verbosity=0):
    """Give the lines of a watch, and what is known at its end."""
    out, watched = terminal(), Watched()
    settings = TextSettings(Place("/w", "/w"), verbosity=verbosity)
    report = WatchReport(out, watched, lambda: TextReport(out, out, settings), quiet=verbosity < 0)
    report.accepted("r1")
    for seq, body in enumerate(bodies, 1):
        watched.event(body)
        report.event("r1", seq, body)
        report.tick()
    report.close()
    return text_of(out).splitlines(), watched


def first(*bad):
    counts = {"passed": 3 - len(bad), "failed": len(bad)}
    rows = [row(test, "failed" if test in bad else "passed", info=NO if test in bad else None) for test in (A, B, C)]
    yield from (generation(), target(), planned(3), outcomes(*rows))
    yield from (standing(3, counts, [fails(test) for test in bad]), completed(int(bool(bad)), counts, generation=1))


def second(*rows, failing=(), cause="change", **more):
    counts = {}
    for each in rows:
        counts[each[2]] = counts.get(each[2], 0) + 1
    standings = {"passed": 3 - len(failing), "failed": len(failing)}
    yield from (generation(2, cause, ["src/a.py"]), target(), planned(len(rows)), outcomes(*rows))
    yield standing(3, standings, [fails(test) for test in failing], number=2)
    yield completed(0, counts, generation=2, **more)


def test_all_that_ran_is_all_that_is_said():
    lines, watched = told(*first())
    assert lines == ["first run: 3 tests", "3 passed in 1.23 s (warm)"]
    assert (watched.exit_code, watched.waits) == (0, True)


def test_what_fails_and_did_not_run_is_named_and_counted():
    lines, watched = told(*first(A, B), *second(row(C), row(A), failing=[B]))
    assert lines[lines.index("src/a.py changed: 2 of 3 tests affected") :] == [
        "src/a.py changed: 2 of 3 tests affected",
        "still failing, not run this time:",
        f"  FAILED {B} - no",
        "1 failed, 2 passed; 2 ran in 1.23 s (warm)",
    ]
    assert (watched.exit_code, list(watched.failing)) == (1, [(B, "py3.11")])


def test_nothing_affected():
    lines, _ = told(*first(A), *second(failing=[A]))
    assert lines[-4:] == [
        "src/a.py changed: no test affected",
        "still failing, not run this time:",
        f"  FAILED {A} - no",
        "1 failed, 2 passed; none ran",
    ]


def test_quietly_it_is_only_counted():
    lines, _ = told(*first(A), *second(failing=[A]), verbosity=-1)
    assert lines[-2:] == ["src/a.py changed: no test affected", "1 failed, 2 passed; none ran"]


def test_a_failure_that_ran_again_is_told_once():
    lines, _ = told(*first(A), *second(row(A, "failed", info=NO), failing=[A]))
    assert "still failing, not run this time:" not in lines
    assert lines[-1] == "1 failed, 2 passed; 1 ran in 1.23 s (warm)"


def test_the_headline_comes_before_what_is_said_below_it():
    """Without a plan, as where the configuration is wrong, and where a notice comes before it."""
    lines, watched = told(
        generation(2, "change", ["pyproject.toml"]),
        notice("warning", "the disk is slow"),
        completed(4, reason="pyproject.toml:3: unknown key", generation=2),
    )
    assert lines == ["pyproject.toml changed", "warning: the disk is slow", "testd: pyproject.toml:3: unknown key"]
    assert watched.exit_code == 4


def test_on_several_targets_the_plan_is_waited_for_and_the_matrix_told():
    lines, _ = told(
        generation(),
        planned(targets={"py3.9": None, "py3.13": None}),
        target("py3.9"),
        planned(targets={"py3.9": 1, "py3.13": 1}),
        target("py3.13"),
        outcomes(row(A, target="py3.9"), row(A, "failed", info=NO, target="py3.13")),
        standing(2, {"passed": 1, "failed": 1}, [fails(A, "py3.13")]),
        completed(1, {"passed": 1, "failed": 1}, generation=1),
        generation(2, "change", ["src/b.py"]),
        planned(targets={"py3.9": 1, "py3.13": 0}),
        target("py3.9"),
        target("py3.13"),
        outcomes(row(B, target="py3.9")),
        standing(3, {"passed": 2, "failed": 1}, [fails(A, "py3.13")], number=2),
        completed(0, {"passed": 1}, generation=2),
    )
    assert lines[0] == "first run: 2 tests"
    assert "py3.9  py3.13" in lines
    assert f"1 test {CROSS} 2 targets: 1 failed, 1 passed in 1.23 s (warm); fails only on py3.13: {A}" in lines
    at = lines.index("src/b.py changed: 1 of 2 tests affected")
    assert lines[at + 1 :] == [
        "py3.13  no tests ran",
        "py3.9   1 passed (warm)",
        "still failing, not run this time:",
        f"  FAILED {A} [py3.13] - no",
        f"1 failed, 2 passed; 1 test {CROSS} 1 of 2 targets ran in 1.23 s (warm)",
    ]


def test_what_was_superseded_is_no_result_and_stays_known():
    superseded = completed(1, {"failed": 1}, reason="superseded: src/a.py changed", generation=2)
    lines, watched = told(
        *first(), generation(2, "change", ["src/a.py"]), planned(2), outcomes(row(A, "failed", info=NO)),
        standing(3, {"passed": 2, "failed": 1}, [fails(A)], number=2), superseded,
    )  # fmt: skip
    assert lines[-1] == "superseded: src/a.py changed"
    assert watched.exit_code == 0
    assert list(watched.failing) == [(A, "py3.11")]
    assert watched.detail((A, "py3.11"))[6] == NO


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (completed(1, reason="cancelled by `testd cancel`"), ["cancelled by `testd cancel`"]),
        (completed(4, reason="/w is gone", hint="make it again"), ["testd: /w is gone", "make it again"]),
    ],
)
def test_the_end_of_a_watch_says_why(end, said):
    lines, _ = told(*first(A), end)
    assert lines[-len(said) :] == said
    assert lines[-len(said) - 1] == "1 failed, 2 passed in 1.23 s (warm)"


def test_plain_generations_are_apart():
    lines, _ = told(*first(), *second(row(A)))
    assert lines[2] == ""


@pytest.mark.parametrize(
    ("cause", "changed", "more", "said"),
    [
        ("change", ["a.py"], 0, "a.py changed"),
        ("change", ["a.py", "b.py"], 0, "a.py and b.py changed"),
        ("change", ["a.py", "b.py", "c.py"], 0, "a.py, b.py and c.py changed"),
        ("change", ["a.py", "b.py", "c.py", "d.py"], 0, "a.py, b.py and 2 more files changed"),
        ("change", ["a.py", "b.py"], 1, "a.py, b.py and 1 more file changed"),
        ("change", [f"{n}.py" for n in range(20)], 480, "0.py, 1.py and 498 more files changed"),
        ("change", [], 0, "files changed"),
        ("change", ["a\x1b[2J.py"], 0, "a^[[2J.py changed"),
        ("start", [], 0, "first run"),
        ("failed", ["a.py"], 0, "what failed"),
        ("something new", [], 0, "something new"),
    ],
)
def test_why_there_is_a_generation(cause, changed, more, said):
    assert why(generation(2, cause, changed, more)) == said


@pytest.mark.parametrize(
    ("cause", "plan", "total", "said"),
    [
        ("change", 18, 2459, "a.py changed: 18 of 2,459 tests affected"),
        ("change", 1, 1, "a.py changed: 1 of 1 test affected"),
        ("change", 3, 2, "a.py changed: 3 tests affected"),
        ("change", None, 2459, "a.py changed"),
        ("change", 0, 2459, "a.py changed: no test affected"),
        ("all", 2459, 2459, "all tests: 2,459 tests"),
        ("failed", 2, 2459, "what failed: 2 of 2,459 tests"),
        ("failed", 0, 2459, "what failed: nothing to run"),
        ("start", 1, 0, "first run: 1 test"),
    ],
)
def test_the_headline(cause, plan, total, said):
    assert headline(generation(2, cause, ["a.py"]), plan, total) == said


def test_a_failure_is_known_until_the_test_passes():
    watched = Watched()
    for body in first(A):
        watched.event(body)
    watched.event(outcomes(row(A, "cancelled")))
    assert list(watched.failing) == [(A, "py3.11")]
    watched.event(outcomes(row(A, "failed", target="py3.13", info=detail(message="new"))))
    watched.event(outcomes(row(A, "skipped")))
    assert watched.failing == {(A, "py3.13"): ("failed", "new")}
    assert watched.detail((A, "py3.11")) is None


def test_more_failures_than_are_listed_stay_known():
    watched = Watched()
    watched.event(outcomes(*(row(f"t.py::test_{n}", "failed", info=NO) for n in range(150))))
    watched.event(standing(150, failing=[fails(f"t.py::test_{n}") for n in range(100)], more=50))
    assert len(watched.failing) == 150
    watched.event(standing(150, failing=[fails("t.py::test_1")]))
    assert list(watched.failing) == [("t.py::test_1", "py3.11")]


def test_details_have_an_end_in_memory():
    watched = Watched()
    for n in range(6):
        watched.event(outcomes(row(f"t.py::test_{n}", "failed", info=detail(text="x" * (KEPT // 4)))))
    kept = [watched.detail((f"t.py::test_{n}", "py3.11")) is not None for n in range(6)]
    assert kept == [False, False, True, True, True, True]
    for n in range(6):
        watched.event(outcomes(row(f"t.py::test_{n}")))
    watched.event(outcomes(row(A, "failed", info=detail(text="x" * KEPT))))
    assert watched.detail((A, "py3.11")) is not None
