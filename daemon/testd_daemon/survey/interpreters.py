"""Every Python and every Node.js of this machine. Runs in `testd targets`; asks each what it is, all at once."""

from __future__ import annotations

from collections.abc import Mapping

from testd_daemon.agent import interpreter, nodes
from testd_daemon.errors import EnvironmentFault
from testd_daemon.survey.found import Found, unusable

__all__ = ["node", "python"]


async def python(path: str, environment: Mapping[str, str], deadline: float) -> Found:
    """Say what a Python is and has."""
    try:
        found = await interpreter.ask(path, environment, deadline)
    except EnvironmentFault as error:
        return unusable("python", "", error, path)
    names = {"CPython": found.target.removeprefix("py"), "PyPy": found.target}
    name = names.get(found.implementation, path)
    facts = [] if found.implementation == "CPython" else [found.implementation]
    facts += ["free-threaded"] if found.free_threaded else []
    facts += ["pytest" if found.pytest else "no pytest"] if not found.too_old else []
    old = found.too_old
    return Found(kind="python", name=name, place=path, version=found.version, facts=facts, usable=not old, problem=old)


async def node(path: str, environment: Mapping[str, str], deadline: float) -> Found:
    """Say what a Node.js is."""
    try:
        found = await nodes.ask(path, environment, deadline)
    except EnvironmentFault as error:
        return unusable("node", "", error, path)
    name, old = f"node{found.version.split('.')[0]}", found.too_old
    return Found(kind="node", name=name, place=path, version=found.version, usable=not old, problem=old)
