"""`snapshot` in pytest and in a plain script, its file, and workers that update it together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from testd.assertions import snapshot, snapshots
from testd.context import Context, state

SOURCE = str(Path(__file__).resolve().parents[3] / "runners")


@pytest.fixture
def running(tmp_path, monkeypatch):
    """Run as the test `name` of tmp_path/some_test.py."""

    def run(name: str, *, update: bool | None = None) -> Context:
        test = Context(f"some_test.py::{name}", name, str(tmp_path / "some_test.py"))
        monkeypatch.setattr(state, "test", test)
        monkeypatch.setattr(state, "update_snapshots", update)
        return test

    return run


def _stored(tmp_path: Path) -> dict:
    document = json.loads((tmp_path / "__snapshots__" / "some_test.json").read_text())
    assert document["version"] == 1
    return document["snapshots"]


def test_update_then_compare(running, tmp_path):
    running("one", update=True)
    snapshot({"a": 1})
    snapshot("second")
    snapshot([1], name="third")
    assert _stored(tmp_path) == {"one": {"1": ["{'a': 1}"], "2": ["'second'"], "third": ["[1]"]}}
    running("one")
    snapshot({"a": 1})
    with pytest.raises(AssertionError) as caught:
        snapshot("other", message="the greeting")
    lines = str(caught.value).splitlines()
    assert lines[0] == "the greeting: the value is not the one of some_test.py::one, 2"
    assert "  -'second'" in lines
    assert "  +'other'" in lines
    assert lines[-1].startswith("  to accept it: testd run --update-snapshots ")
    assert lines[-1].endswith("some_test.py::one")


def test_what_was_never_stored_fails_and_stores_nothing(running, tmp_path):
    running("one")
    with pytest.raises(AssertionError, match=r"no snapshot is stored for some_test\.py::one, 1"):
        snapshot(1)
    assert list(tmp_path.iterdir()) == []


def test_the_environment_can_ask_for_the_update(running, tmp_path, monkeypatch):
    running("one")
    monkeypatch.setenv("TESTD_UPDATE_SNAPSHOTS", "1")
    snapshot(1)
    assert _stored(tmp_path) == {"one": {"1": ["1"]}}


def test_what_is_equal_is_not_written_again(running, tmp_path):
    running("one", update=True)
    snapshot(1)
    path = tmp_path / "__snapshots__" / "some_test.json"
    before = path.stat().st_ino
    running("one", update=True)
    snapshot(1)
    assert path.stat().st_ino == before


def test_unused_ones_and_those_of_removed_tests_go(running, tmp_path):
    test = running("one", update=True)
    snapshot(1)
    snapshot(2)
    running("two", update=True)
    snapshot(3)
    test = running("one", update=True)
    snapshot(1)
    snapshots.drop_unused(test)
    assert _stored(tmp_path) == {"one": {"1": ["1"]}, "two": {"1": ["3"]}}
    snapshots.prune(test.file, {"two"})
    assert _stored(tmp_path) == {"two": {"1": ["3"]}}
    snapshots.prune(test.file, set())
    assert list((tmp_path / "__snapshots__").iterdir()) == []


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 9, "snapshots": {}}', '{"version": 1, "snapshots": 3}'])
def test_a_broken_file_is_told_with_its_path(running, tmp_path, text):
    folder = tmp_path / "__snapshots__"
    folder.mkdir()
    (folder / "some_test.json").write_text(text)
    running("one")
    with pytest.raises(ValueError, match=r"some_test\.json holds"):
        snapshot(1)


UPDATER = """
import sys
sys.path.insert(0, sys.argv[1])
from testd.assertions import snapshot
from testd.context import Context, state
state.update_snapshots = True
for number in range(10):
    state.test = Context("", f"{sys.argv[3]}{number}", sys.argv[2])
    snapshot(number)
"""


def test_workers_that_update_one_file_lose_nothing(tmp_path):
    file = tmp_path / "some_test.py"
    workers = [subprocess.Popen([sys.executable, "-c", UPDATER, SOURCE, str(file), letter]) for letter in "abcd"]
    assert [worker.wait(timeout=60) for worker in workers] == [0] * 4
    assert _stored(tmp_path) == {f"{letter}{n}": {"1": [str(n)]} for letter in "abcd" for n in range(10)}
    assert [path.name for path in (tmp_path / "__snapshots__").iterdir()] == ["some_test.json"]


def _run(*command: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("TESTD_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, timeout=60, check=False,
        env={**clean, "PYTHONPATH": SOURCE, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **environment},
    )


def test_in_pytest_they_are_kept_by_node_id(tmp_path):
    (tmp_path / "test_some.py").write_text(
        "import pytest\nfrom testd.assertions import snapshot\n"
        "class TestIt:\n    @pytest.mark.parametrize('n', [1, 2])\n    def test_n(self, n): snapshot(n); snapshot(-n)\n"
    )
    pytest_run = ("-m", "pytest", "-q", "-p", "no:cacheprovider")
    assert _run(*pytest_run, cwd=tmp_path).returncode == 1
    done = _run(*pytest_run, cwd=tmp_path, TESTD_UPDATE_SNAPSHOTS="1")
    assert done.returncode == 0, done.stdout
    assert json.loads((tmp_path / "__snapshots__" / "test_some.json").read_text())["snapshots"] == {
        "TestIt::test_n[1]": {"1": ["1"], "2": ["-1"]}, "TestIt::test_n[2]": {"1": ["2"], "2": ["-2"]},
    }
    assert _run(*pytest_run, cwd=tmp_path).returncode == 0


def test_in_a_plain_script_they_are_kept_by_function(tmp_path):
    (tmp_path / "plain_test.py").write_text(
        "from testd.assertions import snapshot\ndef _helper(value): snapshot(value)\n"
        "def one(): _helper(1); snapshot(2)\ndef two(): snapshot(3)\n"
        "if __name__ == '__main__':\n    one(); two(); one()\n"
    )
    assert _run("plain_test.py", cwd=tmp_path, TESTD_UPDATE_SNAPSHOTS="1").returncode == 0
    assert json.loads((tmp_path / "__snapshots__" / "plain_test.json").read_text())["snapshots"] == {
        "one": {"1": ["1"], "2": ["2"]}, "two": {"1": ["3"]},
    }
    done = _run("plain_test.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
