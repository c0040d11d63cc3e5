"""One run, from its instructions to its completion. Runs in the agent, one task for each run.

    configuration → targets, all at once → completed

A target that cannot be used is reported, and hides nothing of the others. What goes wrong ends the run with the reason;
it never ends the agent.

A run that was superseded lets tests go on that what has changed does not affect. It is `released` when nothing else of
it is left: then another run may follow, while these come to their end.
"""

from __future__ import annotations

import contextlib
import os
import time
import traceback
from collections.abc import Collection as Names
from collections.abc import Mapping
from typing import NamedTuple

import anyio

from testd_daemon.agent.filing import Surroundings, filing_of
from testd_daemon.agent.reporter import Sink
from testd_daemon.agent.target_task import Orders, Result, Services, TargetTask
from testd_daemon.agent.verdicts import exit_code
from testd_daemon.config import Target, resolve
from testd_daemon.config.targets import choose
from testd_daemon.errors import TestdError, UsageError
from testd_protocol.messages import Notice, Planned, Profile, Run, RunCompleted, RunRequest, TargetUnavailable

__all__ = ["Lingering", "RunTask"]


class Lingering(NamedTuple):
    """A test that goes on although its run was superseded."""

    wanted: str  # the target, as the configuration or the command line calls it
    target: str
    test: str


