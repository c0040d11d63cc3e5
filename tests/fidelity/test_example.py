"""The whole comparison, from outside, on the example project: the same verdicts in both modes, cold and warm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPARE = ROOT / "benchmarks" / "fidelity.py"


def compare(project: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(COMPARE), str(project), "--python", sys.executable, *options]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # hypothesis' costs a second at each start
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=110, env=environment)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    target = tmp_path / "project"
    shutil.copytree(ROOT / "examples" / "pytest_project", target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return target


def test_the_example_has_no_differences(project):
    done = compare(project, "--warm")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "no differences"), done.stdout + done.stderr
    titles = [line.partition(":")[0] for line in done.stdout.splitlines()[:-1]]
    assert titles == ["project (worker)", "project (worker, warm)", "project (bin)"]


def test_a_test_that_knows_who_runs_it_is_a_difference(project):
    (project / "tests" / "test_who.py").write_text(
        "import sys\n\ndef test_who():\n    assert 'testd.runner' not in ' '.join(sys.modules)\n"
    )
    done = compare(project, "--mode", "worker")
    assert done.returncode == 1
    assert "  tests/test_who.py::test_who: pytest passed, testd failed" in done.stdout.splitlines()


def test_a_side_without_verdicts_is_no_success(tmp_path):
    (tmp_path / "conftest.py").write_text("raise SystemExit(7)\n")
    (tmp_path / "test_it.py").write_text("def test_it(): pass\n")
    done = compare(tmp_path, "--mode", "worker")
    assert done.returncode == 2
    assert "left no verdicts" in done.stderr


def test_an_unknown_folder_is_told():
    done = compare(Path("/nowhere/at/all"))
    assert (done.returncode, done.stderr) == (2, "fidelity: /nowhere/at/all: no such folder\n")
