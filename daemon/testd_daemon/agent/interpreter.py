"""Which Python runs the tests. Runs in the agent and `doctor`; looks at files, and asks an interpreter if it must."""

# An interpreter's path stays as it is written: resolving its links would leave the environment.

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from glob import glob
from typing import Final

import anyio
import msgspec

from testd_daemon.errors import EnvironmentFault, UsageError

__all__ = ["Choice", "Interpreter", "choose", "inspect"]

#: Seconds that an interpreter may take to say what it is.
PROBE_DEADLINE: Final = 20.0
_VERSION = re.compile(r"(?:python|py|cpython-?)?(\d+)\.(\d+)(?:\.\d+)?", re.IGNORECASE)
_PROBE: Final = (
    "import json,platform,importlib.util as u;"
    "print(json.dumps([platform.python_version(),platform.python_implementation(),u.find_spec('pytest') is not None]))"
)


class Choice(msgspec.Struct, frozen=True):
    """An interpreter and why it is the one."""

    path: str
    source: str


class Interpreter(msgspec.Struct, frozen=True):
    """What an interpreter is and has."""

    path: str
    version: str  # 3.12.1
    pytest: bool

    @property
    def target(self) -> str:
        """The name of the target that is this interpreter: `py3.12`."""
        return "py" + ".".join(self.version.split(".")[:2])


def choose(configured: str, source: str, workspace: str, environment: Mapping[str, str], client: str) -> Choice:
    """Return the interpreter that runs a workspace's tests.

    The configured one (`source` says where that was written), else the caller's active virtual environment, else the
    workspace's own, else the one that runs the client. Raises UsageError or EnvironmentFault where it is not there.
    """
    if configured:
        return Choice(_configured(configured, source, workspace, environment), source)
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


async def inspect(path: str, environment: Mapping[str, str]) -> Interpreter:
    """Return what an interpreter is. A virtual environment that holds pytest answers from its files.

    Raises EnvironmentFault where the interpreter does not run.
    """
    return _from_files(path) or await _asked(path, environment)


def _configured(wanted: str, source: str, workspace: str, environment: Mapping[str, str]) -> str:
    version = _VERSION.fullmatch(wanted)
    if version is None or os.sep in wanted:
        path = os.path.join(workspace, os.path.expanduser(wanted)) if os.sep in wanted else None
        found = path or shutil.which(wanted, path=environment.get("PATH"))
        if found and os.path.isdir(found):
            found = os.path.join(found, "bin", "python")
        if not found or not os.access(found, os.X_OK):
            raise UsageError(
                f"{source}: python is {wanted!r}: no such interpreter", hint='give a path, or a version such as "3.12"'
            )
        return found
    for found in _of_version(version[1], version[2], environment):
        return found
    raise UsageError(
        f"{source}: python is {wanted!r}: no python{version[1]}.{version[2]} on PATH or in pyenv's or uv's folders",
        hint="install it, or give the path of an interpreter",
    )


def _of_version(major: str, minor: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield interpreters of a version, the preferred first."""
    name = f"python{major}.{minor}"
    home = environment.get("HOME", os.path.expanduser("~"))
    for folder in environment.get("PATH", "").split(os.pathsep):
        path = os.path.join(folder, name)
        if folder and not folder.rstrip("/").endswith("shims") and os.access(path, os.X_OK):
            yield path
    data = environment.get("XDG_DATA_HOME", os.path.join(home, ".local", "share"))
    pyenv = environment.get("PYENV_ROOT", os.path.join(home, ".pyenv"))
    for pattern in (f"{pyenv}/versions/{major}.{minor}.*", f"{data}/uv/python/cpython-{major}.{minor}.*"):
        for folder in sorted(glob(pattern), key=_natural, reverse=True):
            path = os.path.join(folder, "bin", name)
            if os.access(path, os.X_OK):
                yield path


def _natural(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


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


async def _asked(path: str, environment: Mapping[str, str]) -> Interpreter:
    problem = ""
    try:
        with anyio.fail_after(PROBE_DEADLINE):
            done = await anyio.run_process([path, "-c", _PROBE], env=dict(environment), check=False)
        problem = done.stderr.decode("utf-8", "replace").strip()
        if done.returncode == 0:
            version, _, pytest = json.loads(done.stdout)
            return Interpreter(path, version, bool(pytest))
    except TimeoutError:
        problem = f"it gave no answer for {PROBE_DEADLINE:g} s"
    except (OSError, ValueError) as error:
        problem = str(error)
    raise EnvironmentFault(
        f"{path} does not run as a Python interpreter", hint="repair or remake the environment", detail=problem
    )
