"""The runners that are kept warm. Runs in the agent, on its event loop.

A runner serves every run with an equal spec, also two at once. One that nobody uses stays for the next run; of each
target the least recently used ones go when there are too many, and any goes when it is old, has served many runs, or is
too large.
"""

from __future__ import annotations

import time
from itertools import count
from typing import Final

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup, TaskStatus

from testd_daemon.agent.amending import amend
from testd_daemon.agent.judging import Judging
from testd_daemon.agent.leftovers import owner
from testd_daemon.agent.mirror import Mirror, Scanner, Tell, tell_nobody
from testd_daemon.agent.runner import Runner
from testd_daemon.agent.spec import Spec
from testd_daemon.errors import EnvironmentFault, ProcessCrashed, Unreachable, UsageError
from testd_daemon.process import reap_adopted
from testd_protocol.messages import RunnerStatus
from testd_runners import bundle
from testd_runners.choose import choose
from testd_runners.launcher import Launcher, LaunchSettings

__all__ = ["Pool"]

#: Runs after which a runner is replaced, whatever else.
MOST_RUNS: Final = 2000
#: Runners of all targets together that are kept and that nobody uses.
MOST_IDLE: Final = 24
#: Share of the machine's memory that a runner and its idle processes may hold between runs.
MEMORY_SHARE: Final = 0.25
#: Seconds between two looks at the runners that are kept: a few lines of /proc for each process.
TEND_INTERVAL: Final = 60.0
#: Seconds after a run until its runner is looked at: that costs as much as a short run, whose end has to be told first.
LEISURE: Final = 0.05
#: Launchers that take a second or more, and what is said meanwhile.
_SLOW_STARTS: Final = {"ssh": "connecting to {host}", "docker": "starting a container of {image}"}


