"""The live lines: drawn at the bottom, gone at the end, never in the way of what stays."""

from __future__ import annotations

import io
import os
import re

from report_events import (
    completed,
    detail,
    notice,
    outcomes,
    planned,
    preparing,
    row,
    started,
    target,
    terminal,
    unavailable,
)

from testd_daemon.reports.place import Place
from testd_daemon.reports.terminal import describe
from testd_daemon.reports.text import LIVE_AFTER, TextReport, TextSettings


class Tty(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def screen(written: str) -> list[str]:
    """What a terminal shows after `written`: enough of one for carriage returns, line feeds, up and erase below."""
    lines, at, column = [""], 0, 0
    for control, text in re.findall(r"(\x1b\[[?0-9;]*[A-Za-z]|\r|\n)|([^\x1b\r\n]+)", written):
        if text:
            lines[at] = lines[at][:column].ljust(column) + text + lines[at][column + len(text) :]
            column += len(text)
        elif control == "\n":
            at, column = at + 1, 0
            lines += [""] * (at + 1 - len(lines))
        elif control == "\r":
            column = 0
        elif control.endswith("A"):
            at -= int(control[2:-1] or 1)
        elif control == "\x1b[J":
            lines[at] = lines[at][:column]
            del lines[at + 1 :]
    return [line.rstrip() for line in lines]


def make(monkeypatch, width=80, height=24, colour=False):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", str(height))
    stream, clock = Tty(), Clock()
    out = describe(stream, os.environ)
    out.unicode, out.colour = True, colour
    report = TextReport(out, terminal(), TextSettings(Place("/w", "/w")), clock)
    report.accepted("r1")
    return report, stream, clock


def test_a_quick_run_draws_nothing(monkeypatch):
    report, stream, clock = make(monkeypatch)
    clock.now = LIVE_AFTER - 0.01
    for seq, body in enumerate([target(), planned(1), outcomes(row()), completed(counts={"passed": 1})], 1):
        report.event("r1", seq, body)
    report.close()
    assert stream.getvalue() == "1 passed in 1.23 s (warm)\n"


def test_progress_times_and_slow_tests_are_shown_below_failures(monkeypatch):
    report, stream, clock = make(monkeypatch)
    report.event("r1", 1, target())
    report.event("r1", 2, planned(4, expected=10.0))
    clock.now = 1.0
    report.event("r1", 3, started(seconds=0.5))
    report.event("r1", 4, outcomes(row("t.py::test_a"), row("t.py::test_b", "failed", info=detail(message="no"))))
    clock.now = 2.0
    report.tick()
    shown = [line for line in screen(stream.getvalue()) if line]
    assert shown[0].startswith("── FAILED t.py::test_b")
    assert shown[2] == "again: testd run t.py::test_b"
    assert shown[3] == "━━━━━━━━━━──────────  50 %  2/4  1 failed  2.0 s of about 10.0 s"
    assert shown[4] == "     1.5 s  tests/test_a.py::test_slow"
    report.close()
    assert [line for line in screen(stream.getvalue()) if line] == shown[:3]
    assert stream.getvalue().count("\x1b[?25l") == stream.getvalue().count("\x1b[?25h") == 1


def test_before_the_plan_it_says_what_is_going_on(monkeypatch):
    report, stream, clock = make(monkeypatch)
    clock.now = 0.5
    report.tick()
    assert screen(stream.getvalue())[0] == "starting… 0.5 s"
    report.event("r1", 1, preparing("1,200 of 5,000 files"))
    clock.now = 0.75
    report.tick()
    assert screen(stream.getvalue())[0] == "starting: 1,200 of 5,000 files… 0.8 s"
    report.event("r1", 1, target())
    clock.now = 1.0
    report.tick()
    assert screen(stream.getvalue())[0] == "collecting… 1.0 s"
    report.close()


def test_a_line_longer_than_the_terminal_is_cut(monkeypatch):
    report, stream, clock = make(monkeypatch, width=40)
    report.event("r1", 1, planned(4))
    report.event("r1", 2, started("tests/" + "x" * 100))
    clock.now = 1.0
    report.tick()
    shown = [line for line in screen(stream.getvalue()) if line]
    assert max(map(len, shown)) <= 40
    assert shown[1].endswith("…")
    report.close()


def test_an_expectation_that_was_wrong_is_not_kept_up(monkeypatch):
    report, stream, clock = make(monkeypatch)
    report.event("r1", 1, planned(4, expected=1.0))
    clock.now = 3.0
    report.tick()
    assert screen(stream.getvalue())[0].endswith("0/4  3.0 s")
    report.close()


def test_more_slow_tests_than_lines_are_counted(monkeypatch):
    report, stream, clock = make(monkeypatch)
    report.event("r1", 1, planned(9))
    for number in range(5):
        report.event("r1", 2 + number, started(f"t.py::test_{number}", float(number)))
    clock.now = 1.0
    report.tick()
    shown = [line.strip() for line in screen(stream.getvalue()) if line]
    assert shown[1:] == ["5.0 s  t.py::test_4", "4.0 s  t.py::test_3", "3.0 s  t.py::test_2", "and 2 more"]
    report.close()


def test_a_long_line_above_is_not_cut(monkeypatch):
    """Lines were cut to the terminal's width while live lines were drawn, and codes for colours counted as text."""
    report, stream, clock = make(monkeypatch, colour=True)
    report.event("r1", 1, planned(4))
    clock.now = 1.0
    report.tick()
    test = "tests/" + "x" * 120 + ".py::test_y"
    report.event("r1", 2, outcomes(row(test, "failed", info=detail(message="m"))))
    shown = "".join(screen(re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue())))
    assert f"again: testd run {test}" in shown
    report.close()


