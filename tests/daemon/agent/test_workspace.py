"""Which folder is the workspace, and how an argument is taken apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from testd.workspace import existing, find


def make(root: Path, *files: str, **texts: str) -> Path:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(texts.get(name.replace(".", "_").replace("/", "__"), ""), "utf-8")
    return root.resolve()


@pytest.mark.parametrize(
    ("name", "text", "mark"),
    [
        ("testd.toml", "", "testd.toml"),
        ("pyproject.toml", "[tool.testd]\n", "pyproject.toml [tool.testd]"),
        ("pyproject.toml", "[tool.testd.environment]\n", "pyproject.toml [tool.testd]"),
        ("pytest.ini", "", "pytest.ini"),
        ("pyproject.toml", "[tool.pytest.ini_options]\n", "pyproject.toml"),
        ("tox.ini", "[pytest]\n", "tox.ini"),
        ("setup.cfg", "[tool:pytest]\n", "setup.cfg"),
        ("setup.py", "", "setup.py"),
    ],
)
def test_each_mark_is_found_from_below(tmp_path: Path, name: str, text: str, mark: str) -> None:
    root = make(tmp_path, "a/b/test_x.py")
    (root / name).write_text(text, "utf-8")
    assert find(str(root / "a" / "b")) == (str(root), mark)


def test_a_better_mark_beats_a_nearer_one(tmp_path: Path) -> None:
    root = make(tmp_path, "testd.toml", "pkg/pytest.ini", "pkg/sub/setup.py")
    assert find(str(root / "pkg" / "sub")) == (str(root), "testd.toml")


def test_of_equal_marks_the_nearest(tmp_path: Path) -> None:
    root = make(tmp_path, "pytest.ini", "pkg/pytest.ini")
    assert find(str(root / "pkg")) == (str(root / "pkg"), "pytest.ini")


def test_a_repository_ends_the_search(tmp_path: Path) -> None:
    root = make(tmp_path, "testd.toml", "repository/.git/HEAD", "repository/src/x.py")
    assert find(str(root / "repository" / "src")) == (str(root / "repository"), ".git")


def test_nothing_marked_is_the_folder_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    root = make(tmp_path, "deep/test_x.py")
    assert find(str(root / "deep")) == (str(root / "deep"), "no project file above")


def test_nothing_marked_is_the_same_folder_whichever_of_its_tests_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`testd run` passed, and `testd run tests/test_x.py` could not import what lies beside `tests`."""
    monkeypatch.setenv("HOME", str(tmp_path))
    root = make(tmp_path, "project/tests/test_x.py", "other/test_y.py")
    assert find(str(root / "project"), ["tests/test_x.py::test_a"])[0] == str(root / "project")
    assert find(str(root / "project"), ["../other/test_y.py"])[0] == str(root / "other")
    assert find(str(root), ["other/test_y.py"])[0] == str(root / "other")  # the home folder is none


def test_the_home_folder_is_no_workspace_of_what_is_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    root = make(tmp_path, "pyproject.toml", "project/x.py")
    assert find(str(root / "project"))[0] == str(root / "project")


def test_arguments_decide_as_in_pytest(tmp_path: Path) -> None:
    root = make(tmp_path, "one/pytest.ini", "one/test_x.py", "two/pytest.ini", "two/test_y.py", "pyproject.toml")
    assert find(str(root), ["one/test_x.py::test_a"])[0] == str(root / "one")
    assert find(str(root), ["one/test_x.py:3", "two"])[0] == str(root)
    assert find(str(root), ["missing.py"])[0] == str(root)


@pytest.mark.parametrize(
    ("argument", "parts"),
    [
        ("t.py", ("t.py", "")),
        ("t.py::A::b[x::y]", ("t.py", "::A::b[x::y]")),
        ("t.py:12", ("t.py", ":12")),
        ("odd:7", ("odd:7", "")),
        ("od::d.py", ("od::d.py", "")),
    ],
)
def test_a_path_that_exists_is_not_split(tmp_path: Path, argument: str, parts: tuple[str, str]) -> None:
    make(tmp_path, "t.py", "odd:7", "od::d.py")
    assert existing(argument, str(tmp_path)) == parts


def test_the_quick_client_pays_for_nothing_but_os() -> None:
    code = "import sys; before = set(sys.modules); import testd.workspace; print(set(sys.modules) - before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert eval(done.stdout) <= {"testd", "testd.workspace", "__future__"}
