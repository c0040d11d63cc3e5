"""What a declaration reads, and what gives an environment another name."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from environment_parts import request

from testd_daemon.agent.environments.declaration import read
from testd_daemon.errors import EnvironmentFault

PROJECT = """
[build-system]
requires = ["hatchling"]
[project]
name = "demo"
version = "1"
[project.optional-dependencies]
fast = ["six"]
[dependency-groups]
base = ["iniconfig"]
test = ["pytest>=8", {include-group = "base"}, "iniconfig"]
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PROJECT)
    return folder


def arguments(root: Path, **fields: object) -> tuple[str, ...]:
    return read(request(root, **fields)).arguments


def test_entries_are_pips_arguments(tmp_path: Path, workspace: Path) -> None:
    (workspace / "r.txt").write_text("")
    given = ("-e .", "pytest >= 8", "-r r.txt", "a; python_version < '3.9'", "--pre")
    expected = ("-e", ".", "pytest >= 8", "-r", "r.txt", "a; python_version < '3.9'", "--pre")
    assert arguments(tmp_path, install=given) == expected


def test_groups_are_resolved_with_what_they_include_each_requirement_once(tmp_path: Path, workspace: Path) -> None:
    assert arguments(tmp_path, install=("six",), groups=("Test", "base")) == ("six", "pytest>=8", "iniconfig")