class Pool:
    """All runners of a workspace."""

    def __init__(self, tasks: TaskGroup, cache: str) -> None:
        """Run them in this task group; keep the runner's code below `cache`."""
        self._tasks = tasks
        self._cache = cache
        self._runners: list[Runner] = []
        self._starting: dict[str, anyio.Lock] = {}  # by target: a slow one holds up no other
        self._scanner: Scanner | None = None
        self._last: dict[str, Spec] = {}
        self._tended = False
        self._launches = count(1)
        self._ended: dict[str, str] = {}  # why a target's runner is gone
        self._judging = Judging(tasks)

    async def acquire(self, spec: Spec, *, fresh: bool, tell: Tell = tell_nobody) -> tuple[Runner, str]:
        """Return a runner for `spec` and why it is cold; an empty reason: it is warm, as far as the files allow.

        It must be given back with `release`. `fresh` starts one that nobody else gets; `tell` is told of a start that
        takes a while. Raises what `Runner.serve` does, and EnvironmentFault where its code cannot be put in place.
        """
        async with self._starting.setdefault(spec.target, anyio.Lock()):  # two runs that need the same runner start one
            found = None if fresh else self._find(spec)
            reason = ""
            if found is None:
                reason = "a new runner was asked for" if fresh else self._why_cold(spec)
                if spec.launcher in _SLOW_STARTS:
                    tell(_SLOW_STARTS[spec.launcher].format(**spec.options), 0, 0)
                found = await self._start(spec)
                found.private = fresh
            found.users += 1
            found.runs += 1
            self._last[spec.target] = spec
            return found, reason

    async def foresee(self, spec: Spec) -> None:
        """Have the runner that a run will get begin with what is to be done whatever is collected."""
        if spec.launcher == "subprocess" and spec.mode == "worker":
            for runner in self._runners:
                if runner.alive and not runner.private and not runner.users and runner.spec.matches(spec):
                    await self._tasks.start(_prepare, runner)
                    return

    async def release(self, runner: Runner, *, idle: int, age: float) -> None:
        """Give a runner back. At most `idle` of a target stay that nobody uses; one older than `age` seconds goes."""
        runner.users -= 1
        runner.used_at = time.monotonic()
        runner.most_age = age
        runner.ask_memory()
        if runner.users:
            return
        worn = self._worn_out(runner)
        if worn:
            runner.kill(worn)
        self._tasks.start_soon(self._weigh, runner)
        unused = sorted((found for found in self._runners if found.alive and not found.users), key=lambda r: r.used_at)
        alike = [found for found in unused if found.spec.target == runner.spec.target]
        for found in {*alike[: max(0, len(alike) - idle)], *unused[: max(0, len(unused) - MOST_IDLE)]}:
            found.kill("other runners were used more recently")

    async def _weigh(self, runner: Runner) -> None:
        await anyio.sleep(LEISURE)
        self.retire(runner)

    async def _tend(self) -> None:
        """Look at what is kept now and then, for as long as anything is."""
        while self._runners:
            await anyio.sleep(TEND_INTERVAL)
            for runner in list(self._runners):
                self.retire(runner)
                runner.ask_memory()
            reap_adopted()
        self._tended = False

    def retire(self, runner: Runner) -> None:
        """Let go of a runner that nobody uses if it is worn out, old or too large."""
        if runner.users or not runner.alive:
            return
        worn = self._worn_out(runner) or self._too_large(runner)
        if worn:
            runner.kill(worn)

    async def close(self) -> None:
        """End all runners in order, all at once."""
        runners = list(self._runners)
        for runner in runners:
            runner.stop()
        for runner in runners:
            await runner.gone.wait()

    def statuses(self) -> list[RunnerStatus]:
        """Return what `testd status` shows."""
        return [runner.status() for runner in self._runners]

    def launches(self) -> list[str]:
        """Return the ids of what was started and has not ended."""
        return [runner.launch for runner in self._runners]

    def _find(self, spec: Spec) -> Runner | None:
        """Return a runner that will do. One whose start has become stale while somebody uses it is left to them."""
        for runner in self._runners:
            if not runner.alive or runner.private or not runner.spec.matches(spec):
                continue
            if runner.users:
                stale = runner.below.stale()
                if stale is not None:
                    runner.private = True
                    self._ended[spec.target] = f"{stale[1]} changed"
                    continue
            return runner
        return None

    async def _start(self, spec: Spec) -> Runner:
        try:
            code = await anyio.to_thread.run_sync(bundle.unpack, self._cache)
        except OSError as error:
            raise EnvironmentFault(
                f"{self._cache} cannot be written: {error}", hint="make room, or set TESTD_CACHE_DIR to another folder"
            ) from error
        launcher = choose(spec.launcher)
        settings = LaunchSettings(
            spec.runtime,
            code,
            spec.root,
            spec.outside or spec.environment,
            spec.options,
            f"{owner()}-{next(self._launches)}",
        )
        if not launcher.shares_disk:
            settings = settings._replace(archive=await anyio.to_thread.run_sync(bundle.archive))
        try:
            runner = Runner(spec, launcher.command(settings), self._mirror(spec, launcher, settings), self._judging.ask)
        except ValueError as error:
            raise UsageError(f"target {spec.target}: {error}", hint="correct the target's table") from error
        runner.launch = settings.launch_id
        self._runners.append(runner)
        if not self._tended:
            self._tended = True
            self._tasks.start_soon(self._tend)
        try:
            await self._tasks.start(self._serve, runner)
        except OSError as error:
            raise EnvironmentFault(
                f"{spec.runtime} cannot be started: {error}", hint="check python and the workspace"
            ) from error
        except ProcessCrashed as error:
            known = launcher.explain(settings, error.status, error.stderr)
            if known is None:
                raise
            kind = Unreachable if known.passing else EnvironmentFault
            raise kind(known.message, hint=known.hint, detail=error.stderr) from error
        return runner

    def _mirror(self, spec: Spec, launcher: Launcher, settings: LaunchSettings) -> Mirror | None:
        """Return the copy of the workspace that a runner needs which does not share the disk."""
        if launcher.shares_disk:
            return None
        if self._scanner is None:
            self._scanner = Scanner(spec.root)
        return Mirror(
            self._scanner, spec.root, spec.target, cache=spec.options.get("cache", ""),
            silence=launcher.silence(settings), code=spec.options.get("code", ""),
        )  # fmt: skip

    async def _serve(self, runner: Runner, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        try:
            await runner.serve(task_status=task_status)
        finally:
            self._runners.remove(runner)
            if not runner.private:
                self._ended[runner.spec.target] = runner.lost.partition("\n")[0]

    def _why_cold(self, spec: Spec) -> str:
        last = self._last.get(spec.target)
        if last is None:
            return "first run"
        return last.differences(spec) or self._ended.get(spec.target, "") or "no runner was kept"

    @staticmethod
    def _worn_out(runner: Runner) -> str:
        if runner.private:
            return "it was for one run"
        if runner.most_age and time.time() - runner.started_at > runner.most_age:
            return "it was old"
        if runner.runs >= MOST_RUNS:
            return f"it served {runner.runs} runs"
        return ""

    @staticmethod
    def _too_large(runner: Runner) -> str:
        if runner.at_rest() <= MEMORY_SHARE:
            return ""
        return f"it held {runner.memory() // 1024} MiB between runs"


async def _prepare(runner: Runner, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
    """Have ready what files have changed under; it has started when what takes longest is under way."""
    async with runner.lock:
        if not runner.users and runner.alive:
            amended_ns = await amend(runner, list(runner.collections.values()), task_status.started)
            if amended_ns:
                runner.prepared = None, amended_ns
            if runner.below.stale() is not None:
                await runner.make_anew()
        else:
            task_status.started()
