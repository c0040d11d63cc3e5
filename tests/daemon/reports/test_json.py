"""The JSON report against its documented schema."""

from __future__ import annotations

import json

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

from testd_daemon.reports.json import JsonReport


def lines(*bodies):
    out = terminal()
    feed(JsonReport(out, {"version": "1.2.3", "workspace": "/w"}), *bodies)
    return [json.loads(line) for line in text_of(out).splitlines()]


def test_every_event_is_a_line_with_its_run_and_number():
    made = lines(target(), planned(2, 1.5, 3), notice(), started(), output("x"), outcomes(row()), completed(1))
    assert [line["event"] for line in made] == [
        "accepted",
        "target",
        "plan",
        "notice",
        "running",
        "output",
        "outcome",
        "completed",
    ]
    assert [line["seq"] for line in made] == list(range(8))
    assert {line["run"] for line in made} == {"r1"}
    assert made[0] == {"event": "accepted", "run": "r1", "seq": 0, "schema": 1, "version": "1.2.3", "workspace": "/w"}
    assert made[2] == {
        "event": "plan",
        "run": "r1",
        "seq": 2,
        "tests": 2,
        "expected": 1.5,
        "deselected": 3,
        "targets": {},
    }
    assert all("type" not in line for line in made)


def test_what_a_target_does_before_it_is_ready_is_a_line():
    assert lines(preparing("1,200 of 5,000 files", done=1200, total=5000))[1] == {
        "event": "preparing",
        "run": "r1",
        "seq": 1,
        "target": "build1",
        "text": "1,200 of 5,000 files",
        "done": 1200,
        "total": 5000,
    }


def test_a_batch_becomes_a_line_for_each_test():
    info = detail(message="no", sections=[{"name": "Captured stdout call", "text": "x"}])
    made = lines(outcomes(row("a::b"), row("a::c", "failed", 0.5, info, memory=7, worker=2)))
    assert made[1] == {
        "event": "outcome",
        "run": "r1",
        "seq": 1,
        "test": "a::b",
        "target": "py3.11",
        "verdict": "passed",
        "duration": 0.01,
        "memory": 0,
        "worker": 0,
        "detail": None,
    }
    assert made[2]["seq"] == 1
    assert made[2]["detail"] == info


def test_every_event_of_several_targets_has_its_target():
    made = lines(
        planned(targets={"a": 2, "b": None}),
        target("a", host="build1"),
        notice(target="a"),
        started(target="a"),
        output("x", target="a"),
        outcomes(row(target="a")),
        unavailable("b", "no such image", "Pull it.", "manifest unknown", required=True),
    )
    assert made[1]["targets"] == {"a": 2, "b": None}
    assert [line["target"] for line in made[2:]] == ["a", "a", "a", "a", "a", "b"]
    assert made[-1] == {
        "event": "unavailable",
        "run": "r1",
        "seq": 7,
        "target": "b",
        "message": "no such image",
        "hint": "Pull it.",
        "detail": "manifest unknown",
        "required": True,
    }


def test_an_event_of_a_later_version_is_left_out():
    assert [line["event"] for line in lines({"type": "Weather", "sun": True})] == ["accepted"]


def test_fields_that_a_later_version_adds_to_a_row_do_no_harm():
    assert lines(outcomes([*row("a::b"), "later"]))[1]["test"] == "a::b"


def test_lines_are_ascii_and_lossless():
    out = terminal()
    feed(JsonReport(out, {}), output("ü\u2028\x1b[2J\n\udc80"))
    assert text_of(out).isascii()
    assert json.loads(text_of(out).splitlines()[1])["text"] == "ü\u2028\x1b[2J\n\udc80"


def test_a_fault_is_a_line():
    out = terminal()
    report = JsonReport(out, {})
    report.accepted("r1")
    report.fault({"code": "journal", "message": "full", "hint": "", "detail": "", "exit_code": 3})
    assert json.loads(text_of(out).splitlines()[-1]) == {
        "event": "fault",
        "run": "r1",
        "seq": 0,
        "code": "journal",
        "message": "full",
        "hint": "",
        "detail": "",
        "exit_code": 3,
    }
