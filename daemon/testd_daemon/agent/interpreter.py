"""Which Python runs the tests. Runs in the agent and `doctor`; looks at files, and asks an interpreter if it must."""

# An interpreter's path stays as it is written: resolving its links would leave the environment.

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from typing import Final

import msgspec

from testd_daemon import command
from testd_daemon.agent import pythons
from testd_daemon.errors import EnvironmentFault, UsageError

__all__ = ["LEAST", "Choice", "Interpreter", "ask", "choose", "find", "inspect", "program"]

#: Seconds that an interpreter may take to say what it is.
PROBE_DEADLINE: Final = 20.0
#: The oldest version that runs tests.
LEAST: Final = (3, 8)
_VERSION: Final = re.compile(r"(?:python|py|cpython-?|(pypy)-?)?(\d+\.\d+)(\.\d+)?(t?)", re.IGNORECASE)
#: Understood by every Python there is, so that an old one can be told by its version.
_PROBE: Final = """
import json, platform, sys
pytest = threads = False
try:
    from importlib.util import find_spec
    pytest = find_spec("pytest") is not None
    from sysconfig import get_config_var
    threads = bool(get_config_var("Py_GIL_DISABLED"))
except Exception:
    pass
print(json.dumps([platform.python_version(), platform.python_implementation(), pytest, threads]))
"""


def program(wanted: str) -> str:
    """Return what an interpreter is called in a place that cannot be searched: a version's usual name, else itself."""
    return f"python{wanted}" if re.fullmatch(r"\d+(\.\d+)?t?", wanted) else wanted


class Choice(msgspec.Struct, frozen=True):
    """An interpreter and why it is the one."""

    path: str
    source: str
    wanted: str = ""  # the version that was asked for (3.12, 3.13t, pypy3.10): another one of it would do


class Interpreter(msgspec.Struct, frozen=True):
    """What an interpreter is and has."""

    path: str
    version: str  # 3.12.1
    pytest: bool
    implementation: str = "CPython"
    free_threaded: bool = False

    @property
    def target(self) -> str:
        """The name of the target that is this interpreter: `py3.12`, `py3.13t`, `pypy3.10`."""
        name = "pypy" if self.implementation == "PyPy" else "py"
        return name + ".".join(self.version.split(".")[:2]) + "t" * self.free_threaded

    @property
    def too_old(self) -> str:
        """Why its version will not do; empty if it will."""
        if tuple(int(part) for part in self.version.split(".")[:2]) < LEAST:
            return f"{LEAST[0]}.{LEAST[1]} is the oldest that works"
        return ""


def choose(configured: str, source: str, workspace: str, environment: Mapping[str, str], client: str) -> Choice:
    """Return the interpreter that runs a workspace's tests.

    The configured one (`source` says where that was written), else the caller's active virtual environment, else the
    workspace's own, else the one that runs the client. Raises UsageError or EnvironmentFault where it is not there.
    """
    if configured:
        return _configured(configured, source, workspace, environment)
    active = environment.get("VIRTUAL_ENV", "")
    if active:
        path = os.path.join(active, "bin", "python")
        if not os.access(path, os.X_OK):
            raise EnvironmentFault(
                f"VIRTUAL_ENV is {active}, which has no bin/python",
                hint="activate an environment that exists, or unset VIRTUAL_ENV",
            )
        return Choice(path, "environment variable VIRTUAL_ENV")
    for folder in (".venv", "venv"):
        path = os.path.join(workspace, folder, "bin", "python")
        if os.access(path, os.X_OK) and os.path.exists(os.path.join(workspace, folder, "pyvenv.cfg")):
            return Choice(path, f"the workspace's {folder}")
    if client and os.access(client, os.X_OK):
        return Choice(client, "the interpreter of the testd command")
    found = shutil.which("python3", path=environment.get("PATH"))
    if found:
        return Choice(found, "PATH")
    raise EnvironmentFault(
        "no Python interpreter found", hint='make a virtual environment in .venv, or set python = "PATH" for testd'
    )


async def find(choice: Choice, environment: Mapping[str, str]) -> tuple[Choice, Interpreter]:
    """Return the choice that holds and what it is.

    Where a version was asked for and the first interpreter of that name does not work, or is another one, the next is
    taken. Raises EnvironmentFault with what is wrong about the first where none works.
    """
    try:
        return choice, await _wanted(choice.path, choice.wanted, environment)
    except EnvironmentFault:
        if not choice.wanted:
            raise
        for path in pythons.of_version(_named(choice.wanted), environment):
            if path == choice.path:
                continue
            try:
                return Choice(path, choice.source, choice.wanted), await _wanted(path, choice.wanted, environment)
            except EnvironmentFault:
                continue
        raise


