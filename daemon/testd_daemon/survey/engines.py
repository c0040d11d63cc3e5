"""The container engines of this machine: their versions, and why one is of no use. Runs in `testd targets`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from testd_daemon.agent.engine import Answer, Engine, find
from testd_daemon.errors import EnvironmentFault
from testd_daemon.survey.found import Found, unusable

__all__ = ["ENGINES", "engine"]

#: What can run containers.
ENGINES: Final = ("docker", "podman")


async def engine(name: str, environment: Mapping[str, str], deadline: float) -> Found:
    """Say whether an engine answers."""
    try:
        client = find(name, environment)
    except EnvironmentFault as error:
        return Found(kind="engine", name=name, usable=False, problem="not on PATH", detail=error.detail)
    try:
        await client.check_place()
        answer = await client.ask("version", "--format", "json", deadline=deadline)
    except EnvironmentFault as error:
        return unusable("engine", name, error, client.program)
    return _said(client, answer)


def _said(client: Engine, answer: Answer) -> Found:
    """Read the answer: docker needs a server behind it, podman is one itself."""
    told = _decoded(answer.out)
    version = str((told.get("Client") or {}).get("Version", ""))
    server = told.get("Server") or (told.get("Client") if client.name == "podman" else None)
    if answer.status or not isinstance(server, dict):
        return unusable("engine", client.name, client.fault(answer), client.program, version)
    return Found(
        kind="engine", name=client.name, place=client.program, version=str(server.get("Version", version)),
        facts=[f"answers at {client.where}"] if client.where else [],
    )  # fmt: skip


def _decoded(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
