"""A run of a workflow as text: what is told of functions, of ranks, of failures, and what is drawn meanwhile."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from testd_daemon.reports.terminal import Terminal
from testd_daemon.reports.workflow import WorkflowReport

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from glass import Glass

FUNCTIONS = ["s", "r(1)", "r(2)", "r(3)", "e", "n"]


class Out(io.StringIO):
    encoding = "utf-8"


class Told:
    """A report into memory, with a clock that the test moves."""

    def __init__(self, *, live=False, columns=80, **settings):
        self.out, self.err = Out(), Out()
        terminal = Terminal(self.out, colour=False, live=live, width=columns, size=lambda: (columns, 24))
        errors = Terminal(self.err, colour=False, live=False, width=80)
        self.now = 1000.0
        self.report = WorkflowReport(terminal, errors, clock=lambda: self.now, **settings)
        self.seq = 0
        self.report.accepted("abcd")

    def event(self, kind, **body):
        self.seq += 1
        self.report.event("abcd", self.seq, {"type": kind, **body})

    def plan(self):
        graph = {"s": ["r"], "r": ["e"], "e": ["n"], "n": []}
        self.event("WorkflowPlanned", name="flow", functions=FUNCTIONS, invocation="1-2", graph=graph)

    def change(self, function, status, after=0.0, why=""):
        self.now += after
        self.event("FunctionChanged", function=function, status=status, at=self.now, why=why)

    def run(self, function, seconds=1.0):
        self.change(function, "invoked")
        self.change(function, "running")
        self.change(function, "completed", seconds)

    def complete(self, exit_code=0, **more):
        self.event("RunCompleted", exit_code=exit_code, counts={}, duration=self.now - 1000.0, **more)
        self.report.close()

    @property
    def lines(self):
        return [line.rstrip() for line in self.out.getvalue().splitlines()]


def test_each_action_is_a_line_once_it_is_through():
    told = Told()
    told.plan()
    told.run("s", 0.5)
    for rank in (1, 2, 3):
        told.change(f"r({rank})", "running")
    for rank in (1, 2, 3):
        told.change(f"r({rank})", "completed", 1.0)
    told.run("e", 2)
    told.change("n", "not_invoked", why="s returned True")
    told.complete()
    assert told.lines == [
        "flow  6 functions, invocation 1-2",
        "completed      0.50 s  s",
        "completed      3.00 s  r (3)",
        "completed      2.00 s  e",
        "not invoked            n  s returned True",
        "5 completed, 1 not invoked in 5.50 s",
    ]


def test_what_is_left_out_is_told_behind_what_led_to_that():
    told = Told()
    told.plan()
    told.run("s")
    for rank in (1, 2, 3):
        told.run(f"r({rank})")
    told.change("n", "not_invoked", why="e returned True")
    assert len(told.lines) == 3
    told.change("e", "completed")
    assert [line.split()[-1] for line in told.lines[3:]] == ["e", "True"]


def test_nothing_that_is_held_back_is_lost():
    told = Told()
    told.plan()
    told.change("n", "skipped", why="cancelled")
    told.complete(2)
    assert told.lines[1:] == ["skipped                n  cancelled", "1 skipped, 5 pending in 0.00 s"]


def test_with_v_each_function_is_told_as_it_begins_and_ends():
    told = Told(verbosity=1)
    told.plan()
    told.run("r(2)", 0.25)
    assert told.lines[2:] == ["running                r(2)", "completed      0.25 s  r(2)"]


def failure(told):
    told.plan()
    told.run("s")
    told.change("r(1)", "running")
    told.event("Output", worker=1, stream="stdout", text="".join(f"line {n}\n" for n in range(30)), test="r(1)")
    told.change("r(1)", "failed", 1.0, why="ValueError: boom")
    detail = {"message": "ValueError: boom", "text": "Traceback:\nValueError: boom\n"}
    told.event("Outcomes", rows=[["r(1)", "py", "failed", 1.0, 0, 1, detail]])


def test_a_failure_ends_with_its_log_and_where_the_rest_is():
    told = Told()
    failure(told)
    lines = told.lines[2:]
    assert lines[0].startswith("── FAILED r(1) ──")
    assert lines[1:4] == ["Traceback:", "ValueError: boom", "── end of its log ──"]
    assert lines[4:24] == [f"line {n}" for n in range(10, 30)]
    assert lines[24] == "all of it: testd workflow logs abcd 'r(1)'"


def test_what_was_captured_is_not_told_twice():
    told = Told()
    told.plan()
    told.change("s", "running")
    told.event("Output", worker=1, stream="stdout", text="about to crash\n", test="s")
    told.change("s", "failed", 1.0, why="killed by SIGSEGV")
    detail = {"message": "killed by SIGSEGV", "sections": [{"name": "Captured output", "text": "about to crash\n"}]}
    told.event("Outcomes", rows=[["s", "py", "crashed", 1.0, 0, 1, detail]])
    assert told.lines.count("about to crash") == 1
    assert told.lines[1] == "failed         1.00 s  s"


def test_quiet_is_failures_and_one_line():
    told = Told(verbosity=-1)
    failure(told)
    told.complete(1)
    assert told.lines[0].startswith("── FAILED r(1)")
    assert told.lines[-1] == "1 failed, 1 completed, 4 pending in 2.00 s"


def test_what_functions_log_is_live_on_demand_and_not_told_again():
    told = Told(follow=True)
    failure(told)
    assert "r(1) │ line 0" in told.lines
    assert "── end of its log ──" not in told.lines


def test_a_run_that_could_not_be_done_is_told_as_an_error():
    told = Told()
    told.complete(4, reason="flow.json: 2 mistakes", detail="flow.json:1: x\nflow.json:2: y")
    assert told.lines == []
    said = told.err.getvalue().splitlines()
    assert said == ["testd: flow.json: 2 mistakes", "    flow.json:1: x", "    flow.json:2: y"]


def test_what_is_at_work_is_drawn_with_ranks_as_one():
    told = Told(live=True)
    told.now += 1
    told.event("Preparing", target="py3.12", text="installing")
    assert Glass().feed(told.out.getvalue()).seen() == ["py3.12: installing… 1.0 s"]
    told.event("TargetReady", target="py3.12", warm=True)
    told.plan()
    told.run("s")
    for rank in (1, 2, 3):
        told.change(f"r({rank})", "running", 0.5)
    told.change("r(2)", "completed", 0.5)
    told.now += 1
    told.report.tick()
    assert Glass().feed(told.out.getvalue()).seen() == [
        "flow  6 functions, invocation 1-2",
        "completed      1.00 s  s",
        "━━━━━━────────────── 2/6  2 running  5.0 s",
        "     2.5 s  r 1/3  2 running",
    ]


def test_what_a_function_waits_for_is_drawn_while_nothing_runs():
    """Packages of a later function were installed for minutes, and nothing said why it did not begin."""
    told = Told(live=True)
    told.plan()
    told.event("Notice", level="info", target="py3.12", text="installing packages of R")
    told.change("s", "running", 0.5)
    told.now += 1
    told.report.tick()
    assert "installing packages of R" not in "\n".join(Glass().feed(told.out.getvalue()).seen())
    told.change("s", "completed", 0.5)
    told.change("r(1)", "invoked")
    told.now += 1
    told.report.tick()
    assert Glass().feed(told.out.getvalue()).seen()[-1] == "            py3.12: installing packages of R…"


def test_buckets_that_stay_are_named_at_the_end_with_how_they_go():
    told = Told()
    own = [{"name": "S3", "bucket": "data-1f0c", "endpoint": "https://s3.example.org", "region": ""}]
    told.event("WorkflowPlanned", name="flow", functions=["s"], invocation="1-2", graph={"s": []}, own=own)
    told.run("s")
    told.complete()
    assert told.lines[-1] == "its files stay in data-1f0c; to remove them: testd workflow clean abcd"


def test_nothing_is_left_of_the_live_lines():
    told = Told(live=True)
    told.plan()
    told.now += 1
    told.report.tick()
    told.complete()
    assert Glass().feed(told.out.getvalue()).seen()[1:] == ["6 pending in 1.00 s"]


@pytest.mark.parametrize("columns", [20, 40])
def test_live_lines_fit_a_narrow_terminal(columns):
    told = Told(live=True, columns=columns)
    told.plan()
    told.change("s", "running", 1.0)
    told.now += 1
    told.report.tick()
    drawn = told.out.getvalue().rpartition("\x1b[J")[2]
    assert all(len(line) <= columns for line in Glass(columns=columns).feed(drawn).seen())
