"""Which Python runs the tests, and why."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from pathlib import Path

import anyio
import psutil
import pytest

import interpreters
from house import survivors
from testd_daemon.agent import pythons
from testd_daemon.agent.interpreter import Choice, ask, choose, find, inspect, program
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
    assert choose("3.12.9", "x", str(tmp_path), caller, "").path.endswith("/3.12.9/bin/python3.12")
    on_path = executable(tmp_path / "bin" / "python3.12")
    caller["PATH"] = f"{shim.parent}:{on_path.parent}"
    assert choose("python3.12", "x", str(tmp_path), caller, "").path == str(on_path)


@pytest.mark.parametrize(("wanted", "said"), [("3.99", "no python3.99"), ("bin/none", "no such interpreter")])
def test_a_configured_one_that_is_not_there_is_told_with_its_place(tmp_path: Path, wanted: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        choose(wanted, "testd.toml:7", str(tmp_path), {"PATH": "", "HOME": str(tmp_path)}, sys.executable)
    assert caught.value.message.startswith("testd.toml:7: python is ")


@pytest.mark.parametrize(
    ("wanted", "name"),
    [("3.12", "python3.12"), ("3.13t", "python3.13t"), ("3", "python3"), ("", ""), ("~/v/bin/py", "~/v/bin/py")],
)
def test_where_nothing_can_be_searched_a_version_is_the_name_of_a_program(wanted: str, name: str) -> None:
    """`python = "3.12"` for a host was told as `there is no 3.12`."""
    assert program(wanted) == name


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


# ── asked, and not taken at their name ───────────────────────────────────────────────────────────────────────────────


def pretends(path: Path, answer: str) -> Path:
    """An interpreter that says what it is told to say."""
    return executable(path, f"#!/bin/sh\nprintf '%s' {shlex.quote(answer)}\n")


def says(version: str, *, free_threaded: bool = False, implementation: str = "CPython") -> str:
    return f'["{version}", "{implementation}", true, {"true" if free_threaded else "false"}]'


@pytest.mark.parametrize("version", sorted(interpreters.found()))
def test_every_version_is_found_by_its_number_and_says_so(version: str) -> None:
    caller = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    choice, found = anyio.run(find, choose(version, "x", "/", caller, ""), caller)
    assert f"{found.version}.".startswith(f"{version}.")
    assert (found.target, found.implementation, found.too_old) == (f"py{version}", "CPython", "")
    assert choice.path == found.path
    assert choice.path in list(pythons.of_version(version, caller))


def test_one_that_is_broken_or_another_version_makes_way_for_the_next(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("broken", "other", "free", "right")]
    executable(folders[0] / "python3.12", "#!/bin/sh\necho 'error while loading shared libraries' >&2\nexit 127\n")
    pretends(folders[1] / "python3.12", says("3.11.4"))
    pretends(folders[2] / "python3.12", says("3.12.4", free_threaded=True))
    right = pretends(folders[3] / "python3.12", says("3.12.4"))
    caller = {"PATH": ":".join(map(str, folders)) + ":/usr/bin:/bin", "HOME": str(tmp_path)}
    chosen = choose("3.12", "testd.toml:1", str(tmp_path), caller, "")
    assert chosen.path == str(folders[0] / "python3.12")
    choice, found = anyio.run(find, chosen, caller)
    assert (choice.path, choice.source, found.version) == (str(right), "testd.toml:1", "3.12.4")


def test_where_none_works_the_first_is_told_with_what_it_printed(tmp_path: Path) -> None:
    broken = executable(tmp_path / "bin" / "python3.99", "#!/bin/sh\necho 'no such library' >&2\nexit 127\n")
    caller = {"PATH": f"{broken.parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    with pytest.raises(EnvironmentFault, match="does not run as a Python interpreter") as caught:
        anyio.run(find, choose("3.99", "x", str(tmp_path), caller, ""), caller)
    assert caught.value.detail == "no such library"


def test_a_path_is_never_replaced_by_another_interpreter(tmp_path: Path) -> None:
    broken = executable(tmp_path / "python3.12", "#!/bin/sh\nexit 1\n")
    with pytest.raises(EnvironmentFault, match=str(broken)):
        anyio.run(find, Choice(str(broken), "x"), dict(os.environ))


def test_an_exact_version_is_held_to(tmp_path: Path) -> None:
    python = pretends(tmp_path / "bin" / "python3.12", says("3.12.4"))
    caller = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
    assert anyio.run(find, choose("3.12.4", "x", "/", caller, ""), caller)[1].version == "3.12.4"
    with pytest.raises(EnvironmentFault, match=r"is Python 3.12.4, and 3.12.5 is wanted"):
        anyio.run(find, choose("3.12.5", "x", "/", caller, ""), caller)


def test_a_free_threaded_one_is_another_version(tmp_path: Path) -> None:
    data = tmp_path / "uv" / "python"
    free = pretends(
        data / "cpython-3.13.1+freethreaded-linux-x86_64-gnu" / "bin" / "python3.13t",
        says("3.13.1", free_threaded=True),
    )
    for link in ("python3", "python3.13"):
        (free.parent / link).symlink_to(free.name)
    usual = pretends(data / "cpython-3.13.0-linux-x86_64-gnu" / "bin" / "python3.13", says("3.13.0"))
    (usual.parent / "python3").symlink_to(usual.name)
    caller = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    assert choose("3.13", "x", "/", caller, "").path == str(usual)
    choice, found = anyio.run(find, choose("3.13t", "x", "/", caller, ""), caller)
    assert (choice.path, found.target) == (str(free), "py3.13t")


@pytest.mark.parametrize("wanted", ["pypy3.10", "pypy-3.10", "PyPy3.10.14"])
def test_pypy_is_found_by_its_name_and_never_taken_for_another_python(tmp_path: Path, wanted: str) -> None:
    answer = says("3.10.14", implementation="PyPy")
    pypy = pretends(tmp_path / ".pyenv" / "versions" / "pypy3.10.14-7.3.17" / "bin" / "pypy3.10", answer)
    for link in ("python3", "python3.10"):
        (pypy.parent / link).symlink_to(pypy.name)
    usual = pretends(tmp_path / ".pyenv" / "versions" / "3.10.1" / "bin" / "python3.10", says("3.10.1"))
    (usual.parent / "python3").symlink_to(usual.name)
    caller = {"PATH": "/bin", "HOME": str(tmp_path)}
    choice, found = anyio.run(find, choose(wanted, "x", "/", caller, ""), caller)
    assert (choice.path, found.target) == (str(pypy), "pypy3.10")
    assert anyio.run(find, choose("3.10", "x", "/", caller, ""), caller)[1].target == "py3.10"
    usual.unlink()
    with pytest.raises(EnvironmentFault, match=r"is PyPy 3\.10\.14, and 3\.10 is wanted"):
        anyio.run(find, choose("3.10", "x", "/", caller, ""), caller)


@pytest.mark.parametrize("wanted", ["3.13t", "pypy3.10"])
def test_one_that_is_not_here_is_said_with_where_it_was_looked_for(tmp_path: Path, wanted: str) -> None:
    with pytest.raises(UsageError, match=rf"--target {wanted}: .*: no (python)?{wanted} on PATH, in the folders of "):
        choose(wanted, f"--target {wanted}", "/", {"PATH": "", "HOME": str(tmp_path)}, "")


@pytest.mark.parametrize("folder", [".asdf/installs/python/3.12.1", ".local/share/mise/installs/python/3.12.1"])
def test_folders_of_other_version_managers_are_looked_into(tmp_path: Path, folder: str) -> None:
    python = pretends(tmp_path / folder / "bin" / "python3.99", says("3.99.0"))
    assert choose("3.99", "x", "/", {"PATH": "", "HOME": str(tmp_path)}, "").path == str(python)


def test_one_that_is_too_old_is_told_in_its_own_words(tmp_path: Path) -> None:
    old = pretends(tmp_path / "python2.7", says("2.7.18"))
    with pytest.raises(EnvironmentFault, match=r"is Python 2.7.18; 3.8 is the oldest that works"):
        anyio.run(inspect, str(old), dict(os.environ))
    assert anyio.run(ask, str(old), dict(os.environ)).too_old == "3.8 is the oldest that works"


def test_one_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    """A script that waited for a child of its own left that child behind when only the script was killed."""
    hanging = executable(tmp_path / "python", f"#!/bin/sh\nsleep 1000 & echo $! > {tmp_path}/pid\nwait\n")
    with pytest.raises(EnvironmentFault) as caught:
        anyio.run(inspect, str(hanging), dict(os.environ), 2.0)
    assert caught.value.detail == "it gave no answer for 2 s"
    pid = tmp_path / "pid"
    if pid.exists():  # it may have been ended before it came so far
        with contextlib.suppress(psutil.NoSuchProcess):
            assert not survivors([psutil.Process(int(pid.read_text()))], 20.0)


@pytest.mark.parametrize("answer", ["", "{}", "[1]", "3.12", "null"])
def test_one_that_answers_nonsense_is_told(tmp_path: Path, answer: str) -> None:
    with pytest.raises(EnvironmentFault, match="does not run as a Python interpreter"):
        anyio.run(inspect, str(pretends(tmp_path / "python", answer)), dict(os.environ))


def test_pypy_is_named_so(tmp_path: Path) -> None:
    python = pretends(tmp_path / "pypy3", says("3.10.14", implementation="PyPy"))
    assert anyio.run(inspect, str(python), dict(os.environ)).target == "pypy3.10"


# ── all there are ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_is_listed_once_and_an_environment_beside_its_interpreter(tmp_path: Path) -> None:
    base = pretends(tmp_path / "bin" / "python3.99", says("3.99.0"))
    for link in ("python3", "python"):
        (base.parent / link).symlink_to(base.name)
    own = tmp_path / "env" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.symlink_to(base)
    (tmp_path / "env" / "pyvenv.cfg").write_text("home = x\n")
    shim = executable(tmp_path / ".pyenv" / "shims" / "python3.98")
    caller = {"PATH": f"{shim.parent}:{base.parent}:{own.parent}:relative", "HOME": str(tmp_path)}
    listed = [path for path in pythons.everywhere(caller) if path.startswith(str(tmp_path))]
    assert listed == [str(base), str(own)]


def test_a_folder_that_cannot_be_read_hides_nothing(tmp_path: Path) -> None:
    base = pretends(tmp_path / "bin" / "python3.99", says("3.99.0"))
    file = executable(tmp_path / "file")
    assert str(base) in pythons.everywhere({"PATH": f"{file}:{tmp_path}/none:{base.parent}", "HOME": "/none"})
