"""Syncs to a host, timed by themselves: testd's own parts as its agent uses them, beside rsync.

Runs in testd's environment.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import msgspec

from measuring import MeasureError
from parts import Hosts
from testd_daemon.agent.pool import Pool
from testd_daemon.agent.runner import Runner
from testd_daemon.agent.spec import Spec
from testd_daemon.errors import TestdError

__all__ = ["Mirrored", "rsync_seconds"]

RSYNC_DEADLINE = 300.0


class Mirrored:
    """A workspace that is brought to a host. `cache` is the agent's folder here."""

    def __init__(self, workspace: Path, hosts: Hosts, name: str, python: Path, cache: Path) -> None:
        self._cache = cache
        self._spec = Spec(
            target=name, launcher="ssh", runtime=str(python), kind="pytest", mode="worker", root=str(workspace),
            arguments=(), fork=True, memory_limit=0, output_limit=1 << 20, capture_limit=1 << 20, significant={},
            environment={}, options={"host": name, "config": str(hosts.config)}, extend=True, outside=dict(os.environ),
        )  # fmt: skip

    async def first_seconds(self, there: str) -> float:
        """Time all from nothing to files in place: connection, the runner's code and start, the sync.

        `there` is the folder on the host to begin with; it must not be there yet. Raises MeasureError.
        """
        async with self._pool() as pool:
            started = time.perf_counter()
            runner = await self._runner(pool, there)
            await self._bring(runner)
            return time.perf_counter() - started

    async def warm_seconds(self, there: str, rounds: int, change: Callable[[], None]) -> list[float]:
        """Time syncs with a runner that has had its first, each after `change` was called. Raises MeasureError."""
        async with self._pool() as pool:
            runner = await self._runner(pool, there)
            await self._bring(runner)
            found = []
            for turn in range(-1, rounds):
                change()
                started = time.perf_counter()
                await self._bring(runner)
                if turn >= 0:
                    found.append(time.perf_counter() - started)
            return found

    @asynccontextmanager
    async def _pool(self) -> AsyncIterator[Pool]:
        async with anyio.create_task_group() as tasks:
            pool = Pool(tasks, str(self._cache))
            try:
                yield pool
            finally:
                with anyio.CancelScope(shield=True):
                    await pool.close()
                tasks.cancel_scope.cancel()

    async def _runner(self, pool: Pool, there: str) -> Runner:
        spec = msgspec.structs.replace(self._spec, options={**self._spec.options, "cache": there})
        try:
            return (await pool.acquire(spec, fresh=False))[0]
        except TestdError as error:
            raise MeasureError(f"no runner on {spec.target}: {error}") from error

    async def _bring(self, runner: Runner) -> None:
        try:
            if not await runner.bring_files():
                raise MeasureError("the files were not brought")
        except TestdError as error:
            raise MeasureError(f"the files were not brought: {error}") from error


def rsync_seconds(workspace: Path, hosts: Hosts, name: str, there: str) -> float:
    """Time `rsync -a` of a workspace into a folder that is not there yet. Raises MeasureError."""
    command = ["rsync", "-a", "-e", f"ssh -F {hosts.config}", f"{workspace}/", f"{name}:{there}/"]
    started = time.perf_counter()
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=RSYNC_DEADLINE, check=False
    )
    if done.returncode:
        raise MeasureError(f"rsync: exit {done.returncode}: {done.stderr[-1000:]}")
    return time.perf_counter() - started
