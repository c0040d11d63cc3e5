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


def test_a_skipped_file_has_no_tests(project):
    (project / "test_skip.py").write_text("import pytest\npytest.skip('not here', allow_module_level=True)\n")
    assert record(project) == {}
