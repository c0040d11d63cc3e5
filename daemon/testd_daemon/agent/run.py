"""One run, from its instructions to its completion. Runs in the agent, one task for each run.

    configuration → interpreter → kind → runner → what is fresh, or a new collection → selection → schedule → completed

What goes wrong on the way ends the run with the reason; it never ends the agent.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import anyio

from testd_daemon.agent import environment, jobs
from testd_daemon.agent.collection import Collection
from testd_daemon.agent.history import History, Known, RunRecord, TestRecord
from testd_daemon.agent.interpreter import Choice, Interpreter, choose, inspect
from testd_daemon.agent.kind import Detector
from testd_daemon.agent.plan import BAD, Plan
from testd_daemon.agent.pool import Pool
from testd_daemon.agent.reporter import Reporter
from testd_daemon.agent.runner import Runner
from testd_daemon.agent.scheduler import Scheduler
from testd_daemon.agent.selection import Argument, parse, select
from testd_daemon.agent.spec import Spec
from testd_daemon.agent.target_run import Limits, TargetRun
from testd_daemon.agent.verdicts import exit_code
from testd_daemon.agent.warm import Provision, provide
from testd_daemon.config import Resolved, resolve
from testd_daemon.errors import EnvironmentFault, TestdError, UsageError
from testd_protocol.messages import (
    CollectError,
    Kind,
    Notice,
    Planned,
    Row,
    Run,
    RunCompleted,
    RunRequest,
    TargetReady,
)

__all__ = ["RunTask", "Services"]

#: Seconds for workers to end that were told to; after that their runner is killed.
STOP_DEADLINE: Final = 5.0


class Services:
    """What the runs of an agent share."""

    def __init__(self, workspace: str, pool: Pool, history: History) -> None:
        """Serve the runs of one workspace."""
        self.workspace = workspace
        self.pool = pool
        self.history = history
        self.detector = Detector()
        self.interpreters: dict[tuple[str, int], Interpreter] = {}
        self.active = 0  # runs that have workers: they share the processors


class RunTask:
    """The task of one run."""

    def __init__(self, services: Services, run: Run, reporter: Reporter) -> None:
        """Take the instructions."""
        self.run = run.run
        self._services = services
        self._request: RunRequest = run.request
        self._finished = set(run.finished)
        self._earlier = dict(run.counts)
        self._reporter = reporter
        self._scope = anyio.CancelScope()
        self._cancelled = ""
        self._target: TargetRun | None = None
        self.remember: Callable[[], Awaitable[None]] | None = None  # writes the history, after the run
        self._began = time.monotonic()
        self._began_at = time.time()

    def cancel(self, reason: str) -> None:
        """End the run early."""
        if self._cancelled:
            return
        self._cancelled = reason or "cancelled"
        if self._target is not None:
            self._target.cancel(self._cancelled)
        else:
            self._scope.cancel()

    async def execute(self) -> None:
        """Carry the run out; the last event is always `RunCompleted`."""
        try:
            completed = None
            with self._scope:
                completed = await self._execute()
            completed = completed or self._ended(2, self._cancelled or "cancelled")
        except TestdError as error:
            completed = self._ended(error.exit_code, error.message, error.hint, error.detail)
        except Exception:
            completed = self._ended(3, "testd failed: this is a bug in testd", detail=traceback.format_exc())
        self._reporter.event(completed)

    async def _execute(self) -> RunCompleted:
        request, services = self._request, self._services
        if request.targets:
            raise UsageError(
                f"unknown target {request.targets[0]}", hint="this project has one target: leave --target out"
            )
        caller = request.environment or dict(os.environ)
        options = {"mode": request.mode, "jobs": request.jobs, "timeout": request.timeout}
        resolved = resolve(services.workspace, caller, options)
        for text in (*resolved.notices, *services.history.complaints()):
            self._reporter.event(Notice(level="warning", text=text))
        spec = await self._spec(resolved, caller)
        arguments = parse(request.paths, request.cwd, services.workspace) or parse(
            resolved.settings.paths, services.workspace, services.workspace
        )
        known = await services.history.known(spec.target)
        async with provide(services.pool, spec, arguments, resolved.settings, fresh=request.fresh) as provision:
            return await self._on(spec, resolved, arguments, known, provision)

    # ── what runs it ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _spec(self, resolved: Resolved, caller: dict[str, str]) -> Spec:
        services, settings = self._services, resolved.settings
        choice = choose(
            settings.python, resolved.sources["python"], services.workspace, caller, self._request.python
        )
        variables = environment.for_user_code(caller, settings.passthrough, settings.environment)
        found = await self._inspect(choice, variables)
        kind: Kind
        if settings.kind == "auto":
            kind = services.detector.detect(services.workspace, pytest=found.pytest).kind
        else:
            kind = settings.kind
        if kind == "pytest" and not found.pytest:
            raise EnvironmentFault(
                f"no pytest in {choice.path} (chosen by: {choice.source})",
                hint=f"install it there: {choice.path} -m pip install pytest; or choose another interpreter with python"
                ' in [tool.testd]; or set kind = "exports"',
            )
        return Spec(
            target=found.target, launcher="subprocess", python=choice.path, kind=kind, mode=settings.mode,
            root=services.workspace, arguments=settings.pytest_args if kind == "pytest" else (), fork=settings.fork,
            memory_limit=settings.memory_limit, output_limit=settings.output_limit,
            capture_limit=settings.capture_limit, environment=variables,
            significant=environment.significant(variables, settings.volatile),
        )  # fmt: skip

    async def _inspect(self, choice: Choice, variables: dict[str, str]) -> Interpreter:
        """Look at an interpreter once, and again when it has changed or had no pytest."""
        try:
            key = (choice.path, os.stat(choice.path).st_mtime_ns)
        except OSError as error:
            raise EnvironmentFault(f"{choice.path}: {error.strerror}", hint="remake the environment") from error
        found = self._services.interpreters.get(key)
        if found is None or not found.pytest:
            found = self._services.interpreters[key] = await inspect(choice.path, variables)
        return found

    # ── what is to run ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _on(
        self, spec: Spec, resolved: Resolved, arguments: Sequence[Argument], known: Known, provision: Provision
    ) -> RunCompleted:
        runner, collection = provision.runner, provision.collection
        chosen, deselected = await self._choose(runner, collection, arguments, known)
        errors = [error for error in collection.errors if _concerns(collection.path_of(error.id), arguments)]
        alone = spec.mode == "bin" or not collection.forkable
        plan = Plan([collection.ids[index] for index in chosen])
        left = [n for n, test in enumerate(plan.ids) if f"{spec.target}\0{test}" not in self._finished]
        durations = jobs.Durations(known.durations)
        limit = resolved.settings.jobs or _processors()
        share = max(1, limit // (self._services.active + 1))
        left_ids = [plan.ids[n] for n in left]
        workers = min(share, max(1, len(left))) if alone else jobs.useful_workers(share, left_ids, durations)
        split = resolved.settings.split == "auto" and not alone
        cut = jobs.cut(plan.ids, left, workers, durations, split=split)
        workers = max(1, min(workers, len(cut)))
        self._announce(spec, provision, workers, alone=alone)
        self._reporter.event(
            Planned(
                tests=len(plan) + len(errors), deselected=deselected,
                expected=jobs.expected(cut, plan.ids, workers, durations) if known.durations else None,
            )
        )  # fmt: skip
        records = self._report_errors(errors, spec.target)
        maxfail = self._request.maxfail or collection.maxfail
        for position in set(range(len(plan))).difference(left):
            plan.settle(position, "finished")
        plan.counts.clear()
        scheduler = Scheduler(
            plan, cut, durations, workers=workers, maxfail=maxfail, single=alone, numbers=runner.numbers
        )
        settings = resolved.settings
        limits = Limits(
            run=self.run, stream=self._request.stream, update_snapshots=self._request.update_snapshots,
            timeout=settings.timeout, job_timeout=settings.job_timeout, memory_limit=settings.memory_limit,
            workers=workers, maxfail=maxfail,
        )  # fmt: skip
        self._target = TargetRun(spec.target, plan, scheduler, self._reporter, limits)
        if self._cancelled:
            self._target.cancel(self._cancelled)
        elif maxfail and len(records) >= maxfail:
            self._target.cancel(f"stopped after {len(records)} collection error{'s' * (len(records) != 1)}")
        await self._carry_out(self._target, spec, arguments, provision, chosen, alone=alone)
        return await self._complete(self._target, spec.target, records, collection, len(plan) + len(errors), known)

    async def _choose(
        self, runner: Runner, collection: Collection, arguments: Sequence[Argument], known: Known
    ) -> tuple[list[int], int]:
        """Return the indexes of the tests that are meant, and how many were left out by an expression."""
        chosen = (
            select(arguments, collection.index, collection.ids, collection.lines, collection.broken)
            if arguments
            else list(range(len(collection.ids)))
        )
        deselected = collection.deselected
        if self._request.keyword:
            wanted = set(await runner.select(collection, self._request.keyword))
            kept = [index for index in chosen if index in wanted]
            deselected += len(chosen) - len(kept)
            chosen = kept
        if self._request.last_failed:
            failing = known.failing()
            kept = [n for n in chosen if collection.ids[n] in failing or jobs.file_of(collection.ids[n]) in failing]
            text = "no previously failed tests, all are run"
            if kept or any(error.id in failing for error in collection.errors):
                text = f"{len(kept)} previously failed test{'s' * (len(kept) != 1)}"
                deselected += len(chosen) - len(kept)
                chosen = kept
            self._reporter.event(Notice(level="info", text=f"--last-failed: {text}"))
        return chosen, deselected

    def _announce(self, spec: Spec, provision: Provision, workers: int, *, alone: bool) -> None:
        collection, runner = provision.collection, provision.runner
        if alone and spec.mode == "worker":
            text = f"each job runs in a new process, because {collection.reason}"
            self._reporter.event(Notice(level="warning", text=text, target=spec.target))
        for text in collection.notices:
            self._reporter.event(Notice(level="info", text=text, target=spec.target))
        self._reporter.event(
            TargetReady(
                target=spec.target, warm=provision.warm, reason=provision.reason, mode="bin" if alone else "worker",
                kind=spec.kind, jobs=workers, python=runner.ready.python if runner.ready is not None else "",
                framework=collection.framework,
            )
        )  # fmt: skip

    def _report_errors(self, errors: Sequence[CollectError], target: str) -> list[TestRecord]:
        """Report files that could not be collected, unless an earlier agent did."""
        for error in errors:
            if f"{target}\0{error.id}" not in self._finished:
                self._reporter.row(Row(error.id, target, error.verdict, 0.0, 0, 0, error.detail))
        return [TestRecord(error.id, error.verdict, 0.0, error.detail.message) for error in errors]

    # ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _carry_out(
        self,
        target: TargetRun,
        spec: Spec,
        arguments: Sequence[Argument],
        provision: Provision,
        chosen: Sequence[int],
        *,
        alone: bool,
    ) -> None:
        """See the schedule through, on as many runners as it takes."""
        self._services.active += 1
        try:
            if not target.done:
                target.attach(provision.runner, provision.collection, chosen, alone=alone)
            while not target.done:
                await self._wait(target, provision.runner)
                if target.stranded:
                    await self._replace(target, spec, arguments, provision)
        finally:
            self._services.active -= 1

    async def _wait(self, target: TargetRun, runner: Runner) -> None:
        """Wait until the schedule is done, stranded or stopping; a stop has a deadline."""
        if target.stopping:
            with anyio.move_on_after(STOP_DEADLINE) as deadline:
                while not target.done:
                    await target.wake.wait()
                    target.wake = anyio.Event()
            if deadline.cancelled_caught:
                runner.kill(f"its workers did not end within {STOP_DEADLINE:g} s")
                await runner.gone.wait()
            return
        await target.wake.wait()
        target.wake = anyio.Event()

    async def _replace(
        self, target: TargetRun, spec: Spec, arguments: Sequence[Argument], provision: Provision
    ) -> None:
        """Put another runner in the place of one that ended."""
        try:
            await provision.renew(spec, arguments)
        except TestdError as error:
            target.give_up("\n".join(filter(None, (f"no runner for the rest: {error}", error.detail))))
            return
        places = {test: index for index, test in enumerate(provision.collection.ids)}
        index = [places.get(test, -1) for test in target.plan.ids]
        alone = spec.mode == "bin" or not provision.collection.forkable
        if target.stranded:  # not cancelled meanwhile
            target.attach(provision.runner, provision.collection, index, alone=alone)

    async def _complete(
        self,
        target: TargetRun,
        name: str,
        errors: list[TestRecord],
        collection: Collection,
        selected: int,
        known: Known,
    ) -> RunCompleted:
        counts = dict(self._earlier)
        for verdict, count in target.plan.counts.items():
            counts[verdict] = counts.get(verdict, 0) + count
        for error in errors:
            if f"{name}\0{error.test}" not in self._finished:
                counts[error.verdict] = counts.get(error.verdict, 0) + 1
        interrupted = bool(self._cancelled) or "stopped from inside" in target.reason
        code = exit_code(counts, selected=selected, interrupted=interrupted, broken=target.broken)
        mended = [
            TestRecord(file, "passed", 0.0, "")
            for file in {jobs.file_of(record.test) for record in target.records}
            if known.verdicts.get(file) in BAD
        ]
        record = RunRecord(
            self.run, name, self._began_at, time.monotonic() - self._began, code, counts,
            [*errors, *mended, *target.records],
        )  # fmt: skip
        self.remember = lambda: self._services.history.record(record)
        return self._ended(code, target.reason, counts=counts)

    def _ended(
        self, code: int, reason: str, hint: str = "", detail: str = "", counts: dict[str, int] | None = None
    ) -> RunCompleted:
        return RunCompleted(
            exit_code=code, counts=self._earlier if counts is None else counts, reason=reason, hint=hint,
            detail=detail, duration=time.monotonic() - self._began,
        )  # fmt: skip


def _concerns(path: str, arguments: Sequence[Argument]) -> bool:
    """Tell whether a file is among what was asked for."""
    return not arguments or any(
        path == argument.path or (argument.folder and path.startswith(argument.path.rstrip(os.sep) + os.sep))
        for argument in arguments
    )


def _processors() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1
