"""Where Node.js is on this machine, and which one is wanted. Runs in the agent and in `testd targets`.

There is no library for it: each version manager keeps its versions in folders of its own.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from glob import escape, glob
from typing import Final

import anyio
import msgspec

from testd_daemon import command
from testd_daemon.errors import EnvironmentFault, UsageError

__all__ = ["LEAST", "Node", "ask", "everywhere", "find", "inspect"]

#: The oldest version that runs tests.
LEAST: Final = 18
#: Seconds that a Node.js may take to say what it is.
PROBE_DEADLINE: Final = 20.0
_VERSION: Final = re.compile(r"v?(\d+(?:\.\d+){0,2})")
_SHIMS: Final = re.compile(r"(^|/)shims/?$")
_PROBE: Final = "console.log(JSON.stringify([process.version, process.execPath]))"


class Node(msgspec.Struct, frozen=True):
    """One Node.js."""

    path: str
    version: str  # 22.11.0
    executable: str  # what `path` leads to, through shims and links

    @property
    def too_old(self) -> str:
        """Why its version will not do; empty if it will."""
        return f"{LEAST} is the oldest that works" if int(self.version.split(".")[0]) < LEAST else ""


#: What is known of those that were asked, by program and its time: asking costs as much as a small run.
_known: dict[tuple[str, str, int], Node] = {}


def everywhere(environment: Mapping[str, str], workspace: str) -> list[str]:
    """Return one path of every Node.js that can be found: the workspace's own, on PATH, of version managers."""
    found: dict[str, str] = {}
    for path in _candidates(environment, workspace):
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            found.setdefault(os.path.realpath(path), path)
    return list(found.values())


async def find(wanted: str, source: str, workspace: str, environment: Mapping[str, str]) -> Node:
    """Return the Node.js that is wanted: a path, a version such as 22 or 20.11 (the newest of it), or any on PATH.

    `source` says where that is written. Raises UsageError where there is none, EnvironmentFault where it does not run
    or is too old.
    """
    version = _VERSION.fullmatch(wanted)
    if os.sep in wanted:
        path = _program(wanted, workspace)
        if not path:
            text = f"{source}: node is {wanted!r}: no such program"
            raise UsageError(text, hint="give a path, or a version such as 22")
        return await inspect(path, environment)
    if version is None and wanted not in ("", "node"):
        raise UsageError(f"{source}: node is {wanted!r}", hint='give a path, or a version such as "22"')
    paths = everywhere(environment, workspace)
    if version is not None:
        found = await _all([path for path in paths if _may_be(path, version[1])], environment)
        found = sorted((node for node in found if _matches(node.version, version[1])), key=_newest_last)[-1:]
    else:
        found = await _all(paths, environment)
    if not found:
        what = f"no Node.js {version[1]}" if version else "no Node.js"
        raise UsageError(
            f"{source}: {what} in the workspace's node_modules, on PATH, or in the folders of nvm, fnm, volta, n, "
            "nodenv, asdf and mise",
            hint=f"install it (such as: npm install --save-dev node@{version[1] if version else 22}), or give its path",
        )
    return found[0]


async def inspect(path: str, environment: Mapping[str, str], deadline: float = PROBE_DEADLINE) -> Node:
    """Return what a Node.js is. Raises EnvironmentFault where it does not run, not in time, or is too old."""
    found = await ask(path, environment, deadline)
    if found.too_old:
        raise EnvironmentFault(f"{path} is Node.js {found.version}; {found.too_old}", hint="choose a newer one")
    return found