def test_each_target_has_a_line_where_there_is_room(monkeypatch):
    report, stream, clock = make(monkeypatch, height=30)
    bodies = [
        planned(targets=dict.fromkeys(["py3.9", "py3.13", "node22", "box", "build1"])),
        target("py3.9"),
        target("py3.13"),
        target("node22"),
        notice("info", "building the image", target="box"),
        unavailable("build1", "ssh: connection refused"),
        planned(targets={"py3.9": 2, "py3.13": 4, "node22": None, "box": None, "build1": None}),
        outcomes(row("a", target="py3.9"), row("b", target="py3.9")),
        outcomes(row("b", target="py3.13"), row("a", "failed", info=detail(message="m"), target="py3.13")),
        started("c", 1.0, target="py3.13"),
    ]
    for seq, body in enumerate(bodies, 1):
        report.event("r1", seq, body)
    clock.now = 1.0
    report.tick()
    shown = [line for line in screen(stream.getvalue()) if line]
    live = shown[-7:]
    assert live == [
        "━━━━━━━━━━━━━─────── 66 %  4/6  1 failed  1.0 s  and 2 targets to come".replace("─ 66", "─  66"),
        "  py3.9   ━━━━━━━━━━  2 done",
        "  py3.13  ━━━━━─────  2/4  1 failed",
        "  node22  collecting",
        "  box     building the image",
        "  build1  unavailable: ssh: connection refused",
        "     2.0 s  c [py3.13]",
    ]
    report.close()
    assert [line for line in screen(stream.getvalue()) if line] == shown[:-7]


def test_without_room_targets_are_side_by_side_or_left_out(monkeypatch):
    names = [f"target{number}" for number in range(12)]
    for height, lines in ((24, 3), (8, 2), (3, 0)):
        report, stream, clock = make(monkeypatch, width=60, height=height)
        report.event("r1", 1, planned(targets=dict.fromkeys(names)))
        report.event("r1", 2, planned(targets=dict.fromkeys(names, 10)))
        for name in names:
            report.event("r1", 3, target(name))
        clock.now = 1.0
        report.tick()
        shown = [line for line in screen(stream.getvalue()) if line]
        assert shown[0].endswith("0 %  0/120  1.0 s")
        assert len(shown) == 1 + lines
        assert max(map(len, shown)) <= 60
        if lines:
            assert shown[1].startswith("  target0 0/10  target1 0/10")
        report.close()
