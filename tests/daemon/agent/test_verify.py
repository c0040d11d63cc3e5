"""Runs that compare what is warm with new processes: what differs, what is flaky, what cannot be compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from testd_daemon.agent.verify import differing
from testd_protocol.messages import Detail, Difference, Row

Make = Callable[..., Path]
StartAgent = Callable[..., Any]


def rows(**verdicts: str) -> dict[tuple[str, str], Row]:
    return {("py", test): Row(test, "py", verdict, 0.0, 0, 0, Detail()) for test, verdict in verdicts.items()}  # type: ignore[arg-type]


def test_what_differs() -> None:
    warm = rows(a="passed", b="passed", c="failed", d="cancelled")
    fresh = rows(a="passed", b="error", d="failed", e="passed")
    assert differing(warm, fresh) == [("py", "b"), ("py", "c"), ("py", "e")]
    assert differing(warm, fresh, lacking=False) == [("py", "b")]
    assert differing(warm, fresh, without=["py"]) == []


def test_ways_that_agree_are_said_to(project: Make, agent: StartAgent) -> None:
    driver = agent(project(test_a_py="def test_a(): pass\ndef test_b(): assert 0\n"))
    run = driver.run(verify=True)
    assert run.verdicts == {"test_a": "passed", "test_b": "failed"}, "each once"
    assert run.of(Difference) == []
    assert (run.completed.exit_code, run.completed.reason) == (1, "warm and fresh agree on all 2 tests")
    assert run.completed.counts == {"passed": 1, "failed": 1}
    assert driver.run("test_a.py::test_a", verify=True).completed.exit_code == 0


#: What is loaded depends on something that no runner can know of: a file that is read behind its back.
UNSEEN = """
import os
descriptor = os.open("unseen", os.O_RDONLY)
VALUE = os.read(descriptor, 10)

def test_a():
    assert VALUE == b"1"

def test_b():
    pass

if VALUE == b"2":
    def test_new():
        pass
"""


def test_what_was_kept_and_is_wrong_is_found(project: Make, agent: StartAgent) -> None:
    folder = project(test_a_py=UNSEEN, test_b_py="def test_c(): pass\n")
    (folder / "unseen").write_text("1")
    driver = agent(folder)
    assert driver.run(verify=True).completed.exit_code == 0
    (folder / "unseen").write_text("2")
    run = driver.run(verify=True)
    assert run.verdicts == {"test_a": "passed", "test_b": "passed", "test_c": "passed"}
    first, second = run.of(Difference)
    assert (first.test, first.warm, first.fresh, first.flaky) == ("test_a.py::test_a", "passed", "failed", False)
    assert (first.warm_message, first.fresh_message) == ("", "AssertionError: assert b'2' == b'1'")
    assert (second.test, second.warm, second.fresh, second.flaky) == ("test_a.py::test_new", None, "passed", False)
    assert run.completed.exit_code == 1
    assert run.completed.reason == "warm and fresh differ on 2 tests"
    assert driver.run("test_b.py", verify=True).completed.exit_code == 0


FLAKY = """
import pathlib

def test_a():
    file = pathlib.Path("runs")
    runs = len(file.read_text()) if file.exists() else 0
    file.write_text("x" * (runs + 1))
    assert runs != 1, "the second time"
"""


def test_a_flaky_test_is_told_as_such(project: Make, agent: StartAgent) -> None:
    run = agent(project(test_a_py=FLAKY)).run(verify=True)
    (difference,) = run.of(Difference)
    assert (difference.warm, difference.fresh, difference.flaky) == ("passed", "failed", True)
    assert run.completed.exit_code == 1
    assert run.completed.reason == "warm and fresh differ on 1 test, 1 of them flaky"
    assert run.completed.hint == ""


def test_a_start_that_only_works_warm_is_found(project: Make, agent: StartAgent) -> None:
    """A conftest file whose result changed without a change of any file: there are no fresh verdicts to compare."""
    conftest = "import os\nassert os.read(os.open('unseen', os.O_RDONLY), 10) == b'1'\n"
    folder = project(test_a_py="def test_a(): pass\n", conftest_py=conftest)
    (folder / "unseen").write_text("1")
    driver = agent(folder)
    assert driver.run().completed.exit_code == 0
    (folder / "unseen").write_text("2")
    run = driver.run(verify=True)
    assert run.verdicts == {"test_a": "passed"}
    assert run.completed.exit_code == 4
    assert run.completed.reason.startswith("warm there are verdicts, in new processes not: ")


def test_a_verification_that_is_cancelled_ends(project: Make, agent: StartAgent) -> None:
    text = "import pathlib, time\ndef test_a():\n    pathlib.Path('there').touch()\n    time.sleep(100)\n"
    folder = project(test_a_py=text)
    driver = agent(folder)
    name = driver.submit(verify=True)
    while not (folder / "there").exists():
        time.sleep(0.01)
    driver.cancel(name, "enough")
    run = driver.follow(name)
    assert (run.completed.exit_code, run.completed.reason) == (2, "enough")
    assert run.completed.counts == {"cancelled": 1}
