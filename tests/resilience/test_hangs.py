"""The end of a session hangs: in fixtures, hooks or exit functions. It is named, killed, and the run ends."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from suite_under_fire import Fire

TESTS = """
import pytest, signal

def test_first(): pass
def test_last({fixture}): pass
"""
FIXTURE = """
import pytest, signal

@pytest.fixture(scope="{scope}")
def held():
    yield
    signal.pause()
"""


class Case(NamedTuple):
    """A project's conftest.py, what its last test asks for, and what has to be said."""

    conftest: str
    fixture: str
    verdict: str
    code: int
    said: str


CASES = {
    "session fixture": Case(FIXTURE.format(scope="session"), "held", "timed out", 1, "limit of 1 s"),
    "module fixture": Case(FIXTURE.format(scope="module"), "held", "timed out", 1, "limit of 1 s"),
    "finish hook": Case(
        "import signal\ndef pytest_sessionfinish(session):\n    if session.testscollected: signal.pause()\n",
        "", "passed", 1, "in pytest_sessionfinish (",
    ),
    "around the loop": Case(
        "import pytest, signal\n@pytest.hookimpl(hookwrapper=True)\n"
        "def pytest_runtestloop(session):\n    yield\n    signal.pause()\n",
        "", "passed", 1, "in pytest_runtestloop (",
    ),
    "stubborn hook": Case(
        "import signal\ndef pytest_unconfigure():\n"
        "    for number in range(1, 65):\n"
        "        try: signal.signal(number, signal.SIG_IGN)\n"
        "        except (OSError, ValueError): pass\n"
        "    while True: signal.pause()\n",
        "", "passed", 1, "in pytest_unconfigure (",
    ),
    "exit function": Case(
        "import atexit, signal\ndef pause(): signal.pause()\natexit.register(pause)\n",
        "", "passed", 0, "exit functions of worker 1 did not end in pause (",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mode", ["worker", "bin"])
@pytest.mark.parametrize("name", CASES)
def test_the_end_of_a_session_that_hangs_is_named_and_ended(fire: Fire, name: str, mode: str) -> None:
    case = CASES[name]
    fire.write("testd.toml", f'jobs = 1\ntimeout = 1\nmode = "{mode}"\n')
    fire.write("conftest.py", case.conftest)
    fire.write("test_a.py", TESTS.format(fixture=case.fixture))
    told = fire.run()
    assert told.verdicts == {"test_a.py::test_first": "passed", "test_a.py::test_last": case.verdict}
    assert told.completed["exit_code"] == case.code, told.notices
    if case.verdict == "timed out":
        (outcome,) = [event for event in told.of("outcome") if event["verdict"] == "timed out"]
        detail = outcome["detail"]
        assert case.said in detail["message"]
        assert " in held (" in detail["message"]
        assert "most recent call first" in detail["stacks"]
    else:
        (notice,) = [event for event in told.of("notice") if case.said in event["text"]]
        assert "most recent call first" in notice["detail"]
