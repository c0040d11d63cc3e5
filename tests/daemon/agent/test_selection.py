"""Which tests the arguments mean, and how what is not there is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from testd_daemon.agent.selection import Argument, FileIndex, covers, parse, select
from testd_daemon.errors import UsageError

IDS = [
    "tests/test_a.py::test_one",
    "tests/test_a.py::test_two[x]",
    "tests/test_a.py::test_two[y]",
    "tests/test_a.py::TestC::test_m",
    "tests/sub/test_b.py::test_one",
    "tests/sub/test_b.py::test_twofold",
]
LINES = [3, 7, 7, 12, 0, 5]


@pytest.fixture
def root(tmp_path: Path) -> str:
    (tmp_path / "tests" / "sub").mkdir(parents=True)
    for name in ("tests/test_a.py", "tests/sub/test_b.py", "tests/test_empty.py"):
        (tmp_path / name).write_text("")
    return str(tmp_path.resolve())


def chosen(root: str, *arguments: str, broken: tuple[str, ...] = ()) -> list[int]:
    return select(parse(arguments, root, root), FileIndex(root, IDS), IDS, LINES, broken)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["tests"], [0, 1, 2, 3, 4, 5]),
        (["tests/sub"], [4, 5]),
        (["tests/test_a.py"], [0, 1, 2, 3]),
        (["tests/test_a.py::test_two"], [1, 2]),
        (["tests/test_a.py::test_two[y]"], [2]),
        (["tests/test_a.py::TestC"], [3]),
        (["tests/test_a.py:3"], [0]),
        (["tests/test_a.py:6"], [0]),
        (["tests/test_a.py:7"], [1, 2]),
        (["tests/test_a.py:999"], [3]),
        (["tests/sub", "tests/test_a.py::test_one"], [4, 5, 0]),
        (["tests/sub/test_b.py", "tests"], [4, 5, 0, 1, 2, 3]),
        (["tests/test_empty.py"], []),
    ],
)
def test_what_is_meant_in_the_order_of_the_arguments(root: str, arguments: list[str], expected: list[int]) -> None:
    assert chosen(root, *arguments) == expected


def test_paths_are_relative_to_where_the_command_was_given(root: str) -> None:
    found = parse(["test_b.py::test_one", "../test_a.py"], f"{root}/tests/sub", root)
    assert [argument.path for argument in found] == [f"{root}/tests/sub/test_b.py", f"{root}/tests/test_a.py"]


def test_a_link_to_the_workspace_is_the_workspace(root: str, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(f"{root}/tests")
    assert parse([f"{link}/test_a.py"], root, root)[0].path == f"{root}/tests/test_a.py"


@pytest.mark.parametrize(
    ("argument", "message", "hint"),
    [
        ("tests/test_aa.py", "file or directory not found: tests/test_aa.py", "tests/test_a.py"),
        ("test", "file or directory not found: test", "tests"),
        ("tests/test_aa.py::x", "file or directory not found: tests/test_aa.py::x", "tests/test_a.py"),
        ("tests/test_a.py::test_tow", "not found: tests/test_a.py::test_tow", "tests/test_a.py::test_two"),
        ("tests/test_empty.py::zzz", "not found: tests/test_empty.py::zzz", "has no tests"),
        ("tests/test_a.py:2", "no test at or above the line: tests/test_a.py:2", "the first test is at line 3"),
        ("tests/test_empty.py:2", "no test at or above the line: tests/test_empty.py:2", "the file has no tests"),
        ("tests::x", "not a file: tests (in tests::x)", "needs a file"),
        ("/etc", "not in the workspace", "run testd in that folder"),
    ],
)
def test_what_is_not_there_is_told(root: str, argument: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        chosen(root, argument)
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint
    assert caught.value.exit_code == 4


def test_a_name_in_a_file_that_could_not_be_collected_is_no_mistake_of_the_argument(root: str) -> None:
    assert chosen(root, "tests/test_empty.py::x", broken=(f"{root}/tests/test_empty.py",)) == []


@pytest.mark.parametrize(
    ("collected", "arguments", "expected"),
    [
        ([], [], True),
        (["tests"], [], False),
        ([], ["tests/test_a.py"], True),
        ([], ["tests/test_empty.py"], False),
        ([], ["tests"], False),
        (["tests"], ["tests"], True),
        (["tests"], ["tests/sub"], True),
        (["."], ["tests/sub", "tests/test_a.py"], True),
        (["tests/test_a.py"], ["tests/test_a.py", "tests"], False),
        (["tests/test_empty.py"], ["tests/test_empty.py"], True),
    ],
)
def test_a_larger_collection_serves_a_smaller_wish(
    root: str, collected: list[str], arguments: list[str], expected: bool
) -> None:
    paths = [os.path.normpath(os.path.join(root, path)) for path in collected]
    assert covers(paths, FileIndex(root, IDS), (), parse(arguments, root, root)) is expected


def test_a_folder_in_which_nothing_was_found_is_collected_by_itself(root: str) -> None:
    """The collection above may have passed it over (norecursedirs); asked for by name it counts."""
    os.mkdir(f"{root}/tests/build")
    assert not covers([f"{root}/tests"], FileIndex(root, IDS), (), [Argument("x", f"{root}/tests/build", folder=True)])


def test_a_broken_file_is_covered(root: str) -> None:
    broken = f"{root}/tests/test_empty.py"
    assert covers([], FileIndex(root, IDS), [broken], parse(["tests/test_empty.py"], root, root))
