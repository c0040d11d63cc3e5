"""The targets that a workspace has configured, and whether each could run tests now. Runs in `testd targets`.

Nothing is made, fetched or connected to; a host is only asked where that is wanted.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path

import anyio.to_thread
import msgspec

from testd_daemon.agent import interpreter, kind, nodes
from testd_daemon.agent.engine import find as find_engine
from testd_daemon.agent.environment import for_user_code
from testd_daemon.agent.environments import EnvironmentRequest, Failure, known
from testd_daemon.config import Resolved, Settings, Target
from testd_daemon.errors import EnvironmentFault, TestdError
from testd_daemon.reports import words
from testd_daemon.survey import engines, hosts
from testd_daemon.survey.found import Found, unusable

__all__ = ["Asked", "look", "targets"]


class Asked(msgspec.Struct, frozen=True):
    """For whom and where it is looked, and how far."""

    workspace: str
    environment: Mapping[str, str]
    cache: str
    check: bool  # connect to hosts
    deadline: float  # seconds for each question


def targets(resolved: Resolved) -> list[Target]:
    """Return the target that is always there and those that have a table."""
    return [resolved.base, *resolved.targets.values()]


async def look(target: Target, asked: Asked) -> Found:
    """Say what a target is and whether it is usable."""
    settings = target.settings
    try:
        if settings.docker:
            return await _container(target, asked)
        if settings.ssh:
            return await _host(target, asked)
        if settings.node:
            return await _node(target, asked)
        return await _python(target, asked)
    except TestdError as error:
        return unusable("target", target.name, error)


async def _container(target: Target, asked: Asked) -> Found:
    settings = target.settings
    client = find_engine(settings.engine, asked.environment)
    place = f"{client.name}:{settings.docker}"
    engine = await engines.engine(client.name, asked.environment, asked.deadline)
    if not engine.usable:
        return msgspec.structs.replace(engine, kind="target", name=target.name, place=place)
    if await client.image(settings.docker) is None:
        facts = [f"image is not here; the first run fetches it with {client.name}"]
        return Found(kind="target", name=target.name, place=place, usable=None, facts=facts)
    return Found(kind="target", name=target.name, place=place, facts=["image is here"])


async def _host(target: Target, asked: Asked) -> Found:
    host, python = target.settings.ssh, interpreter.program(target.settings.python) or "python3"
    if not asked.check:
        return Found(kind="target", name=target.name, place=f"ssh:{host}", usable=None, facts=["not connected"])
    config = _path(target.settings.ssh_config, asked.workspace)
    found = await hosts.check(host, "", asked.environment, python=python, config=config)
    found = msgspec.structs.replace(found, kind="target", name=target.name, place=f"ssh:{host}")
    if "no pytest" not in found.facts or not _needs_pytest(target.settings, asked.workspace):
        return found
    hint = f"install it there: {python} -m pip install pytest; or name an interpreter that has it with python"
    return msgspec.structs.replace(found, usable=False, facts=[], problem=f"no pytest for {python} there", fix=hint)


async def _node(target: Target, asked: Asked) -> Found:
    found = await nodes.find(target.settings.node, target.sources["node"], asked.workspace, asked.environment)
    return Found(kind="target", name=target.name, place=found.path, version=found.version, facts=["Node.js"])


async def _python(target: Target, asked: Asked) -> Found:
    settings = target.settings
    source = target.sources["python"]
    choice = interpreter.choose(settings.python, source, asked.workspace, asked.environment, sys.executable)
    variables = for_user_code(asked.environment, settings.passthrough, settings.environment)
    choice, found = await interpreter.find(choice, variables)
    name = target.name or found.target
    facts = [] if target.name else [f"the default: {choice.source}"]
    if settings.install or settings.groups or settings.extras:
        return await _declared(target, asked, choice.path, found.version)
    whole = Found(kind="target", name=name, place=choice.path, version=found.version, facts=facts)
    if found.pytest or not _needs_pytest(settings, asked.workspace):
        return whole
    hint = f'{choice.path} -m pip install pytest; or let testd make an environment: install = ["pytest"] for the target'
    return msgspec.structs.replace(whole, usable=False, problem=f"no pytest in {choice.path}", fix=hint)


async def _declared(target: Target, asked: Asked, python: str, version: str) -> Found:
    """Say what there is of the environment that a target declares."""
    settings = target.settings
    request = EnvironmentRequest(
        target=target.name, python=python, version=version, workspace=asked.workspace, cache=asked.cache,
        install=settings.install, groups=settings.groups, extras=settings.extras, environment=dict(asked.environment),
        source=next((target.sources[key] for key in ("install", "groups", "extras") if getattr(settings, key)), ""),
    )  # fmt: skip
    made = await anyio.to_thread.run_sync(known, request)
    if isinstance(made, Failure):
        error = EnvironmentFault(made.message, hint=made.hint, detail=made.detail)
        return unusable("target", target.name, error, python, version)
    when = f"environment made {words.ago(made.made, time.time())}" if made else "the first run makes its environment"
    return Found(kind="target", name=target.name, place=python, version=version, facts=[when])


def _path(written: str, workspace: str) -> str:
    """Return a path of the configuration as a whole one; an empty one stays empty."""
    return str(Path(workspace) / Path(written).expanduser()) if written else ""


def _needs_pytest(settings: Settings, workspace: str) -> bool:
    if settings.kind != "auto":
        return settings.kind == "pytest"
    return kind.detect(workspace, pytest=False).kind == "pytest"