async def inspect(path: str, environment: Mapping[str, str], deadline: float = PROBE_DEADLINE) -> Interpreter:
    """Return what an interpreter is. A virtual environment that holds pytest answers from its files.

    Raises EnvironmentFault where the interpreter does not run, not within `deadline` seconds, or is too old.
    """
    found = await ask(path, environment, deadline)
    if found.too_old:
        raise EnvironmentFault(f"{path} is Python {found.version}; {found.too_old}", hint="choose a newer interpreter")
    return found


async def ask(path: str, environment: Mapping[str, str], deadline: float = PROBE_DEADLINE) -> Interpreter:
    """Return what an interpreter is, however old. Raises EnvironmentFault where it does not run, or not in time."""
    return _from_files(path) or await _asked(path, environment, deadline)


async def _wanted(path: str, wanted: str, environment: Mapping[str, str]) -> Interpreter:
    """Return what an interpreter is. Raises EnvironmentFault where it is not the version that is wanted."""
    found = await inspect(path, environment)
    if wanted:
        version, free = wanted.removeprefix("pypy").rstrip("t"), wanted.endswith("t")
        right = found.implementation == ("PyPy" if wanted.startswith("pypy") else "CPython")
        if not f"{found.version}.".startswith(f"{version}.") or free != found.free_threaded or not right:
            kind = "Python" if found.implementation == "CPython" else found.implementation
            said = f"{kind} {found.version}" + " (free-threaded)" * found.free_threaded
            raise EnvironmentFault(
                f"{path} is {said}, and {wanted} is wanted",
                hint="install it, or give the path of an interpreter",
            )
    return found


def _configured(wanted: str, source: str, workspace: str, environment: Mapping[str, str]) -> Choice:
    version = _VERSION.fullmatch(wanted)
    if version is None:
        path = os.path.join(workspace, os.path.expanduser(wanted)) if os.sep in wanted else None
        found = path or shutil.which(wanted, path=environment.get("PATH"))
        if found and os.path.isdir(found):
            found = os.path.join(found, "bin", "python")
        if not found or not os.access(found, os.X_OK):
            raise UsageError(
                f"{source}: python is {wanted!r}: no such interpreter", hint='give a path, or a version such as "3.12"'
            )
        return Choice(found, source)
    exact = f"{(version[1] or '').lower()}{version[2]}{version[3] or ''}{version[4].lower()}"
    found = ""
    for path in pythons.of_version(_named(exact), environment):
        found = found or path
        if not version[3] or re.search(rf"\b{re.escape(exact)}\b", os.path.dirname(path)):
            return Choice(path, source, exact)
    if found:
        return Choice(found, source, exact)  # its folder does not say which it is: `find` asks
    raise UsageError(
        f"{source}: python is {wanted!r}: no {pythons.name_of(_named(exact))} on PATH, in the folders of pyenv, uv, "
        "asdf, mise and rye, or in the usual places",
        hint="install it, or give the path of an interpreter",
    )


def _named(version: str) -> str:
    """Return the version in an interpreter's name: 3.13t for 3.13.0t, pypy3.10 for pypy3.10.14."""
    return ".".join(version.rstrip("t").split(".")[:2]) + "t" * version.endswith("t")


def _from_files(path: str) -> Interpreter | None:
    """Read a virtual environment's own description: no process is started."""
    prefix = os.path.dirname(os.path.dirname(path))
    try:
        with open(os.path.join(prefix, "pyvenv.cfg"), encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return None
    version = re.search(r"^version(?:_info)?\s*=\s*(\d+\.\d+\.\d+)", text, re.MULTILINE)
    if version is None:
        return None
    short = version[1].rpartition(".")[0]
    if os.path.exists(os.path.join(prefix, "lib", f"python{short}", "site-packages", "pytest", "__init__.py")):
        return Interpreter(path, version[1], pytest=True)
    return None


async def _asked(path: str, environment: Mapping[str, str], deadline: float) -> Interpreter:
    problem = ""
    try:
        done = await command.run([path, "-c", _PROBE], deadline=deadline, env=environment)
        problem = done.error
        if done.status == 0:
            version, implementation, pytest, free_threaded = json.loads(done.output)
            return Interpreter(path, version, bool(pytest), implementation, bool(free_threaded))
    except TimeoutError:
        problem = f"it gave no answer for {deadline:g} s"
    except (OSError, ValueError, TypeError) as error:
        problem = str(error)
    raise EnvironmentFault(
        f"{path} does not run as a Python interpreter", hint="repair or remake the environment", detail=problem
    )
