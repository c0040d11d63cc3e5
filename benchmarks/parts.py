"""Hosts, a container engine and Node.js versions for the benchmarks of targets: the tests' own, which are real.

Each lasts as long as its block. Runs in testd's environment.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from measuring import MeasureError

sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "tests"))

import nodes
from container_engine import Engine, NoEngine, engine
from interpreters import found as interpreters_found
from ssh_hosts import Host, Hosts, NoHosts, hosts

__all__ = ["Engine", "Host", "Hosts", "container_engine", "interpreter", "node_versions", "one_host"]

#: Seconds for a Node.js to say its version.
ANSWER_DEADLINE = 20.0


@contextlib.contextmanager
def one_host(hidden: Path, name: str) -> Iterator[Hosts]:
    """Hold a host with a sshd of its own that sees nothing of the folder `hidden`. Raises MeasureError."""
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(hosts(hidden, name))
        except (NoHosts, AssertionError) as error:
            raise MeasureError(f"no host for ssh: {error}") from error
        yield made


@contextlib.contextmanager
def container_engine() -> Iterator[Engine]:
    """Hold a container engine. Raises MeasureError."""
    with contextlib.ExitStack() as stack:
        try:
            found = stack.enter_context(engine())
        except (NoEngine, AssertionError) as error:
            raise MeasureError(f"no container engine: {error}") from error
        yield found


def interpreter() -> tuple[str, str]:
    """Return version and path of the newest interpreter of which the tests make an image."""
    return list(interpreters_found().items())[-1]


def node_versions() -> dict[str, str]:
    """Return major version → path: the Node.js on PATH, and those that the tests have installed for themselves."""
    kept = sorted((nodes.cache() / "node").glob("*/node_modules/node/bin/node"))
    candidates = [*filter(None, [shutil.which("node")]), *map(str, kept)]
    found: dict[str, str] = {}
    for path in candidates:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run(
                [path, "--version"], capture_output=True, text=True, timeout=ANSWER_DEADLINE, check=True, env=os.environ
            ).stdout
            found.setdefault(said.removeprefix("v").partition(".")[0], path)
    return found