async def ask(path: str, environment: Mapping[str, str], deadline: float = PROBE_DEADLINE) -> Node:
    """Return what a Node.js is, however old. Raises EnvironmentFault where it does not run, or not in time."""
    problem = ""
    try:
        key = _key(path)
        if key in _known:
            return _known[key]
        done = await command.run([path, "-e", _PROBE], deadline=deadline, env=environment)
        problem = done.error
        if done.status == 0:
            version, executable = json.loads(done.output)
            found = Node(path, str(version).removeprefix("v"), str(executable))
            if _leads_to(key, found):
                _known[key] = found
            return found
    except TimeoutError:
        problem = f"it gave no answer for {deadline:g} s"
    except (OSError, ValueError, TypeError) as error:
        problem = str(error)
    raise EnvironmentFault(f"{path} does not run as Node.js", hint="install it anew", detail=problem)


async def _all(paths: list[str], environment: Mapping[str, str]) -> list[Node]:
    """Ask every Node.js at once; those that do not work are left out. In the order in which they are preferred."""
    found: dict[str, Node] = {}

    async def ask(path: str) -> None:
        try:
            found[path] = await inspect(path, environment)
        except EnvironmentFault:
            return

    async with anyio.create_task_group() as tasks:
        for path in paths:
            tasks.start_soon(ask, path)
    return [found[path] for path in paths if path in found]


def _program(path: str, workspace: str) -> str:
    """Return the whole path of a program, empty if it is none."""
    whole = os.path.join(workspace, os.path.expanduser(path))
    return whole if os.access(whole, os.X_OK) and not os.path.isdir(whole) else ""


def _candidates(environment: Mapping[str, str], workspace: str) -> Iterator[str]:
    yield from sorted(glob(os.path.join(escape(workspace), "node_modules", "node*", "bin", "node")))
    yield os.path.join(workspace, "node_modules", ".bin", "node")
    for folder in environment.get("PATH", "").split(os.pathsep):
        if os.path.isabs(folder) and not _SHIMS.search(folder):
            yield os.path.join(folder, "node")
    for pattern in _managers(environment):
        yield from sorted(glob(pattern), key=_natural, reverse=True)


def _managers(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield where version managers keep their versions."""
    home = environment.get("HOME") or os.path.expanduser("~")
    data = environment.get("XDG_DATA_HOME") or os.path.join(home, ".local", "share")

    def folder(variable: str, *otherwise: str) -> str:
        return escape(environment.get(variable) or os.path.join(*otherwise))

    yield f"{folder('NVM_DIR', home, '.nvm')}/versions/node/*/bin/node"
    for fnm in (folder("FNM_DIR", data, "fnm"), f"{escape(home)}/.fnm"):
        yield f"{fnm}/node-versions/*/installation/bin/node"
    yield f"{escape(home)}/Library/Application Support/fnm/node-versions/*/installation/bin/node"
    yield f"{folder('VOLTA_HOME', home, '.volta')}/tools/image/node/*/bin/node"
    yield f"{folder('N_PREFIX', '/usr/local')}/n/versions/node/*/bin/node"
    yield f"{folder('NODENV_ROOT', home, '.nodenv')}/versions/*/bin/node"
    yield f"{folder('ASDF_DATA_DIR', home, '.asdf')}/installs/nodejs/*/bin/node"
    yield f"{folder('MISE_DATA_DIR', data, 'mise')}/installs/node/*/bin/node"
    yield "/usr/local/bin/node"
    yield "/usr/bin/node"
    yield "/opt/homebrew/opt/node@*/bin/node"


def _key(path: str) -> tuple[str, str, int]:
    real = os.path.realpath(path)
    return path, real, os.stat(real).st_mtime_ns


def _leads_to(key: tuple[str, str, int], found: Node) -> bool:
    """Tell whether a path is the program itself; a shim is another one tomorrow."""
    return os.path.realpath(found.executable) == key[1]


def _may_be(path: str, wanted: str) -> bool:
    """Tell whether a Node.js could be of a version, by the name of its folder where that is one."""
    named = re.search(r"/v?(\d+\.\d+\.\d+)/", path)
    return named is None or _matches(named[1], wanted)


def _matches(version: str, wanted: str) -> bool:
    return f"{version}.".startswith(f"{wanted}.")


def _newest_last(node: Node) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", node.version)]


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
