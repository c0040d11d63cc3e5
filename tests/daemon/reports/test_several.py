"""The text report of a run on several targets: each failure once, each result as it is there, a matrix."""
# ruff: noqa: RUF001 - the report says how many tests x targets with the real sign

from __future__ import annotations

import pytest
from report_events import (
    completed,
    detail,
    feed,
    notice,
    outcomes,
    output,
    planned,
    preparing,
    row,
    started,
    target,
    terminal,
    text_of,
    unavailable,
)

from testd_daemon.reports.place import Place
from testd_daemon.reports.text import SAY_EVERY, TextReport, TextSettings

FIVE = ["py3.9", "py3.11", "py3.13", "node22", "box"]
TWELVE = [f"py3.{minor}" for minor in range(8, 14)] + ["node18", "node20", "node22", "box", "build1", "build2"]
TEST = "tests/test_a.py::test_x"


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def run(*bodies, out=None, width=80, **settings):
    out = out or terminal(width=width)
    report = TextReport(out, terminal(), TextSettings(Place("/w", "/w"), **settings), Clock())
    feed(report, *bodies)
    return text_of(out)


def ready(*names, **facts):
    return [target(name, **facts) for name in names]


def failed(test=TEST, on="py3.9", message="assert 1 == 2", verdict="failed"):
    return row(test, verdict, info=detail(message=message), target=on)


def begin(names, tests):
    """Give the events of a run on `names`, each with so many tests, up to the first outcome."""
    return [planned(targets=dict.fromkeys(names)), *ready(*names), planned(targets=dict.fromkeys(names, tests))]


def passed(names, tests=(TEST,)):
    return outcomes(*[row(test, target=name) for test in tests for name in names])


def test_a_run_that_passes_is_a_line_for_each_target_and_one_for_all():
    said = run(
        *begin(FIVE[:2], 2), passed(["py3.11"], ["a", "b"]), passed(["py3.9"], ["a", "b"]), completed(0, {"passed": 4})
    )
    assert said.splitlines() == [
        "py3.11  2 passed (warm)",
        "py3.9   2 passed (warm)",
        "2 tests × 2 targets: 4 passed in 1.23 s (warm)",
    ]


def test_the_result_of_a_target_is_there_before_the_others_are_done():
    said = run(*begin(FIVE, 1), passed(["py3.13"]))
    assert said == "py3.13  1 passed (warm)\n"


def test_each_target_says_why_it_was_cold():
    said = run(
        planned(targets={"a": 1, "b": 1}),
        target("a"),
        target("b", warm=False, reason="cold: first run"),
        passed(["a", "b"]),
        completed(0, {"passed": 2}),
    )
    assert "b  1 passed (cold: first run)\n" in said
    assert said.endswith("1 test × 2 targets: 2 passed in 1.23 s (cold on b)\n")


def test_what_fails_on_one_target_only():
    said = run(
        *begin(FIVE, 1),
        outcomes(failed(on="py3.9"), *[row(target=name) for name in FIVE[1:]]),
        completed(1, {"failed": 1, "passed": 4}),
    )
    assert said.splitlines() == [
        "── FAILED tests/test_a.py::test_x [py3.9] ─────────────────────────────── 0.01 s",
        "assert 1 == 2",
        "again: testd run --target py3.9 tests/test_a.py::test_x",
        "",
        "py3.9   1 failed (warm)",
        "py3.11  1 passed (warm)",
        "py3.13  1 passed (warm)",
        "node22  1 passed (warm)",
        "box     1 passed (warm)",
        "",
        "py3.9  py3.11  py3.13  node22  box",
        "  F      ·       ·       ·      ·   1 test fails only on py3.9",
        "    FAILED tests/test_a.py::test_x - assert 1 == 2",
        "· passed  F failed",
        "",
        "1 test × 5 targets: 1 failed, 4 passed in 1.23 s (warm); fails only on py3.9: tests/test_a.py::test_x",
    ]


