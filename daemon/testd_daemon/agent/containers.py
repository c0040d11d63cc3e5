"""What a target in a container needs to know before one is started. Runs in the agent.

The launcher (`testd_runners/docker.py`) only describes; everything that has to be asked is asked here.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Collection, Mapping
from typing import Final

import msgspec

from testd_daemon.agent import images
from testd_daemon.agent.engine import MEANT_BY, Engine, find
from testd_daemon.agent.interpreter import program
from testd_daemon.agent.leftovers import Ledger, sweep
from testd_runners.docker import bind

__all__ = ["Containers", "Prepared", "in_container"]

#: Of a container's memory, what one worker may have.
WORKER_SHARE: Final = 0.8
#: Seconds after which an engine that is used is swept again: a client that is killed may have made a container.
SWEEP_INTERVAL: Final = 300.0


class Prepared(msgspec.Struct, frozen=True):
    """What a target in a container is, once engine and image have been asked."""

    runtime: str  # what the image calls its interpreter
    version: str  # 3.12.1
    pytest: bool
    options: dict[str, str]  # of the launcher
    significant: dict[str, str]  # variables that say which engine it is: another one is another runner


class Containers:
    """Engines and images, as far as they are known. One for an agent."""

    def __init__(self, workspace: str) -> None:
        """Serve one workspace."""
        #: Tells the ids of this agent's launches that have not ended; what has no such id any more is removed.
        self.live: Callable[[], Collection[str]] | None = None
        self.ledger = Ledger("")
        self._workspace = workspace
        self._engines: dict[tuple[str, ...], _Known] = {}
        self._images: dict[tuple[tuple[str, ...], str, str], images.Image] = {}

    async def prepare(
        self,
        image: str,
        options: Mapping[str, str],
        python: str,
        environment: Mapping[str, str],
        tell: Callable[[str], None],
    ) -> Prepared:
        """Find out what a container of `image` would be. A warm run costs one question over the engine's socket.

        `options` are `engine`, `memory`, `cpus` and `network` as the configuration has them, `python` the configured
        interpreter (a version, a name, a path) or empty, `environment` that of whoever asked. Raises EnvironmentFault.
        """
        known = await self._engine(options.get("engine", ""), environment)
        identity = str((await images.pulled(known.engine, image, tell))["Id"])
        python = os.path.join(self._workspace, python) if "/" in python else program(python)
        key = (known.engine.identity, identity, python)
        found = self._images.get(key)
        mounted = python.startswith(self._workspace + os.sep)
        if found is None or mounted:  # an image stays what it is; an environment in the workspace does not
            tell(f"looking at the Python in {image}")
            mount = ("--mount", bind(self._workspace)) if mounted else ()
            found = self._images[key] = await images.inspect(known.engine, image, identity, python, mount)
        chosen = {**options, **known.users, "engine": known.engine.program, "image": image, "image_id": identity}
        significant = {name: environment[name] for name in MEANT_BY if environment.get(name)}
        return Prepared(found.python, found.version, found.pytest, chosen, significant)

    async def _engine(self, name: str, environment: Mapping[str, str]) -> _Known:
        """Return an engine and how it maps users. Now and then, and the first time, what was left there is removed."""
        engine = find(name, environment)
        known = self._engines.get(engine.identity)
        if known is None:
            await engine.check_place()
            known = self._engines[engine.identity] = _Known(engine, await _users(engine))
            self.ledger.note(engine)
        if time.monotonic() - known.swept > SWEEP_INTERVAL:
            known.swept = time.monotonic()
            await sweep(known.engine, self.live() if self.live is not None else None)
        return known


class _Known:
    """An engine that has answered."""

    __slots__ = ("engine", "swept", "users")

    def __init__(self, engine: Engine, users: dict[str, str]) -> None:
        self.engine = engine
        self.users = users
        self.swept = -math.inf


async def _users(engine: Engine) -> dict[str, str]:
    """Return the options that make what tests write belong to the user. Raises EnvironmentFault.

    An engine with root's rights takes the user's numbers as they are. Without them root in a container is the user;
    podman can keep the numbers too.
    """
    if engine.name == "podman":
        answer = await engine.ask("info", "--format", "{{.Host.Security.Rootless}}")
        if answer.status:
            raise engine.fault(answer)
        rootless = {"userns": "keep-id"} if answer.out == "true" else {}
        return {"user": f"{os.getuid()}:{os.getgid()}", **rootless}
    answer = await engine.ask("info", "--format", "{{json .SecurityOptions}}")
    if answer.status or engine.unusable(answer):
        raise engine.fault(answer)
    return {} if "name=rootless" in answer.out else {"user": f"{os.getuid()}:{os.getgid()}"}


def in_container(limit: int, memory: int) -> int:
    """Return the limit (KiB) of one worker in a container that has `memory` bytes, 0 for no limit.

    A worker that nears the container's own limit is to be told by name, not killed by the kernel; the rest is for the
    stem and the runner.
    """
    share = int(memory * WORKER_SHARE) // 1024
    return min(limit, share) if limit and share else limit or share
