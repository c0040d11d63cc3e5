"""What is said about a test whose worker did not live to report it, and how a run ends."""

from __future__ import annotations

from typing import Any

import pytest

from testd_daemon.agent.actions import Exit, Settle
from testd_daemon.agent.verdicts import exit_code, explain, hung_in
from testd_protocol.messages import Detail


def told(verdict: Any, reason: str = "", **end: Any) -> Detail | None:
    action = Settle(0, verdict, 0, Exit(completed=False, position=0, **end) if end else None, reason)
    return explain(action, timeout=2.5, job_timeout=60.0, memory_limit=200 * 1024)


@pytest.mark.parametrize(
    ("verdict", "end", "message"),
    [
        ("crashed", {"cause": "signal", "signal": 11, "seconds": 0.5},
         "the test's worker was killed by SIGSEGV (Segmentation fault) after 0.50 s"),
        ("crashed", {"cause": "signal", "signal": 99, "memory": 2048},
         "the test's worker was killed by signal 99 after 0.00 s, with 2 MiB of memory"),
        ("crashed", {"cause": "exit", "status": 0},
         "the test's worker exited with status 0 after 0.00 s; a test must not end the process it runs in"),
        ("crashed", {"cause": "memory", "memory": 300 * 1024},
         "the test's worker used 300 MiB, more than its limit of 200 MiB"),
        ("timed out", {"cause": "timeout"}, "the test took longer than its limit of 2.5 s and was killed"),
        ("timed out", {"cause": "job timeout"}, "the test ran when its job reached the limit of 60 s, and was killed"),
        ("crashed", {"cause": "lost"}, "the test's worker was lost after 0.00 s"),
    ],
)  # fmt: skip
def test_the_cause_is_named(verdict: str, end: dict[str, Any], message: str) -> None:
    detail = told(verdict, **end)
    assert detail is not None
    assert detail.message == message
    assert detail.kind == ("timeout" if verdict == "timed out" else "crash")


def test_stacks_and_last_words_are_kept() -> None:
    detail = told("crashed", cause="exit", status=3, stderr="last words", stacks="File x, line 3")
    assert detail is not None
    assert detail.text.endswith("File x, line 3")
    assert [section.text for section in detail.sections] == ["last words"]


def test_a_reason_takes_the_place_of_a_cause_and_a_cancelled_test_needs_none() -> None:
    detail = told("error", reason="no runner\nmore")
    assert detail is not None
    assert (detail.message, detail.text) == ("no runner", "no runner\nmore")
    assert told("cancelled", reason="enough") is None


@pytest.mark.parametrize(
    ("counts", "selected", "interrupted", "expected"),
    [
        ({"passed": 3, "skipped": 1, "xfailed": 1, "xpassed": 1}, 6, False, 0),
        ({"passed": 3, "timed out": 1}, 4, False, 1),
        ({"failed": 1, "cancelled": 3}, 4, False, 1),
        ({"failed": 1}, 4, True, 2),
        ({}, 0, False, 5),
    ],
)
def test_exit_codes(counts: dict[str, int], selected: int, interrupted: bool, expected: int) -> None:
    assert exit_code(counts, selected=selected, interrupted=interrupted) == expected


DUMP = """Thread 0x0001 (most recent call first):
  File "/project/other.py", line 1 in other

Current thread 0x0002 (most recent call first):
  File "/usr/lib/python3.12/threading.py", line 300 in wait
  File "/venv/lib/python3.12/site-packages/plugin.py", line 20 in helper
%s  File "/venv/lib/python3.12/site-packages/_pytest/main.py", line 300 in main

Extension modules: none
"""


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ('  File "/project/conftest.py", line 7 in held\n', " in held (/project/conftest.py:7)"),
        ("", " in helper (/venv/lib/python3.12/site-packages/plugin.py:20)"),
    ],
)  # fmt: skip
def test_what_hangs_is_named(own: str, said: str) -> None:
    assert hung_in(DUMP % own) == said
    assert hung_in("") == ""