@pytest.mark.parametrize(
    ("install", "expected"),
    [
        (("pytest", "-e ."), ("pytest", "-e", ".[fast]")),
        (("-e.",), ("-e", ".[fast]")),
        (("--editable=.",), ("-e", ".[fast]")),
        ((".",), (".[fast]",)),
        (("pytest",), ("-e", ".[fast]", "pytest")),
        ((), ("-e", ".[fast]")),
    ],
)
def test_extras_belong_to_the_project_which_they_bring_along(
    tmp_path: Path, workspace: Path, install: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert arguments(tmp_path, install=install, extras=("fast",)) == expected


def test_the_name_says_the_version_and_stays_while_nothing_changes(tmp_path: Path, workspace: Path) -> None:
    first = read(request(tmp_path, install=("-e .",), version="3.9.18"))
    assert first.name.startswith("py3.9-")
    (workspace / "src.py").write_text("a change that no installation sees")
    os.utime(workspace / "pyproject.toml", (1, 1))
    assert read(request(tmp_path, install=("-e .",), version="3.9.18")).name == first.name
    # by whom and from where it is built does not matter
    other = request(tmp_path, install=("-e .",), version="3.9.18", environment={}, target="other", source="")
    assert read(other).name == first.name


def changed(root: Path, change: Callable[[], object], **fields: object) -> bool:
    before = read(request(root, **fields)).name
    change()
    return read(request(root, **fields)).name != before


def test_the_project_file_counts_as_far_as_it_steers_an_installation(tmp_path: Path, workspace: Path) -> None:
    file = workspace / "pyproject.toml"

    def add(text: str) -> Callable[[], object]:
        return lambda: file.write_text(file.read_text() + text)

    assert not changed(tmp_path, add("[tool.ruff]\nline-length = 100\n[tool.testd]\njobs = 2\n"), install=("-e .",))
    assert not changed(tmp_path, add("[tool.pytest.ini_options]\n"), install=("-e .",))
    assert changed(tmp_path, add("[tool.hatch.envs.x]\na = 1\n"), install=("-e .",))
    assert changed(tmp_path, add("[tool.unheard-of]\na = 1\n"), install=("-e .",))
    assert not changed(tmp_path, add("[tool.hatch.other]\n"), install=("pytest",))
    assert changed(tmp_path, lambda: file.write_text(file.read_text().replace("six", "seven")), install=("-e .",))
    assert not changed(tmp_path, lambda: file.write_text(file.read_text().replace('>=8"', '>=7"')), install=("-e .",))
    assert changed(tmp_path, lambda: file.write_text(file.read_text().replace('>=7"', '>=6"')), groups=("test",))


def test_other_metadata_and_files_that_it_names_count(tmp_path: Path, workspace: Path) -> None:
    (workspace / "pyproject.toml").write_text(
        '[project]\nname = "x"\ndynamic = ["dependencies"]\n'
        '[tool.setuptools.dynamic]\ndependencies = {file = ["deps.txt"]}\n'
    )
    assert changed(tmp_path, (workspace / "deps.txt").touch, install=("-e .",))
    assert changed(tmp_path, lambda: (workspace / "deps.txt").write_text("six\n"), install=("-e .",))
    assert changed(tmp_path, (workspace / "setup.py").touch, install=("-e .",))
    assert changed(tmp_path, lambda: (workspace / "setup.cfg").write_text("[options]\n"), install=("-e .",))


def test_native_sources_count_where_the_project_compiles_something(tmp_path: Path, workspace: Path) -> None:
    source = workspace / "src" / "fast.c"
    source.parent.mkdir()
    assert not changed(tmp_path, lambda: source.write_text("int a;"), install=("-e .",))
    (workspace / "setup.py").write_text("setup(ext_modules=[Extension('fast', ['src/fast.c'])])")
    assert changed(tmp_path, lambda: source.write_text("int b;"), install=("-e .",))
    assert not changed(tmp_path, lambda: (workspace / "src" / "a.py").write_text("x = 1"), install=("-e .",))
    assert changed(tmp_path, (workspace / "src" / "quick.pyx").touch, install=("-e .",))
    assert not changed(tmp_path, lambda: (workspace / "src" / "quick.c").write_text("generated"), install=("-e .",))


def test_what_is_no_file_is_not_waited_for(tmp_path: Path, workspace: Path) -> None:
    os.mkfifo(workspace / "pipe")
    assert not changed(tmp_path, lambda: os.mkfifo(workspace / "setup.cfg"), install=("-e .",))
    read(request(tmp_path, install=(".",)))


def test_of_a_large_file_the_time_counts(tmp_path: Path, workspace: Path) -> None:
    data = workspace / "data.bin"
    with data.open("wb") as file:
        file.truncate(5 * 1024 * 1024)
    os.utime(data, (1, 1))
    assert changed(tmp_path, lambda: os.utime(data, (2, 2)), install=(".",))


def test_of_a_project_that_is_copied_every_file_counts(tmp_path: Path, workspace: Path) -> None:
    assert changed(tmp_path, lambda: (workspace / "a.py").write_text("x = 1"), install=(".",))
    assert not changed(tmp_path, (workspace / ".git").mkdir, install=(".",))
    (workspace / "__pycache__").mkdir()
    assert not changed(tmp_path, (workspace / "__pycache__" / "a.pyc").touch, install=(".",))


def test_requirements_files_count_with_what_they_include(tmp_path: Path, workspace: Path) -> None:
    (workspace / "requirements").mkdir()
    (workspace / "requirements" / "all.txt").write_text("-r base.txt  # with\n--constraint=limits.txt\nsix \\\n  >=1\n")
    (workspace / "requirements" / "base.txt").write_text("# nothing\n-r all.txt\n-e ./lib[x]\n")
    (workspace / "requirements" / "limits.txt").write_text("six<2\n")
    (workspace / "lib").mkdir()
    given = ("-r requirements/all.txt",)
    assert changed(tmp_path, lambda: (workspace / "requirements" / "limits.txt").write_text("six<3\n"), install=given)
    assert changed(tmp_path, lambda: (workspace / "requirements" / "base.txt").write_text("-e ./lib\n"), install=given)
    assert changed(tmp_path, lambda: (workspace / "lib" / "setup.cfg").write_text("[metadata]\n"), install=given)
    assert not changed(tmp_path, lambda: (workspace / "requirements" / "other.txt").write_text("x\n"), install=given)


def test_the_interpreter_counts(tmp_path: Path, workspace: Path) -> None:
    names = {
        read(request(tmp_path, python=python, version=version)).name
        for python in ("/usr/bin/python3", "/opt/bin/python3")
        for version in ("3.12.1", "3.12.2")
    }
    assert len(names) == 4


@pytest.mark.parametrize(
    ("fields", "message", "hint"),
    [
        ({"install": ("-r none.txt",)}, r"pyproject.toml:4: install: none.txt: No such file", "relative to the file"),
        ({"install": ("-e lib",)}, r"install: lib: there is no .*/workspace/lib", "relative to the workspace"),
        ({"install": ("./lib",)}, r"install: ./lib: there is no ", "relative to the workspace"),
        ({"install": ("--target=/x",)}, r"--target=/x: --target cannot be used here", "an environment of its own"),
        ({"install": ("-t /x",)}, r"-t cannot be used here", "an environment of its own"),
        ({"install": (" ",)}, r"install: an empty entry", "such as"),
        ({"extras": ("quick",)}, r"extras: the project has no extra 'quick'", "its extras are fast"),
        ({"groups": ("tests",)}, r"groups: there is no dependency group 'tests'", "the groups are base, test"),
    ],
)
def test_what_is_not_there_is_told_with_its_place(
    tmp_path: Path, workspace: Path, fields: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(EnvironmentFault, match=message) as caught:
        read(request(tmp_path, **fields))
    assert hint in caught.value.hint


def test_a_file_that_includes_what_is_not_there_is_named_with_the_line(tmp_path: Path, workspace: Path) -> None:
    (workspace / "r.txt").write_text("six\n\n-c none.txt\n")
    with pytest.raises(EnvironmentFault, match=r"workspace/r.txt:3: none.txt: No such file"):
        read(request(tmp_path, install=("-r r.txt",)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[project]\nname = "x"\n', "has no \\[dependency-groups\\]"),
        ('[dependency-groups]\ntest = [{include-group = "test"}]\n', "(?i)cycl"),
        ('[dependency-groups]\ntest = [{include-group = "none"}]\n', "none"),
        ('[dependency-groups]\ntest = ["?"]\n', "dependency-groups"),
        ('[dependency-groups]\ntest = "six"\n', "dependency-groups"),
        ("[dependency-groups\n", "not valid TOML"),
    ],
)
def test_groups_that_make_no_sense_are_told(tmp_path: Path, workspace: Path, text: str, message: str) -> None:
    (workspace / "pyproject.toml").write_text(text)
    with pytest.raises(EnvironmentFault, match=message):
        read(request(tmp_path, groups=("test",)))


def test_extras_that_the_build_backend_finds_out_are_left_to_it(tmp_path: Path, workspace: Path) -> None:
    (workspace / "pyproject.toml").write_text('[project]\nname = "x"\ndynamic = ["optional-dependencies"]\n')
    assert arguments(tmp_path, extras=("any",)) == ("-e", ".[any]")
    (workspace / "pyproject.toml").unlink()
    assert arguments(tmp_path, extras=("any",)) == ("-e", ".[any]")
