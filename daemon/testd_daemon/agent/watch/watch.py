"""A watch: what runs when, and what supersedes what. Runs in the agent, one task for each watch.

    first run → wait for a change, or for somebody who asks → what it affects → wait …

Each turn is a generation, and a run of its own (`run.py`) with a part of the watch's events. Whatever ran to its end in
a generation stands. Where a change supersedes one, tests that run and that it does not affect go on beside the next
generation, and become a part of it; what had not begun comes in it, behind what is affected.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Sequence
from typing import Final

import anyio
import msgspec
from anyio.abc import TaskGroup

from testd_daemon.agent.reporter import Reporter
from testd_daemon.agent.run import RunTask
from testd_daemon.agent.target_task import Services
from testd_daemon.agent.watch.part import Part
from testd_daemon.agent.watch.standing import Standings
from testd_daemon.agent.watch.watcher import Watcher
from testd_daemon.errors import TestdError, UsageError
from testd_protocol.messages import Cause, GenerationStarted, Notice, Run, RunCompleted, RunRequest, Steer

__all__ = ["WatchTask"]

#: Changed files that are named.
MOST_CHANGED: Final = 20


#: Tests that are to run although nothing affects them, by target; None: all.
Owed = dict[str, "list[str] | None"]


class Wish(msgspec.Struct):
    """What the next generation is for. Wishes that come while one is at work are joined."""

    cause: Cause
    changed: set[str] = set()
    only: list[str] = []  # just these tests


class WatchTask:
    """The task of one watch."""

    def __init__(self, services: Services, run: Run, reporter: Reporter) -> None:
        """Take the instructions."""
        self.run = run.run
        self._services = services
        self._request = run.request
        self._reporter = reporter
        self._standings = Standings()
        self._generation = 0
        self._wish: Wish | None = Wish("start")
        self._newest = Wish("start")  # what the newest generation is for
        self._ran: list[str] = []  # the tests that ran in it
        self._wanted = anyio.Event()
        self._current: RunTask | None = None
        self._behind: dict[RunTask, Part] = {}  # earlier ones of which tests go on
        self._owed: Owed = {}  # what earlier ones had no time for
        self._moved = anyio.Event()  # something is wanted, or one of those has ended
        self._scope = anyio.CancelScope()
        self._cancelled = ""
        self._fault: TestdError | None = None
        self._exit_code = 0
        self._began = time.monotonic()

    @property
    def at_work(self) -> bool:
        """Whether a generation runs; else it waits for a change."""
        return self._current is not None

    def cancel(self, reason: str) -> None:
        """End the watch."""
        self._cancelled = self._cancelled or reason or "cancelled"
        for task in self._at_work():
            task.cancel(self._cancelled)
        if self._current is None:
            self._scope.cancel()

    def _at_work(self) -> list[RunTask]:
        return [*self._behind, *([self._current] if self._current is not None else [])]

    def steer(self, message: Steer) -> None:
        """Do what somebody asks for; what is at work is superseded."""
        match message.what:
            case "output":
                self._request = msgspec.structs.replace(self._request, stream=message.stream)
            case "again":
                self._want(self._again(), "somebody asked for it again")
            case "filter":
                self._request = msgspec.structs.replace(
                    self._request, patterns=message.patterns, keyword=message.keyword or None
                )
                self._want(Wish("filter"), "somebody asked for something else")
            case what:
                self._want(Wish(what), "somebody asked for something else")

    def _again(self) -> Wish:
        """Wish for what the newest generation is for; where that was only some tests and is over, for just these."""
        newest = self._newest
        some = not self.at_work and newest.cause in ("change", "failed", "snapshots")
        return Wish(newest.cause, set(newest.changed), self._ran if some else [])

    async def execute(self) -> None:
        """Go on until it is cancelled or the workspace is gone; the last event is always `RunCompleted`."""
        try:
            await self._execute()
            completed = self._ended(self._exit_code, self._cancelled)
        except TestdError as error:
            completed = self._ended(error.exit_code, error.message, error.hint, error.detail)
        except Exception:
            completed = self._ended(3, "testd failed: this is a bug in testd", detail=traceback.format_exc())
        self._reporter.event(completed)

    async def remember(self) -> None:
        """Nothing is left to write: each generation has written its own."""

    async def _execute(self) -> None:
        async with Watcher(self._services.workspace) as watcher:
            self._tell(watcher)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._notice, watcher)
                with self._scope:
                    await self._go_on(watcher, tasks)
                for task in list(self._behind):
                    await task.ended.wait()
                tasks.cancel_scope.cancel()
        if self._fault is not None:
            raise self._fault

    async def _notice(self, watcher: Watcher) -> None:
        """Want a generation for each change, for as long as there is a workspace."""
        try:
            while True:
                changed = await watcher.changes()
                self._tell(watcher)
                self._want(Wish("change", set(changed)), f"{_named(changed)} changed")
        except TestdError as error:
            self._fault = error
            self.cancel(error.message)

    def _tell(self, watcher: Watcher) -> None:
        """Say, once, what a user should know of how the workspace is watched."""
        while watcher.notices:
            self._reporter.event(Notice(level="warning", text=watcher.notices.pop(0)))

    def _want(self, wish: Wish, why: str) -> None:
        """Have another generation; one that is at work ends early."""
        if self._wish is not None:
            wish.changed |= self._wish.changed
            if self._wish.cause != "change" and wish.cause == "change":
                wish.cause = self._wish.cause
        self._wish = wish
        self._wanted.set()
        self._moved.set()
        for task in self._at_work():
            if wish.cause == "change":
                task.supersede(f"superseded: {why}")
            else:
                task.cancel(f"superseded: {why}")

    # ── generations ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _go_on(self, watcher: Watcher, tasks: TaskGroup) -> None:
        while not self._cancelled:
            wish, self._wish = self._wish, None
            if wish is None:
                await self._wanted.wait()
                continue
            self._wanted = anyio.Event()
            task = await self._generate(wish, tasks)
            for target in task.targets:
                watcher.follow(target.installed)

    async def _generate(self, wish: Wish, tasks: TaskGroup) -> RunTask:
        """Run what a wish asks for, as one generation.

        The first one ends the watch where no change can repair the command.
        """
        self._generation += 1
        self._newest = wish
        changed = sorted(wish.changed)
        self._reporter.event(
            GenerationStarted(
                generation=self._generation, cause=wish.cause, changed=changed[:MOST_CHANGED],
                more=max(0, len(changed) - MOST_CHANGED), at=time.time(),
            )
        )  # fmt: skip
        part = Part(self._reporter, self._standings, self._generation)
        task = await self._carry_out(wish, part, tasks)
        if wish.cause == "start" and isinstance(task.fault, UsageError):
            self._fault = task.fault
            self.cancel(task.fault.message)
            return task
        self._ran = list(part.tests)
        for target in task.targets:
            if target.collected is not None:
                self._standings.keep(target.name, *target.collected)
        self._standings.without(self._gone(changed))
        completed = part.complete(task.reason)
        self._exit_code = completed.exit_code if not self._standings.failing else 1
        self._reporter.event(self._standings.report(self._generation))
        self._reporter.event(completed)
        await task.remember()
        return task

    async def _carry_out(self, wish: Wish, part: Part, tasks: TaskGroup) -> RunTask:
        """Run a generation until it has ended with all that goes on of earlier ones, or until it is superseded."""
        for earlier in self._behind.values():
            earlier.follow(part)
        going_on = [found for earlier in self._behind for found in earlier.lingering]
        owed = self._owed if wish.cause == "change" else {}
        finished = [f"{found.target}\0{found.test}" for found in going_on]
        run = Run(run=self.run, request=self._wanted_by(wish), finished=finished)
        task = self._current = RunTask(self._services, run, part, owed)
        tasks.start_soon(self._see_through, task)
        await task.released.wait()
        if task.lingering:
            self._behind[task] = part
        else:
            await task.ended.wait()
        while self._behind and self._wish is None and not self._cancelled:
            self._moved = anyio.Event()
            await self._moved.wait()
        self._current = None
        self._owed = _left(task, wish, owed) if self._wish is not None else {}
        still = {found for earlier in self._behind for found in earlier.lingering}
        for lost in [found for found in going_on if found not in still and found[1:] not in part.outcomes]:
            left = self._owed.setdefault(lost.wanted, [])
            if left is not None:
                left.append(lost.test)
        if self._owed and self._wish is None and not self._cancelled:
            self._want(Wish("change"), "")  # what went on ended before its end
        return task

    async def _see_through(self, task: RunTask) -> None:
        """Run a generation to the end of its last test."""
        await task.execute()
        if self._behind.pop(task, None) is not None:
            await task.remember()
        self._moved.set()

    def _gone(self, changed: Sequence[str]) -> list[str]:
        return [path for path in changed if not os.path.lexists(os.path.join(self._services.workspace, path))]

    def _wanted_by(self, wish: Wish) -> RunRequest:
        """Return the request of a generation."""
        request = msgspec.structs.replace(self._request, watch=False)
        if wish.only:
            paths = [f"{request.workspace}/{test}" for test in wish.only]
            snapshots = wish.cause == "snapshots"
            return msgspec.structs.replace(
                request, paths=paths, last_failed=False, affected=False, update_snapshots=snapshots
            )
        match wish.cause:
            case "start":
                return request
            case "failed":
                return msgspec.structs.replace(request, last_failed=True, affected=False)
            case "snapshots":
                return msgspec.structs.replace(request, last_failed=True, affected=False, update_snapshots=True)
            case "change":
                return msgspec.structs.replace(request, last_failed=False, affected=True)
            case "all" | "filter":
                return msgspec.structs.replace(request, last_failed=False, affected=False)

    def _ended(self, code: int, reason: str, hint: str = "", detail: str = "") -> RunCompleted:
        return RunCompleted(
            exit_code=code, counts={}, duration=time.monotonic() - self._began, reason=reason, hint=hint, detail=detail
        )


def _left(task: RunTask, wish: Wish, owed: Owed) -> Owed:
    """Return what a superseded generation leaves to the next one, which runs what is affected whatever is owed."""
    left = {target: None if tests is None else [*tests] for target, tests in owed.items()}
    for target, tests in task.unfinished.items():
        if tests is not None:
            left[target] = tests
        elif wish.cause in ("start", "all", "filter"):
            left[target] = None
    return left


def _named(changed: Sequence[str]) -> str:
    return changed[0] + (f" and {len(changed) - 1} more" if len(changed) > 1 else "")
