"""The recorder sees what pytest says about each test, and changes nothing of how pytest runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

RECORDER = Path(__file__).resolve().parents[2] / "benchmarks" / "verdict_recorder.py"

SUITE = """
import sys, unittest
import pytest

@pytest.fixture
def broken_setup():
    raise RuntimeError("setup")

@pytest.fixture
def broken_teardown():
    yield
    raise RuntimeError("teardown")

def test_passed(): pass
def test_failed(): assert False
def test_failed_and_teardown(broken_teardown): assert False
def test_setup(broken_setup): pass
def test_teardown(broken_teardown): pass
def test_skipped(): pytest.skip("why")
@pytest.mark.xfail
def test_xfailed(): assert False
@pytest.mark.xfail
def test_xpassed(): pass
@pytest.mark.xfail(strict=True)
def test_xpassed_strictly(): pass
@pytest.mark.parametrize("value", [1, 2])
def test_parametrized(value): assert value == 1
class OldTest(unittest.TestCase):
    def test_method(self): pass
    @unittest.expectedFailure
    def test_expected(self): self.fail()
def test_is_as_with_python_m_pytest():
    assert sys.path[0] == PROJECT and sys.modules["__main__"].__spec__.name == "pytest.__main__"
"""

EXPECTED = {
    "test_passed": "passed",
    "test_failed": "failed",
    "test_failed_and_teardown": "failed",
    "test_setup": "error",
    "test_teardown": "error",
    "test_skipped": "skipped",
    "test_xfailed": "xfailed",
    "test_xpassed": "xpassed",
    "test_xpassed_strictly": "failed",
    "test_parametrized[1]": "passed",
    "test_parametrized[2]": "failed",
    "OldTest::test_method": "passed",
    "OldTest::test_expected": "xfailed",
    "test_is_as_with_python_m_pytest": "passed",
}


def record(project: Path, *arguments: str) -> dict[str, list[str]]:
    target = project / "verdicts.json"
    command = [sys.executable, str(RECORDER), str(target), "-q", "-p", "no:cacheprovider", "-W", "error", *arguments]
    subprocess.run(command, cwd=project, check=False, capture_output=True, timeout=60)
    return json.loads(target.read_text(encoding="utf-8"))["verdicts"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path.resolve() / "project"
    folder.mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    return folder


def test_every_verdict(project):
    (project / "test_all.py").write_text(f"PROJECT = {str(project)!r}\n{SUITE}")
    assert record(project) == {f"test_all.py::{name}": [verdict] for name, verdict in EXPECTED.items()}


def test_a_file_that_cannot_be_collected_is_an_error(project):
    (project / "test_bad.py").write_text("def broken(:\n")
    (project / "test_good.py").write_text("def test_it(): pass\n")
    found = record(project, "--continue-on-collection-errors")
    assert found == {"test_bad.py": ["error"], "test_good.py::test_it": ["passed"]}


def test_a_skipped_file_is_skipped_under_its_own_name(project):
    (project / "test_skip.py").write_text("import pytest\npytest.skip('not here', allow_module_level=True)\n")
    assert record(project) == {"test_skip.py": ["skipped"]}


RERUNS = """
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    from _pytest.runner import runtestprotocol
    for last in (False, True):
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        item._initrequest()
        for report in runtestprotocol(item, nextitem=nextitem, log=False):
            if report.when == "call" and not last:
                report.outcome = "rerun"
            item.ihook.pytest_runtest_logreport(report=report)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""


def test_an_attempt_that_is_repeated_has_no_verdict(project):
    """Each attempt of a plugin that runs failures again was taken for a test of its own."""
    (project / "conftest.py").write_text(RERUNS)
    (project / "test_twice.py").write_text("tries = []\ndef test_it(): tries.append(1); assert len(tries) == 2\n")
    assert record(project) == {"test_twice.py::test_it": ["passed"]}


OWN_CALL = """
import pytest
from _pytest.runner import runtestprotocol

def pytest_runtest_protocol(item):
    for report in runtestprotocol(item, log=False):
        if report.when == "call":
            report.when = "???"
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
            item.ihook.pytest_runtest_logreport(report=report)
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True
"""


def test_a_plugin_that_takes_a_test_over_may_name_its_call(project):
    """pytest-forked reports a crash with `when="???"`: pytest counts it as failed, the recorder had an error."""
    (project / "conftest.py").write_text(OWN_CALL)
    (project / "test_own.py").write_text("def test_fails(): assert 0\ndef test_passes(): pass\n")
    assert record(project) == {"test_own.py::test_fails": ["failed"], "test_own.py::test_passes": ["passed"]}


def test_the_command_line_and_the_children_know_nothing_of_the_recorder(project):
    """Workers of pytest-xdist could not start: they were told to load a plugin that only the first process has."""
    (project / "test_clean.py").write_text(
        "import os, sys\n"
        "def test_it(pytestconfig):\n"
        "    said = [*sys.argv, *pytestconfig.invocation_params.args, *os.environ.get('PYTEST_PLUGINS', '').split()]\n"
        "    assert 'verdict_recorder' not in said\n"
    )
    assert record(project) == {"test_clean.py::test_it": ["passed"]}
