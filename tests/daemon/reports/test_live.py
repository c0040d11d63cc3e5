"""The live lines: drawn at the bottom, gone at the end, never in the way of what stays."""

from __future__ import annotations

import io
import re

from report_events import completed, detail, outcomes, planned, row, started, target, terminal

from testd_daemon.reports.place import Place
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
    """What a terminal shows after `written`: enough of one for carriage returns, line feeds, up and erase."""
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
        elif control == "\x1b[2K":
            lines[at] = ""
    return [line.rstrip() for line in lines]


def make(monkeypatch, width=80):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("LINES", "24")
    stream, clock = Tty(), Clock()
    out = terminal(live=True, stream=stream, width=width)
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