class RunTask:
    """The task of one run."""

    def __init__(
        self, services: Services, run: Run, reporter: Sink, owed: Mapping[str, Names[str] | None] | None = None
    ) -> None:
        """Take the instructions. `owed`: tests that are to run although nothing affects them, by target; None: all."""
        self.run = run.run
        self._services = services
        self._request: RunRequest = run.request
        self._finished = set(run.finished)
        self._owed = owed or {}
        self._earlier = dict(run.counts)
        self._filing = filing_of(run.request, _around(services, run), reporter)
        self._reporter: Sink = self._filing or reporter
        self._require = run.request.require
        self._cancelled = ""
        self._named = ""  # the first target, as it was asked for; empty for the one that is always there
        self._targets: list[TargetTask] = []
        self._results: dict[TargetTask, Result] = {}
        self._began, self._began_at = time.monotonic(), time.time()
        self.fault: TestdError | None = None  # what ended it before any test
        self.released = anyio.Event()
        self.ended = anyio.Event()

    @property
    def at_work(self) -> bool:
        """Whether it needs an agent that answers: always."""
        return True

    @property
    def spooled(self) -> bool:
        """Whether the next agent asks for what is left of it."""
        return self._request.spooled

    @property
    def targets(self) -> list[TargetTask]:
        """The targets of the run, once it has begun."""
        return self._targets

    def cancel(self, reason: str) -> None:
        """End the run early."""
        self._cancelled = self._cancelled or reason or "cancelled"
        for target in self._targets:
            target.cancel(self._cancelled)

    def supersede(self, reason: str) -> None:
        """End early, but let tests that run now come to their end where nothing that has changed affects them."""
        self._cancelled = self._cancelled or reason
        for target in self._targets:
            target.supersede(reason)

    @property
    def reason(self) -> str:
        """Why it was to end early; empty where it was not."""
        return self._cancelled

    @property
    def lingering(self) -> list[Lingering]:
        """The tests that go on although the run was superseded."""
        return [Lingering(target.wanted, target.name, test) for target in self._targets for test in target.lingering]

    @property
    def unfinished(self) -> dict[str, list[str] | None]:
        """The tests that were to run and did not, nor go on, by target; None where it was never known which."""
        return {target.wanted: target.unfinished for target in self._targets}

    async def execute(self) -> None:
        """Carry the run out; the last event is always `RunCompleted`."""
        try:
            completed = await self._execute()
        except TestdError as error:
            completed = self._failed(error)
        except Exception:
            completed = self._ended(3, "testd failed: this is a bug in testd", detail=traceback.format_exc())
        if self._request.profile:
            spans = {target.name: target.spans.seconds for target in self._targets}
            self._reporter.event(Profile(began=self._began_at, ended=time.time(), targets=spans))
        self._reporter.event(completed)
        self.released.set()
        self.ended.set()

    async def remember(self) -> None:
        """Write the history, after the run."""
        for target in self._targets:
            remember, target.remember = target.remember, None
            if remember is not None:
                await remember()

    async def _execute(self) -> RunCompleted:
        request, services = self._request, self._services
        caller = request.environment or dict(os.environ)
        options = {name: getattr(request, name) for name in ("mode", "jobs", "timeout", "require")}
        resolved = resolve(services.workspace, caller, options)
        self._require = resolved.settings.require
        for text in (*resolved.notices, *services.history.complaints(), *services.affected.complaints()):
            self._reporter.event(Notice(level="warning", text=text))
        chosen = choose(resolved, request.targets, request.kind)
        self._named = chosen[0].name
        self._targets = [
            TargetTask(services, self._orders(target), self._reporter, self._planned, self._settle)
            for target in chosen
        ]
        if self._cancelled:
            self.cancel(self._cancelled)
        if len(self._targets) > 1:
            self._planned()
        async with contextlib.AsyncExitStack() as stack:
            if self._filing is not None:
                self._filing.begin([target.name for target in chosen])
                await stack.enter_async_context(self._filing)
            tasks = await stack.enter_async_context(anyio.create_task_group())
            for target in self._targets:
                tasks.start_soon(self._one, target, caller)
        return self._complete()

    def _orders(self, target: Target) -> Orders:
        owed = self._owed.get(target.name, ())
        return Orders(
            run=self.run, request=self._request, target=target, finished=self._finished, owed=owed, filing=self._filing
        )

    def _settle(self, target: TargetTask, result: Result) -> None:
        """Take how a target stands, when it has come to its end or as far as a superseded run goes."""
        self._results[target] = result
        if len(self._results) == len(self._targets):
            self.released.set()

    async def _one(self, target: TargetTask, caller: Mapping[str, str]) -> None:
        result = await target.execute(caller)
        self._settle(target, result)
        if result.error is not None and len(self._targets) > 1:
            error = result.error
            self._reporter.event(
                TargetUnavailable(
                    target=result.target, message=error.message, hint=error.hint, detail=error.detail,
                    required=bool(self._require),
                )
            )  # fmt: skip
        if result.reason and not result.interrupted and self._request.maxfail:
            for other in self._targets:  # -x means the run, not each of its targets
                other.cancel(f"{result.reason} on {result.target}", interrupted=False)

    def _planned(self) -> None:
        """Say how much there is to do on all targets of which it is known."""
        forecasts = [target.forecast for target in self._targets if target.forecast is not None]
        expected = [forecast.expected for forecast in forecasts if forecast.expected is not None]
        self._reporter.event(
            Planned(
                tests=sum(forecast.tests for forecast in forecasts),
                deselected=sum(forecast.deselected for forecast in forecasts),
                expected=max(expected) if expected else None,
                targets={
                    target.name: target.forecast.tests if target.forecast is not None else None
                    for target in self._targets
                }
                if len(self._targets) > 1
                else {},
            )
        )

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _complete(self) -> RunCompleted:
        results = [self._results[target] for target in self._targets]
        usable = [result for result in results if result.error is None]
        unusable = [result for result in results if result.error is not None]
        if not usable and len(unusable) == 1 and unusable[0].error is not None:
            return self._failed(unusable[0].error, self._named)
        counts = dict(self._earlier)
        for result in usable:
            for verdict, count in result.counts.items():
                counts[verdict] = counts.get(verdict, 0) + count
        code = exit_code(
            counts,
            selected=sum(result.selected + result.unaffected for result in usable),
            interrupted=bool(self._cancelled) or any(result.interrupted for result in usable),
            broken=any(result.broken for result in usable),
        )
        reasons = dict.fromkeys(result.reason for result in usable if result.reason)
        reason, hint = "; ".join(reasons), ""
        if not reason and not counts and any(result.unaffected for result in usable):
            reason = "nothing is affected by what has changed"
        if unusable and (not usable or self._require):
            names = ", ".join(result.target for result in unusable)
            code = code if code in (1, 2) else 4
            reason = reason or (f"not usable: {names}" if usable else f"no target is usable: {names}")
            hint = "testd targets shows what is found, and why something is not usable"
            self.fault = None if usable else unusable[0].error
        return self._ended(code, reason, hint, counts=counts)

    def _failed(self, error: TestdError, target: str = "") -> RunCompleted:
        """End the run for what went wrong, on a target that was named; a wrong command or configuration has a place."""
        self.fault = error
        reason = f"{target}: {error.message}" if target and not isinstance(error, UsageError) else error.message
        return self._ended(error.exit_code, reason, error.hint, error.detail)

    def _ended(
        self, code: int, reason: str, hint: str = "", detail: str = "", counts: dict[str, int] | None = None
    ) -> RunCompleted:
        return RunCompleted(
            exit_code=code, counts=self._earlier if counts is None else counts, reason=reason, hint=hint,
            detail=detail, duration=time.monotonic() - self._began,
        )  # fmt: skip


def _around(services: Services, run: Run) -> Surroundings:
    """Return what a run keeps things with. A watch begins its results anew with each generation."""
    state = "" if run.request.watch else services.folders.state
    ledger = os.path.join(state, "results", f"{run.run}.jsonl") if state else ""
    return Surroundings(services.workspace, ledger, services.affected.produced, services.run_files)