def test_the_same_failure_is_told_once_with_the_targets_that_have_it():
    rows = [failed(on="py3.9"), failed(on="py3.13"), *[row(target=name) for name in ("py3.11", "node22", "box")]]
    said = run(*begin(FIVE, 1), outcomes(*rows), completed(1, {"failed": 2, "passed": 3}))
    assert said.count("again: ") == 1
    assert "── FAILED tests/test_a.py::test_x [py3.9 and py3.13 (2 of 5 targets)] ─" in said
    assert said.splitlines()[-1].endswith("; fails only on py3.9 and py3.13: tests/test_a.py::test_x")


def test_a_failure_that_comes_again_is_in_its_targets_result():
    events = [*begin(FIVE[:2], 1), outcomes(failed(on="py3.9")), outcomes(failed(on="py3.11"))]
    end = completed(1, {"failed": 2})
    said = run(*events, end)
    assert said.count("again: ") == 1
    assert "py3.11  1 failed (warm) - 1 failure as above\n" in said
    assert "  F      F     1 test fails on all 2 targets\n" in said
    told = run(*events, end, verbosity=1)
    assert "FAILED tests/test_a.py::test_x [py3.11]: the same as on py3.9 (2 of 2 targets)\n" in told
    assert run(*events, end, verbosity=2).count("again: ") == 2


def test_different_failures_of_a_test_are_told_both():
    said = run(
        *begin(FIVE[:2], 1),
        outcomes(failed(on="py3.9"), failed(on="py3.11", message="assert 1 == 3")),
        completed(1, {"failed": 2}),
    )
    assert said.count("again: ") == 2
    assert "    FAILED tests/test_a.py::test_x [py3.9] - assert 1 == 2\n" in said
    assert "    FAILED tests/test_a.py::test_x [py3.11] - assert 1 == 3\n" in said


def test_a_failure_on_every_target_says_all():
    said = run(*begin(FIVE, 1), outcomes(*[failed(on=name) for name in FIVE]), completed(1, {"failed": 5}))
    assert "FAILED tests/test_a.py::test_x [all 5 targets]" in said


def test_twelve_targets_fit_into_80_columns():
    rows = [failed(on=name) if name in ("py3.9", "box") else row(target=name) for name in TWELVE]
    said = run(*begin(TWELVE, 1), outcomes(*rows), completed(1, {"failed": 2, "passed": 10})).splitlines()
    matrix = said[said.index("") + 1 :]
    matrix = matrix[matrix.index("") + 1 :]
    assert matrix[:6] == [
        "1 py3.8    2 py3.9    3 py3.10   4 py3.11   5 py3.12   6 py3.13   7 node18",
        "8 node20   9 node22   10 box     11 build1  12 build2",
        "1  2  3  4  5  6  7  8  9  10  11  12",
        "·  F  ·  ·  ·  ·  ·  ·  ·  F   ·   ·   1 test fails only on py3.9 and box",
        "    FAILED tests/test_a.py::test_x - assert 1 == 2",
        "· passed  F failed",
    ]


def test_a_stream_that_knows_no_box_drawing_gets_ascii():
    out = terminal()
    out.unicode = False
    said = run(*begin(FIVE, 1), outcomes(failed(), *[row(target=name) for name in FIVE[1:]]), completed(1), out=out)
    assert said.isascii()
    assert "  F      .       .       .      .   1 test fails only on py3.9\n" in said
    assert "1 test x 5 targets: " in said


def test_a_target_that_is_not_usable_does_not_hide_the_rest():
    gone = unavailable("box", "docker: the image p:9 was not found", "docker pull p:9", "manifest unknown\n")
    said = run(*begin(["py3.9"], 1), gone, passed(["py3.9"]), completed(0, {"passed": 1}))
    assert said.splitlines() == [
        "unavailable: box: docker: the image p:9 was not found",
        "    docker pull p:9",
        "    manifest unknown",
        "py3.9  1 passed (warm)",
        "box    unavailable",
        "1 test × 1 of 2 targets: 1 passed in 1.23 s (warm)",
    ]


