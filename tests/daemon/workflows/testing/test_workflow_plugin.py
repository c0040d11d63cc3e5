"""The pytest plugin, in pytest runs of their own."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest
from workflow_project import write_project

#: Seconds for a pytest run with a daemon behind it, on a machine that is busy.
DEADLINE = 100.0
HEAD = """
import os, pytest

@pytest.fixture(autouse=True)
def noted(workflow, request):
    with open(os.environ["NOTES"], "a") as file:
        file.write(f"{request.node.name} {workflow.invocation_id}\\n")
"""
SCOPED = """
pytestmark = pytest.mark.workflow("workflow.json", scope={scope!r}, folder="out")


class TestOne:
    def test_a(self, workflow):
        workflow.wait_for("start")
        workflow.assert_content_equals("a.txt", "first")

    def test_b(self, workflow, workflow_tester):
        assert workflow is workflow_tester
        workflow.wait_for("start")
        workflow.assert_function_completed("start")


def test_c(workflow):
    workflow.wait_for("start")
"""
PASSING = {"start": []}


@pytest.fixture
def pytester_of(tmp_path, house):
    """Write a project with test files, run pytest in it; give its output and which test had which run."""

    def run(files, follows=PASSING, *arguments):
        write_project(tmp_path, follows)
        (tmp_path / "conftest.py").write_text('pytest_plugins = ["testd.workflows.pytest_plugin"]\n')
        (tmp_path / "tests").mkdir()
        for name, text in files.items():
            (tmp_path / "tests" / name).write_text(HEAD + text)
        environment = {**house.environment, "NOTES": str(tmp_path / "notes")}
        # Without the summary: under CI it repeats whole messages.
        command = [sys.executable, "-m", "pytest", "-q", "-rN", "-p", "no:cacheprovider", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        notes = tmp_path / "notes"
        runs = dict(line.split() for line in notes.read_text().splitlines()) if notes.exists() else {}
        return done.stdout + done.stderr, runs

    return run


@pytest.mark.parametrize(
    ("scope", "together"),
    [("function", []), ("class", ["ab"]), ("module", ["abc"])],
)
def test_a_workflow_runs_once_for_each_scope(pytester_of, scope, together):
    said, runs = pytester_of({"test_it.py": SCOPED.format(scope=scope)})
    assert "3 passed in" in said, said  # and no warning
    groups: dict[str, str] = {}
    for name, run in runs.items():
        groups[run] = groups.get(run, "") + name[-1]
    assert [group for group in groups.values() if len(group) > 1] == together


def test_a_session_has_one_run_for_all_modules(pytester_of):
    text = SCOPED.format(scope="session")
    said, runs = pytester_of({"test_it.py": text, "test_other.py": text})
    assert "6 passed" in said
    assert len(set(runs.values())) == 1


def test_without_a_marker_it_is_the_workflow_that_the_project_names(pytester_of):
    said, _ = pytester_of({"test_it.py": "\ndef test_a(workflow):\n    workflow.wait_for('start')\n"})
    assert "1 passed" in said


def test_a_failure_has_the_logs_of_functions_that_failed_in_its_report(pytester_of):
    text = """
pytestmark = pytest.mark.workflow(timeout=60)

def test_a(workflow):
    workflow.wait_for("fail", should_fail=True)
    assert 1 == 2

def test_b(workflow):
    workflow.wait_for("fail")
"""
    said, _ = pytester_of({"test_it.py": text}, {"fail": []})
    assert "2 failed" in said
    first, second = said.split("test_b __")
    assert "- log of fail -" in first
    assert "about to fail" in first
    assert "Function fail failed: " in second
    assert second.count("about to fail") == 1
    assert "workflow_tester.py" not in said  # what is the library's own is hidden


@pytest.mark.parametrize(
    ("marker", "said"),
    [
        (
            "scope='package'",
            "marker workflow: scope is 'package'; right would be one of function, class, module, session",
        ),
        ("isolaton='none'", "marker workflow: there is no isolaton; there are file, scope, timeout"),
        ("'other.json'", "marker workflow: there is no other.json beside "),
        ("'a.json', 'b.json'", "marker workflow: 2 files; one of them, and the rest by keyword"),
    ],
)
def test_a_wrong_marker_is_told(pytester_of, marker, said):
    text = f"\n@pytest.mark.workflow({marker})\ndef test_a(workflow):\n    pass\n"
    assert said in pytester_of({"test_it.py": text})[0]


def test_the_plugin_is_loaded_only_where_it_is_asked_for(pytester_of, tmp_path):
    write_project(tmp_path, PASSING)
    (tmp_path / "test_it.py").write_text("def test_a(workflow):\n    pass\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "fixture 'workflow' not found" in done.stdout
    shutil.rmtree(tmp_path / "functions")
