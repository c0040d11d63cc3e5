"""The text report, line by line: what a developer reads."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys

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
)

from testd_daemon.reports.place import Place
from testd_daemon.reports.text import SAY_EVERY, TextReport, TextSettings


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def report(out=None, err=None, *, clock=None, cwd="/w", **settings):
    return TextReport(
        out or terminal(), err or terminal(), TextSettings(Place("/w", cwd), **settings), clock or Clock()
    )


def run(*bodies, out=None, err=None, **settings):
    out = out or terminal()
    feed(report(out, err, **settings), *bodies)
    return text_of(out)


def test_a_run_that_passes_is_one_line():
    said = run(target(), planned(2), outcomes(row(), row("tests/test_a.py::test_y")), completed(counts={"passed": 2}))
    assert said == "2 passed in 1.23 s (warm)\n"


LOADED = """
import sys
from report_events import completed, feed, outcomes, planned, row, target, terminal
from testd_daemon.reports.place import Place
from testd_daemon.reports.text import TextReport, TextSettings
skipped = row("t.py::s", "skipped", info={"message": "no"})
made = TextReport(terminal(), terminal(), TextSettings(Place("/w", "/w")))
feed(made, target(), planned(2), outcomes(row(), skipped), completed(counts={"passed": 1}))
print(*sorted(name.rpartition(".")[2] for name in sys.modules if name.startswith("testd_daemon.reports.")))
"""


def test_a_run_that_passes_on_one_target_loads_nothing_that_it_does_not_need():
    paths = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", LOADED],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["base", "place", "progress", "safe", "terminal", "text", "words"]


def test_the_summary_names_verdicts_in_order_and_why_it_was_cold():
    counts = {"skipped": 2, "passed": 1200, "failed": 3, "error": 1, "timed out": 1, "xfailed": 4}
    said = run(target(warm=False, reason="cold: first run"), planned(1), completed(1, counts))
    assert said == "3 failed, 1 error, 1 timed out, 1200 passed, 2 skipped, 4 xfailed in 1.23 s (cold: first run)\n"


def test_no_tests_and_deselected():
    assert run(target(), planned(0, deselected=7), completed(5)) == "no tests ran, 7 deselected in 1.23 s (warm)\n"


def test_a_failure_in_full():
    info = detail(
        message="assert 1 == 2",
        text="    def test_x():\n>       assert 1 == 2\nE       assert 1 == 2\n\ntests/test_a.py:2: AssertionError",
        sections=[{"name": "Captured stdout call", "text": "hello\n"}, {"name": "Captured log call", "text": ""}],
        leaks=["thread Thread-1 (work)"],
        stacks="Thread 1:\n  File x",
    )
    said = run(target(), planned(1), outcomes(row(verdict="failed", info=info)), completed(1, {"failed": 1}))
    lines = said.splitlines()
    assert lines[0].startswith("── FAILED tests/test_a.py::test_x ─")
    assert lines[0].endswith(" 0.01 s")
    assert len(lines[0]) == 80
    assert lines[1:] == [
        "    def test_x():",
        ">       assert 1 == 2",
        "E       assert 1 == 2",
        "",
        "tests/test_a.py:2: AssertionError",
        "── Captured stdout call ──",
        "hello",
        "── Left behind ──",
        "thread Thread-1 (work)",
        "── Stack of every thread ──",
        "Thread 1:",
        "  File x",
        "again: testd run tests/test_a.py::test_x",
        "",
        "1 failed in 1.23 s (warm)",
    ]


def test_a_crash_says_its_message_phase_and_memory():
    info = detail(
        kind="crash", phase="setup", message="killed by SIGSEGV", sections=[{"name": "stderr", "text": "boom"}]
    )
    said = run(outcomes(row(verdict="crashed", info=info, memory=34 * 1024)), completed(1, {"crashed": 1}))
    assert "CRASHED tests/test_a.py::test_x" in said
    assert "0.01 s, 34 MiB" in said
    assert said.startswith("── CRASHED tests/test_a.py::test_x, in setup ─")
    assert "MiB\nkilled by SIGSEGV\n── stderr ──\nboom\n" in said


def test_a_failure_without_a_detail_is_still_told():
    assert "no detail was reported" in run(outcomes(row(verdict="error")), completed(1, {"error": 1}))


def test_more_than_one_failure_is_named_again_at_the_end():
    rows = [row(f"t.py::test_{n}", "failed", info=detail(message=f"assert {n}\nmore")) for n in range(3)]
    said = run(target(), planned(3), outcomes(*rows), completed(1, {"failed": 3}))
    assert said.splitlines()[-4:-1] == [f"FAILED t.py::test_{n} - assert {n}" for n in range(3)]


def test_quiet_keeps_failures_and_one_line():
    rows = [row(f"t.py::test_{n}", "failed", info=detail(message=f"assert {n}")) for n in range(2)]
    said = run(target(), planned(2), notice(), outcomes(*rows), completed(1, {"failed": 2}), verbosity=-1)
    assert said.count("FAILED t.py::test_0") == 1
    assert "warning" not in said
    assert said.splitlines()[-1] == "2 failed in 1.23 s (warm)"


def test_verbose_shows_each_test_why_it_is_warm_and_reasons():
    rows = [
        row(),
        row("t.py::test_s", "skipped", info=detail(message="needs a moon")),
        row("t.py::test_y", "cancelled"),
    ]
    said = run(
        target(warm=False, reason="cold: t.py changed", jobs=2),
        planned(3),
        outcomes(*rows),
        completed(2, {}),
        verbosity=1,
    )
    assert said.splitlines()[:5] == [
        "run r1",
        "py3.11: cold: t.py changed (Python 3.11.7, pytest 9.0.1, mode worker, 2 workers)",
        "passed      0.01 s  tests/test_a.py::test_x",
        "skipped     0.01 s  t.py::test_s (needs a moon)",
        "cancelled   0.01 s  t.py::test_y",
    ]


@pytest.mark.parametrize(("level", "shown_from"), [("error", -1), ("warning", 0), ("info", 1), ("debug", 2)])
def test_notices_by_level(level, shown_from):
    for verbosity in (-1, 0, 1, 2):
        said = run(notice(level, "fork is off"), completed(), verbosity=verbosity)
        assert (f"{level}: fork is off\n" in said) is (verbosity >= shown_from)


def test_a_usage_error_goes_to_stderr_with_its_hint_and_no_summary():
    err = terminal()
    said = run(completed(4, reason="file or directory not found: x", hint="Did you mean y?", detail="a\nb"), err=err)
    assert said == ""
    assert text_of(err) == "testd: file or directory not found: x\nDid you mean y?\n    a\n    b\n"


def test_a_run_cut_short_says_why_and_still_sums_up():
    said = run(target(), planned(2), completed(2, {"passed": 1, "cancelled": 1}, reason="cancelled: interrupted"))
    assert said == "cancelled: interrupted\n1 passed, 1 cancelled in 1.23 s (warm)\n"


def test_an_internal_error_in_the_middle_keeps_the_summary():
    err = terminal()
    said = run(target(), planned(2), completed(3, {"passed": 1}, reason="the agent died 3 times"), err=err)
    assert "testd: the agent died 3 times" in text_of(err)
    assert said == "1 passed in 1.23 s (warm)\n"


def test_control_characters_are_shown_and_not_obeyed():
    info = detail(text="\x1b]0;title\x07 \x1b[2J\x1b[31mred\x1b[0m a\rb \x9b31m \u202e", message="x")
    said = run(outcomes(row("t.py::test_\x1b[2J", "failed", info=info)), completed(1, {"failed": 1}))
    assert "\x1b" not in said
    assert "\x07" not in said
    assert "\x9b" not in said
    assert "\u202e" not in said
    assert "^[]0;title^G ^[[2Jred a\nb \\x9b31m \\u202e" in said


def test_colours_of_a_test_stay_where_the_report_has_colours():
    info = detail(text="\x1b[31mred\x1b[0m", message="red")
    said = run(outcomes(row(verdict="failed", info=info)), completed(1, {"failed": 1}), out=terminal(colour=True))
    assert "\x1b[31mred\x1b[0m" in said
    assert "\x1b[1;31mFAILED tests/test_a.py::test_x\x1b[0m" in said


def test_a_stream_that_knows_no_box_drawing_gets_ascii():
    out = terminal()
    out.unicode = False
    info = detail(message="m", sections=[{"name": "Captured stdout call", "text": "x"}])
    said = run(outcomes(row(verdict="failed", info=info)), completed(1, {"failed": 1}), out=out)
    assert said.isascii()
    assert "-- Captured stdout call --" in said


@pytest.mark.parametrize(
    ("test", "cwd", "words"),
    [
        ("tests/test_x.py::test_y", "/w", ["testd", "run", "tests/test_x.py::test_y"]),
        ("tests/test_x.py::test_y[a b'c]", "/w", ["testd", "run", "tests/test_x.py::test_y[a b'c]"]),
        ("tests/test_x.py::test_y", "/w/tests", ["testd", "run", "test_x.py::test_y"]),
        ("tests/test_x.py::test_y", "/w/src/a", ["testd", "run", "../../tests/test_x.py::test_y"]),
        ("-odd.py::test_y", "/w", ["testd", "run", "--", "-odd.py::test_y"]),
        ("tests/test_x.py", "/w", ["testd", "run", "tests/test_x.py"]),
    ],
)
def test_the_command_to_run_a_test_again_survives_a_shell(test, cwd, words):
    assert shlex.split(Place("/w", cwd).again(test)) == words


def test_the_command_names_the_target_that_was_asked_for():
    said = run(outcomes(row(verdict="failed", info=detail(message="m"))), completed(1, {"failed": 1}), name_target=True)
    assert "again: testd run --target py3.11 tests/test_a.py::test_x\n" in said


def test_the_command_keeps_the_mode():
    info = detail(message="m")
    said = run(outcomes(row(verdict="failed", info=info)), completed(1, {"failed": 1}), again=["--mode", "bin"])
    assert "again: testd run --mode bin tests/test_a.py::test_x\n" in said


def test_output_of_one_worker_passes_as_it_is():
    said = run(
        target(), planned(1), output("a\rb\x1b[K"), output("c"), outcomes(row()), completed(counts={"passed": 1})
    )
    assert said == "a\rb\x1b[Kc\n1 passed in 1.23 s (warm)\n"


def test_output_of_several_workers_comes_in_whole_lines_with_a_prefix():
    said = run(
        target(jobs=2),
        planned(1),
        output("one ", 1),
        output("two\nthree", 2),
        output("more\n", 1),
        output("err\n", 1, "stderr"),
        completed(counts={"passed": 1}),
    )
    assert said == "2 │ two\n1 │ one more\n1 │ err\n2 │ three\n1 passed in 1.23 s (warm)\n"


def test_without_a_terminal_a_long_run_says_how_far_it_is():
    out, clock = terminal(), Clock()
    made = report(out, clock=clock)
    made.accepted("r1")
    made.event("r1", 1, target())
    made.event("r1", 2, planned(4, expected=40.0))
    made.event("r1", 3, outcomes(row()))
    made.event("r1", 4, started(seconds=2.0))
    clock.now += SAY_EVERY
    made.tick()
    made.tick()
    assert text_of(out) == (
        "1 of 4 tests (25 %), 20.0 s of about 40.0 s; running: tests/test_a.py::test_slow (22.0 s)\n"
    )


def test_without_a_terminal_a_long_start_says_what_is_done():
    out, clock = terminal(), Clock()
    made = report(out, clock=clock)
    made.event("r1", 1, notice("info", "pulling python:3.12: 3 of 7 layers", target="box"))
    clock.now += SAY_EVERY
    made.tick()
    made.event("r1", 2, preparing("1,200 of 5,000 files", done=1200, total=5000))
    clock.now += SAY_EVERY
    made.tick()
    assert text_of(out).splitlines() == [
        "starting: pulling python:3.12: 3 of 7 layers, 20.0 s",
        "starting: 1,200 of 5,000 files, 40.0 s",
    ]


def test_a_fault_ends_the_report():
    out, err = terminal(), terminal()
    made = report(out, err)
    made.accepted("r1")
    made.fault(
        {"code": "journal", "message": "the disk is full", "hint": "Free some space.", "detail": "", "exit_code": 3}
    )
    made.close()
    assert text_of(out) == ""
    assert text_of(err) == "testd: the disk is full\nFree some space.\n"


STACKS = """Current thread 0x1 (most recent call first):
  File "/w/tests/test_a.py", line 6 in test_x
  File "/v/site-packages/_pytest/python.py", line 187 in pytest_pyfunc_call
  File "/v/site-packages/pluggy/_callers.py", line 147 in _multicall
  File "/c/testd-1/testd/runner/worker.py", line 82 in _run_jobs