def test_a_target_that_is_required_says_so_and_one_that_went_away_keeps_its_counts():
    said = run(
        *begin(["py3.9", "box"], 2),
        passed(["box"], ["a"]),
        unavailable("box", "the container is gone", required=True),
        passed(["py3.9"], ["a", "b"]),
        completed(1, {"passed": 3}),
    )
    assert said.splitlines() == [
        "unavailable: box (required): the container is gone",
        "py3.9  2 passed (warm)",
        "box    1 passed, then unavailable (warm)",
        "1 test is skipped or missing on some targets only (-v names them)",
        "2 tests × 2 targets: 3 passed in 1.23 s (warm)",
    ]


def test_the_only_target_of_a_run_can_be_unavailable_too():
    out, err = terminal(), terminal()
    report = TextReport(out, err, TextSettings(Place("/w", "/w")), Clock())
    feed(report, unavailable(required=True), completed(4, reason="no target is usable"))
    assert text_of(out) == "unavailable: box (required): docker: no image\n"
    assert text_of(err) == "testd: no target is usable\n"


def test_a_run_that_was_cut_short_says_how_far_each_target_was():
    said = run(*begin(["a", "b"], 3), passed(["a"]), completed(2, {"passed": 1}, reason="cancelled"))
    assert said.splitlines() == [
        "a  1 passed of 3 (warm)",
        "b  nothing of 3 (warm)",
        "cancelled",
        "1 test × 1 of 2 targets: 1 passed in 1.23 s (warm)",
    ]


def test_several_ways_to_fail_are_summed_up():
    marks = {"a": "FPPPP", "b": "FPPPP", "c": "PPPPF", "d": "PPFFP", "e": "FFFFF", "f": "FFFFP"}
    rows = [
        failed(test, name) if mark == "F" else row(test, target=name)
        for test, line in marks.items()
        for name, mark in zip(FIVE, line, strict=True)
    ]
    said = run(*begin(FIVE, 6), outcomes(*rows), completed(1, {"failed": 14, "passed": 16}))
    assert said.splitlines()[-1] == (
        "6 tests × 5 targets: 14 failed, 16 passed in 1.23 s (warm); "
        "2 fail only on py3.9, 1 only on box, 1 only on py3.13 and node22, 1 everywhere but on box, 1 elsewhere"
    )


def test_quiet_has_failures_and_one_line():
    rows = [failed(on="py3.9"), *[row(target=name) for name in FIVE[1:4]]]
    said = run(
        *begin(FIVE, 1),
        unavailable(hint="Pull it.", detail="more"),
        outcomes(*rows),
        completed(1, {"failed": 1, "passed": 3}),
        verbosity=-1,
    )
    assert said.splitlines()[0] == "unavailable: box: docker: no image"
    assert said.splitlines()[-3:] == [
        "again: testd run --target py3.9 tests/test_a.py::test_x",
        "",
        "1 test × 4 of 5 targets: 1 failed, 3 passed in 1.23 s (warm); fails only on py3.9: tests/test_a.py::test_x",
    ]
    assert "Pull it" not in said
    assert "passed (warm)" not in said


def test_verbose_names_each_test_with_its_target_and_what_is_not_equal():
    rows = [row(target="a"), row("t.py::s", "skipped", info=detail(message="old"), target="a"), row(target="b")]
    rows.append(row("t.py::s", target="b"))
    end = completed(0, {"passed": 3, "skipped": 1})
    said = run(*begin(["a", "b"], 2), outcomes(*rows), end, verbosity=1).splitlines()
    assert "a: warm: 3 tests kept (Python 3.11.7, pytest 9.0.1, mode worker, 1 worker)" in said
    assert "skipped     0.01 s  t.py::s [a] (old)" in said
    assert said[-6:-1] == [
        "a  b",
        "s  ·  1 test differs",
        "    t.py::s",
        "· passed  s skipped",
        "",
    ]
    quiet = run(*begin(["a", "b"], 2), outcomes(*rows), end).splitlines()
    assert quiet[-2] == "1 test is skipped or missing on some targets only (-v names them)"


