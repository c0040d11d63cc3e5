"""Which Python runs the tests, and why."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest

from testd_daemon.agent.interpreter import choose, inspect
from testd_daemon.errors import EnvironmentFault, UsageError


def executable(path: Path, text: str = "#!/bin/sh\nexit 0\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def environment(root: Path, *, pytest_there: bool = True, version: str = "3.12.1") -> Path:
    python = executable(root / "bin" / "python")
    (root / "pyvenv.cfg").write_text(f"home = /usr/bin\nversion = {version}\n")
    if pytest_there:
        short = version.rpartition(".")[0]
        (root / "lib" / f"python{short}" / "site-packages" / "pytest").mkdir(parents=True)
        (root / "lib" / f"python{short}" / "site-packages" / "pytest" / "__init__.py").write_text("")
    return python


def test_configured_then_active_then_the_workspaces_own_then_the_clients(tmp_path: Path) -> None:
    mine, active = executable(tmp_path / "mine" / "python3"), environment(tmp_path / "active")
    caller = {"VIRTUAL_ENV": str(tmp_path / "active"), "PATH": ""}
    found = choose(str(mine), "pyproject.toml:3", str(tmp_path), caller, sys.executable)
    assert (found.path, found.source) == (str(mine), "pyproject.toml:3")
    found = choose("", "default", str(tmp_path), caller, sys.executable)
    assert (found.path, found.source) == (str(active), "environment variable VIRTUAL_ENV")
    own = environment(tmp_path / "venv")
    assert choose("", "default", str(tmp_path), {"PATH": ""}, sys.executable).path == str(own)
    own = environment(tmp_path / ".venv")
    assert choose("", "default", str(tmp_path), {"PATH": ""}, sys.executable).path == str(own)
    assert choose("", "default", "/", {"PATH": ""}, sys.executable).path == sys.executable


def test_an_environment_may_be_named_in_place_of_its_interpreter(tmp_path: Path) -> None:
    python = environment(tmp_path / "envs" / "a")
    assert choose("envs/a", "testd.toml:1", str(tmp_path), {"PATH": ""}, "").path == str(python)


def test_a_version_is_looked_for_on_path_then_with_pyenv_the_newest_first(tmp_path: Path) -> None:
    for version in ("3.12.9", "3.12.10", "3.1.2"):
        executable(tmp_path / "pyenv" / "versions" / version / "bin" / f"python{version.rpartition('.')[0]}")
    shim = executable(tmp_path / "pyenv" / "shims" / "python3.12")
    caller = {"PYENV_ROOT": str(tmp_path / "pyenv"), "HOME": str(tmp_path), "PATH": str(shim.parent)}
    assert choose("3.12", "x", str(tmp_path), caller, "").path.endswith("/3.12.10/bin/python3.12")
    on_path = executable(tmp_path / "bin" / "python3.12")
    caller["PATH"] = f"{shim.parent}:{on_path.parent}"
    assert choose("python3.12", "x", str(tmp_path), caller, "").path == str(on_path)


@pytest.mark.parametrize(("wanted", "said"), [("3.99", "no python3.99"), ("bin/none", "no such interpreter")])
def test_a_configured_one_that_is_not_there_is_told_with_its_place(tmp_path: Path, wanted: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        choose(wanted, "testd.toml:7", str(tmp_path), {"PATH": "", "HOME": str(tmp_path)}, sys.executable)
    assert caught.value.message.startswith("testd.toml:7: python is ")


def test_nothing_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="no Python interpreter found"):
        choose("", "default", str(tmp_path), {"PATH": ""}, "")


def test_an_environment_with_pytest_answers_from_its_files(tmp_path: Path) -> None:
    """Its interpreter here is a script that knows nothing: it is not asked."""
    python = environment(tmp_path / "e")
    found = anyio.run(inspect, str(python), {})
    assert (found.version, found.pytest, found.target) == ("3.12.1", True, "py3.12")


def test_any_other_is_asked() -> None:
    found = anyio.run(inspect, sys.executable, {})
    assert found.version == "{}.{}.{}".format(*sys.version_info)
    assert found.pytest


def test_what_is_no_interpreter_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="does not run as a Python interpreter"):
        anyio.run(inspect, str(executable(tmp_path / "python")), {})
