"""Containers that an agent has left, and who an agent is. Runs in the agent.

A container ends by itself when its agent is gone, because its stdin ends. What cannot do that (it was made and never
started, it is paused, its engine was killed) is removed by the next agent of this user: the name of a container says
who started it, and that of a living agent is never touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import sys
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from testd_daemon.agent.engine import MEANT_BY, Engine, find
from testd_daemon.errors import EnvironmentFault
from testd_runners.docker import LAUNCH_LABEL, NAME_PREFIX, removals

__all__ = ["Ledger", "lives", "owner", "sweep"]

#: Seconds for the removal of what was left: an engine kills and unmounts one after the other.
REMOVE_DEADLINE: Final = 60.0
#: Variables without which an engine's client is not found, or does not find its configuration.
_NEEDED: Final[tuple[str, ...]] = (*MEANT_BY, "HOME", "PATH", "SSH_AUTH_SOCK")


class Ledger:
    """Which engines this workspace's agent has used: a file that is there for as long as containers may be.

    An agent that finds one knows that an earlier one did not end in order, even if it needs no container itself.
    """

    def __init__(self, path: str) -> None:
        """Keep the file at `path`; empty: keep nothing."""
        self._path = path
        self._used: list[dict[str, str]] = []

    def note(self, engine: Engine) -> None:
        """Write down that an engine is about to be used. A disk that is full is no reason not to."""
        entry: dict[str, str] = {name: engine.environment[name] for name in _NEEDED if name in engine.environment}
        entry["engine"] = engine.name
        if entry in self._used or not self._path:
            return
        self._used.append(entry)
        with contextlib.suppress(OSError):
            draft = f"{self._path}.new"
            Path(draft).write_bytes(msgspec.json.encode(self._used))
            os.replace(draft, self._path)

    async def recover(self) -> None:
        """Remove what an earlier agent left on the engines that it has used."""
        for entry in self._read():
            with contextlib.suppress(EnvironmentFault):
                await sweep(find(entry.pop("engine", ""), entry), None)

    def _read(self) -> list[dict[str, str]]:
        try:
            return msgspec.json.decode(Path(self._path).read_bytes(), type=list[dict[str, str]])
        except (OSError, msgspec.DecodeError):  # none, as it should be, or one that was torn
            return []

    def close(self) -> None:
        """Remove the file: every container is gone."""
        if self._path:
            with contextlib.suppress(OSError):
                os.unlink(self._path)


@cache
def owner() -> str:
    """Return what names this agent among all there ever were: process, its start, the machine's, and whose machine."""
    return f"{os.getpid()}-{_started(os.getpid())}-{_boot()}-{_here()}"


def lives(launch: str) -> bool:
    """Tell whether the agent that started a container may still live; `launch` is the id of the launch.

    What cannot be judged from here (another user's, another machine's, another container's) counts as living.
    """
    parts = launch.split("-")
    if len(parts) != 5 or not parts[0].isdigit() or parts[3] != _here():
        return True
    pid, started, boot = parts[:3]
    return boot == _boot() and _started(int(pid)) == started


async def sweep(engine: Engine, live: Collection[str] | None) -> list[str]:
    """Remove the containers of agents that are gone, and this one's that are not `live` (if told); return their names.

    An engine that is slow is left alone.
    """
    try:
        answer = await engine.ask("ps", "--all", "--filter", f"label={LAUNCH_LABEL}", "--format", "{{.Names}}")
        found = [name for name in answer.out.split() if name.startswith(NAME_PREFIX)]
        left = [name for name in found if not _wanted(name.removeprefix(NAME_PREFIX), live)]
        for arguments in removals(engine.program, left) if left else ():
            if not (await engine.ask(*arguments, deadline=REMOVE_DEADLINE)).status:
                break
    except EnvironmentFault:  # whoever needs this engine now will be told so
        return []
    return left


def _wanted(launch: str, live: Collection[str] | None) -> bool:
    return live is None or launch in live if launch.startswith(owner() + "-") else lives(launch)


def _started(pid: int) -> str:
    """Return when a process started, in the system's own count; empty where there is no such process."""
    if sys.platform.startswith("linux"):
        try:
            text = Path(f"/proc/{pid}/stat").read_text("ascii", errors="replace")
        except OSError:
            return ""
        state, *fields = text.rpartition(")")[2].split()
        return "" if state == "Z" else fields[18]
    import psutil  # 40 ms, and only systems without /proc need it

    try:
        return str(int(psutil.Process(pid).create_time()))
    except psutil.Error:
        return ""


@cache
def _boot() -> str:
    """Return what is another one after the machine was started again."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", "")[:12]
    except OSError:
        import psutil

        return str(int(psutil.boot_time()))


@cache
def _here() -> str:
    """Return what tells users, machines and namespaces of processes apart: only here does a process's number count."""
    machine = ""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            machine = Path(path).read_text("ascii").strip()
            break
        except OSError:
            continue
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    told = f"{machine or platform.node()}\0{os.getuid()}\0{namespace}"
    return hashlib.sha256(told.encode()).hexdigest()[:12]
