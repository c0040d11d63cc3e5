"""Which failures are the same on several targets, and which only look so."""

from __future__ import annotations

import pytest
from report_events import detail, row

from testd_daemon.reports.alike import Failures, normal


def frames(*places):
    return [{"file": file, "line": line, "function": "f", "source": ""} for file, line in places]


def same(first, second, verdicts=("failed", "failed")):
    known = Failures()
    one = known.add(row("t.py::a", verdicts[0], info=first, target="py3.9"))
    other = known.add(row("t.py::a", verdicts[1], info=second, target="box"))
    return one is other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("<X object at 0x7f01>", "<X object at 0xDEADBEEF>"),
        ("no file /root/p/tests/data.txt", "no file /work/src/tests/data.txt"),
        ("'/tmp/pytest-of-eve/pytest-7/x/a.txt' is missing", "'/tmp/pytest-of-root/pytest-0/x/a.txt' is missing"),
        ("needs Python 3.9.18", "needs Python 3.13"),
        ("/usr/lib/python3.9/json/decoder.py: bad", "/opt/python3.13/json/decoder.py: bad"),
        ("m.cpython-39-x86.so", "m.cpython-313-x86.so"),
    ],
)
def test_what_differs_by_nature_is_taken_out(one, other):
    assert normal(one) == normal(other)
    assert same(detail(message=one), detail(message=other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("assert 1 == 2", "assert 1 == 3"),
        ("no file /a/b.txt", "no file /a/c.txt"),
        ("a/b", "a/c"),
        ("1 / 2 is 0.5", "1 / 2 is 0"),
        ("http://host/a", "http://host/b"),
        ("version 1.2", "version 1.3"),
    ],
)
def test_what_differs_by_cause_is_not(one, other):
    assert not same(detail(message=one), detail(message=other))


def test_verdict_phase_and_line_count():
    assert not same(detail(message="m"), detail(message="m"), ("failed", "crashed"))
    assert not same(detail(message="m"), detail(message="m", phase="setup"))
    assert not same(detail(message="m", frames=frames(("t.py", 1))), detail(message="m", frames=frames(("t.py", 2))))


def test_lines_of_libraries_do_not_count():
    one = frames(("tests/test_a.py", 3), ("/usr/lib/python3.9/json/decoder.py", 355))
    other = frames(("tests/test_a.py", 3), ("/usr/lib/python3.13/json/decoder.py", 363), ("<string>", 1))
    assert same(detail(message="m", frames=one), detail(message="m", frames=other))


def test_without_a_message_the_end_of_the_traceback_counts():
    assert same(detail(text="x\nE at 0x1\n"), detail(text="yy\nE at 0x2\n"))
    assert not same(detail(text="E 1"), detail(text="E 2"))
    assert same(None, None)


def test_a_huge_message_is_compared_by_its_beginning_and_not_kept():
    known = Failures()
    failure = known.add(row(verdict="failed", info=detail(message="x" * 10_000_000)))
    assert len(failure.message) == 300


def test_targets_are_listed_once_in_the_order_they_came():
    known = Failures()
    for target in ("b", "a", "b"):
        failure = known.add(row(verdict="failed", info=detail(message="m"), target=target))
    assert failure.targets == ["b", "a"]
    assert known.of("nothing") == []
    assert list(known) == [failure]
