"""A container engine: its client program, what it answers, and why it is of no use. Runs in the agent.

Raises EnvironmentFault naming the target, what was tried and what would be right.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlsplit

import anyio.to_thread

from testd_daemon import command
from testd_daemon.errors import EnvironmentFault

__all__ = ["Answer", "Engine", "find"]

#: Seconds for a question that an engine answers from memory.
ASK_DEADLINE: Final = 30.0
ENGINES: Final = ("docker", "podman")
#: Variables that say which engine a client speaks with.
MEANT_BY: Final = (
    "CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF", "CONTAINER_CONNECTION", "CONTAINER_HOST", "DOCKER_CERT_PATH",
    "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "XDG_RUNTIME_DIR",
)  # fmt: skip
#: Schemes of an engine that is reached by a network, and the names under which that is this machine after all.
_BY_NETWORK: Final = ("ssh", "tcp", "http", "https")
_THIS_MACHINE: Final = ("localhost", "127.0.0.1", "::1")
_SILENT: Final = re.compile(
    r"cannot connect to|connection refused|is the docker daemon running|no such host", re.IGNORECASE
)
_REFUSED: Final = re.compile(r"permission denied", re.IGNORECASE)


class Answer(NamedTuple):
    """What a command of the client came to."""

    status: int
    out: str
    error: str


class Engine:
    """The client program `name`, in the environment of whoever asked for the run."""

    def __init__(self, name: str, program: str, environment: Mapping[str, str]) -> None:
        """Take the program's path; nothing is started."""
        self.name = name
        self.program = program
        self.environment = dict(environment)
        self._host: str | None = None  # where docker's client looks for it: unix:///var/run/docker.sock

    @property
    def identity(self) -> tuple[str, ...]:
        """What decides which engine answers: equal identities, the same engine."""
        config = os.path.join(
            self.environment.get("DOCKER_CONFIG") or os.path.join(self.environment.get("HOME", ""), ".docker"),
            "config.json",
        )
        changed = 0
        with contextlib.suppress(OSError):
            changed = os.stat(config).st_mtime_ns  # `docker context use` writes it
        return (self.program, *(self.environment.get(name, "") for name in MEANT_BY), str(changed))

    async def ask(self, *arguments: str, deadline: float = ASK_DEADLINE) -> Answer:
        """Run a command and return what it said. Raises EnvironmentFault where it gives no answer in time."""
        shown = f"{self.name} {' '.join(arguments)}"
        try:
            done = await command.run([self.program, *arguments], deadline=deadline, env=self.environment)
        except TimeoutError:
            raise EnvironmentFault(
                f"{self.name} gave no answer for {deadline:g} s", hint=f"see what it does: {shown}"
            ) from None
        except OSError as error:
            text = f"{self.program} cannot be started: {error.strerror}"
            raise EnvironmentFault(text, hint="install it anew") from error
        return Answer(done.status, done.output, done.error.strip())

    async def image(self, name: str) -> dict[str, Any] | None:
        """Return what the engine knows of an image, None where it does not have it. Raises EnvironmentFault."""
        path = await self._socket()
        if path:
            from testd_daemon.agent.engine_socket import get  # what it loads, only this needs

            with contextlib.suppress(OSError, ValueError):
                return await anyio.to_thread.run_sync(get, path, f"/images/{quote(name)}/json")
        answer = await self.ask("image", "inspect", name)
        if answer.status == 0:
            found: dict[str, Any] = json.loads(answer.out)[0]
            return found
        if self.unusable(answer) is None:
            return None
        raise self.fault(answer)

    async def _socket(self) -> str:
        """Return the path of the engine's socket, empty where it has none: asking there takes 2 ms, the client 20."""
        host = await self._endpoint()
        return host.removeprefix("unix://") if host.startswith("unix://") else ""

    async def _endpoint(self) -> str:
        """Return where the client looks for the engine, empty where it does not say."""
        if self._host is None:
            if self.name == "docker":
                answer = await self.ask("context", "inspect", "--format", "{{.Endpoints.docker.Host}}")
                self._host = answer.out if answer.status == 0 else ""
            else:
                self._host = self.environment.get("CONTAINER_HOST", "")
        return self._host

    async def check_place(self) -> None:
        """See that the engine is on this machine: elsewhere the workspace is not there to be mounted.

        Raises EnvironmentFault. An address of this machine itself is let through, whatever is behind it.
        """
        found = urlsplit(await self._endpoint())
        if found.scheme in _BY_NETWORK and found.hostname not in _THIS_MACHINE:
            variable = "DOCKER_HOST" if self.name == "docker" else "CONTAINER_HOST"
            raise EnvironmentFault(
                f"the {self.name} engine at {self._host} is on another machine, where the workspace cannot be mounted",
                hint=f'run on that machine by ssh (ssh = "{found.hostname}"), or use an engine of this one: '
                f"unset {variable}, or choose another context",
            )

    @property
    def where(self) -> str:
        """Where the engine was looked for, as a user would write it."""
        if self._host:
            return self._host
        return self.environment.get("DOCKER_HOST", "") if self.name == "docker" else ""

    def unusable(self, answer: Answer) -> tuple[str, str] | None:
        """Return why the engine as such is of no use and what to do about it, None where something else is wrong."""
        at = f" at {self.where}" if self.where else ""
        if _SILENT.search(answer.error):
            hint = "start it (such as: systemctl start docker), or say where it is with DOCKER_HOST or `docker context`"
            return f"no {self.name} engine answers{at}", hint
        if _REFUSED.search(answer.error) and ("socket" in answer.error or "connect" in answer.error):
            hint = "join the group docker (usermod -aG docker USER, then log in again), or use an engine without root"
            return f"this user may not speak with the {self.name} engine{at}", hint
        return None

    def fault(self, answer: Answer, what: str = "") -> EnvironmentFault:
        """Return the error for an answer that is none."""
        message, hint = self.unusable(answer) or (what or f"{self.name} failed", f"see what it says: {self.name} info")
        return EnvironmentFault(message, hint=hint, detail=answer.error)


def find(wanted: str, environment: Mapping[str, str]) -> Engine:
    """Return the engine of that name, or the first there is. Raises EnvironmentFault."""
    names = (wanted,) if wanted else ENGINES
    for name in names:
        program = shutil.which(name, path=environment.get("PATH"))
        if program is not None:
            return Engine(name, program, environment)
    raise EnvironmentFault(
        f"{' and '.join(names)} {'is' if wanted else 'are'} not on PATH ({environment.get('PATH', '')})",
        hint=f"install {' or '.join(names)}, or leave this target out",
    )