Thread 0x2 (most recent call first):
  File "/w/src/a.py", line 1 in wait"""


def test_frames_of_the_framework_are_folded_and_stacks_told_once():
    info = detail(message="killed", text=STACKS, stacks=STACKS)
    rows = outcomes(row(verdict="crashed", info=info))
    said = run(rows, completed(1, {"crashed": 1}))
    assert "test_x\n  ... 3 frames of the test framework (-v shows them)\n\nThread 0x2" in said
    assert said.count("in wait") == 1
    assert "_multicall" not in said
    assert "_multicall" in run(rows, completed(1, {"crashed": 1}), verbosity=1)


def test_a_message_that_the_traceback_says_is_not_said_twice():
    info = detail(message="AssertionError: assert 1 == 2", text="E   assert 1 == 2")
    assert "AssertionError" not in run(outcomes(row(verdict="failed", info=info)), completed(1, {"failed": 1}))


def printed(text):
    return detail(message="m", text="tb", sections=[{"name": "Captured stdout call", "text": text}])


def test_of_what_a_test_printed_the_end_is_shown_and_with_v_all():
    text = "".join(f"line {n}\n" for n in range(1000))
    said = run(target(), planned(1), outcomes(row(verdict="failed", info=printed(text))), completed(1))
    assert "... 940 lines above this are not shown (-v shows all)\nline 940\n" in said
    assert "line 939\n" not in said
    assert "line 999\n" in said
    told = run(target(), planned(1), outcomes(row(verdict="failed", info=printed(text))), completed(1), verbosity=1)
    assert text in told
    assert "not shown" not in told


def test_a_long_line_is_cut():
    said = run(target(), planned(1), outcomes(row(verdict="failed", info=printed("x" * 5000))), completed(1))
    assert "x" * 2000 + "... (3,000 more characters; -v shows all)\n" in said
    assert "x" * 2001 not in said
    few = printed("".join("y" * 1500 + "\n" for _ in range(20)))
    said = run(target(), planned(1), outcomes(row(verdict="failed", info=few)), completed(1))
    assert "... 15 lines above this are not shown" in said
    long_message = detail(message="E" * 3000, text="ValueError: " + "z" * 9000)
    said = run(target(), planned(1), outcomes(row(verdict="failed", info=long_message)), completed(1))
    assert "(1,000 more characters" in said
    assert "(7,012 more characters" in said


def test_what_a_passed_test_left_behind_is_one_line():
    info = detail(kind=None, leaks=["thread 'T' still alive", "child\nprocess 7: " + "x" * 400])
    told = (target(), planned(1), outcomes(row("tests/x.py::test", info=info)), completed(counts={"passed": 1}))
    leak, summary, _ = run(*told).split("\n")
    assert leak.startswith("LEAK tests/x.py::test: thread 'T' still alive; child\\nprocess 7: xxx")
    assert leak.endswith("...")
    assert len(leak) == 240
    assert summary == "1 passed in 1.23 s (warm)"
    assert "x" * 400 in run(*told, verbosity=1)
    assert "LEAK" not in run(*told, verbosity=-1)


def test_a_difference_between_warm_and_fresh_has_both_verdicts_and_messages():
    different = {
        "type": "Difference", "test": "t.py::a", "target": "py3.11", "warm": "passed", "fresh": "failed",
        "warm_message": "", "fresh_message": "assert 0\nmore", "flaky": False,
    }  # fmt: skip
    flaky = {**different, "test": "t.py::\x1bb", "warm": None, "flaky": True}
    end = {**completed(1, {"passed": 2}), "reason": "warm and fresh differ on 2 tests, 1 of them flaky"}
    assert run(target(), planned(2), different, flaky, end).splitlines() == [
        "DIFFERS t.py::a [py3.11]",
        "    warm   passed",
        "    fresh  failed: assert 0",
        "FLAKY t.py::^[b [py3.11]",
        "    warm   no such test",
        "    fresh  failed: assert 0",
        "warm and fresh differ on 2 tests, 1 of them flaky",
        "2 passed in 1.23 s (warm)",
    ]


def test_a_profile_is_a_table_behind_the_summary():
    body = {
        "type": "Profile", "began": 1000.5, "ended": 1001.0,
        "targets": {"py3.11": {"notice": 0.0125, "tests": 0.25, "tests: bodies": 0.5}},
    }  # fmt: skip
    out = terminal()
    made = report(out)
    for name, seconds in (("start", 0.045), ("reach", 0.001), ("accepted", 1000.0)):
        made.took(name, seconds)
    feed(made, target(), planned(1), outcomes(row()), body, completed(counts={"passed": 1}))
    lines = text_of(out).splitlines()
    assert lines[:2] == ["1 passed in 1.23 s (warm)", "where the time went, in ms"]
    assert [line.split()[:3] for line in lines[2:6]] == [
        ["client", "start", "45.0"], ["client", "reach", "1.0"], ["client", "hand", "over"],
        ["py3.11", "notice", "12.5"],
    ]  # fmt: skip
    assert lines[7].split()[:3] == ["py3.11", "bodies", "500.0"]
    assert lines[-1].startswith("  client     report ")