def test_more_failures_than_are_named_are_counted():
    tests = [f"t.py::test_{number}" for number in range(130)]
    rows = [failed(test, name) for test in tests for name in ("a", "b")]
    said = run(*begin(["a", "b"], 130), outcomes(*rows), completed(1, {"failed": 260})).splitlines()
    assert sum(line.startswith("    FAILED") for line in said) == 100
    assert "    and 30 more; `testd run --last-failed` runs all of them again" in said


def test_ways_to_differ_without_end_are_counted():
    ways = [[name for bit, name in enumerate(TWELVE) if number >> bit & 1] for number in range(1, 61)]
    rows = [
        failed(f"t{number}.py::test", name) if name in way else row(f"t{number}.py::test", target=name)
        for number, way in enumerate(ways)
        for name in TWELVE
    ]
    said = run(*begin(TWELVE, 60), outcomes(*rows), completed(1, {"failed": 1})).splitlines()
    assert sum("1 test fails" in line for line in said) == 30
    assert "and 30 tests more, in 30 other ways" in said


def test_a_leak_is_told_once():
    info = detail(kind=None, leaks=["thread T"])
    rows = [row("t.py::test", info=info, target=name) for name in ("a", "b")]
    said = run(*begin(["a", "b"], 1), outcomes(*rows), completed(0, {"passed": 2}))
    assert said.count("LEAK") == 1
    assert "LEAK t.py::test [a]: thread T\n" in said


def test_notices_and_output_name_their_target():
    said = run(
        *begin(["a", "b"], 1), notice(text="fork is off", target="b"), output("hi\n", 1, target="a"), completed()
    )
    assert "warning: b: fork is off\n" in said
    assert "a 1 │ hi\n" in said


@pytest.mark.parametrize("known", [True, False])
def test_a_run_that_is_followed_from_a_later_event_on_still_tells_targets_apart(known):
    """With `--after` neither `TargetReady` nor the plan may come again."""
    early = [outcomes(failed("t.py::early", "a"))]
    late = [outcomes(failed("t.py::late", "b"), row("t.py::early", target="b"))]
    said = run(*(ready("a") if known else []), *early, *late, completed(1, {"failed": 2, "passed": 1}))
    assert "FAILED t.py::late [b]" in said
    assert "a  1 failed" in said
    assert said.splitlines()[-3:] == [
        "FAILED t.py::early [a] - assert 1 == 2",
        "FAILED t.py::late [b] - assert 1 == 2",
        f"2 targets: 2 failed, 1 passed in 1.23 s{' (warm)' if known else ''}",
    ]


def test_without_a_terminal_a_long_run_says_where_the_others_are():
    out, clock = terminal(), Clock()
    report = TextReport(out, terminal(), TextSettings(Place("/w", "/w")), clock)
    report.accepted("r1")
    bodies = [
        planned(targets={"a": None, "b": None, "c": None, "d": None}),
        target("a"),
        notice("info", "b: installing pytest", target="b"),
        unavailable("c", "no such host"),
        preparing("5 of 1,200 files", target="d", done=5, total=1200),
        preparing("400 of 1,200 files", target="d", done=400, total=1200),
        planned(targets={"a": 4, "b": None, "c": None, "d": None}),
        passed(["a"]),
        started(seconds=2.0, target="a"),
    ]
    for seq, body in enumerate(bodies, 1):
        report.event("r1", seq, body)
    clock.now += SAY_EVERY
    report.tick()
    assert text_of(out).splitlines()[-1] == (
        "1 of 4 tests (25 %), 20.0 s; a: 1/4, b: installing pytest, c: unavailable: no such host, "
        "d: 400 of 1,200 files; running: tests/test_a.py::test_slow [a] (22.0 s)"
    )


def test_what_targets_say_cannot_move_the_cursor():
    said = run(
        *begin(["a", "b"], 1),
        unavailable("b", "\x1b[2Jgone\nreally", "\x1b[1A", "\x9b31m"),
        outcomes(failed(message="\x1b[2Jx", on="a")),
        completed(1),
    )
    assert "\x1b" not in said
    assert "\x9b" not in said
    assert "unavailable: b: ^[[2Jgone\\nreally" in said or "unavailable: b: gone\\nreally" in said
