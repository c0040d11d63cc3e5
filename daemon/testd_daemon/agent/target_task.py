"""One target of a run, from its settings to its result. Runs in the agent, one task for each.

    interpreter, kind → runner → what is fresh, or a new collection → selection → schedule → result

What goes wrong on the way is the target's own: the others of the run do not notice.
"""

from __future__ import annotations

import contextlib
import math
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Collection as Names
from functools import partial
from typing import Final

import anyio
import msgspec

from testd.runner.processes import processors
from testd_daemon.agent import jobs
from testd_daemon.agent.affected import Affected, Facts
from testd_daemon.agent.chooser import Chooser, narrowed
from testd_daemon.agent.collection import Collection
from testd_daemon.agent.filing import Filing, Identities
from testd_daemon.agent.generations import Stamping
from testd_daemon.agent.history import History, Known, RunRecord, TestRecord
from testd_daemon.agent.order import shuffled
from testd_daemon.agent.plan import BAD, Plan
from testd_daemon.agent.pool import Pool
from testd_daemon.agent.reporter import Sink
from testd_daemon.agent.runner import Runner
from testd_daemon.agent.scheduler import Scheduler
from testd_daemon.agent.selection import Argument, parse
from testd_daemon.agent.shares import Shares
from testd_daemon.agent.spans import Spans
from testd_daemon.agent.spec import Spec
from testd_daemon.agent.specs import Specs
from testd_daemon.agent.target_run import Limits, TargetRun
from testd_daemon.agent.verdicts import exit_code
from testd_daemon.agent.warm import Provision, provide
from testd_daemon.config import Settings, Target
from testd_daemon.errors import Bug, TestdError, Unreachable
from testd_protocol.messages import CollectError, Notice, Preparing, Row, RunRequest, TargetReady

__all__ = ["Folders", "Forecast", "Orders", "Result", "Services", "TargetTask"]

#: Seconds for workers to end that were told to; after that their runner is killed.
STOP_DEADLINE: Final = 5.0
#: Seconds of tests above which it is found out whether what they use has to be recorded again.
WORTH_ASKING: Final = 0.5
#: Seconds between attempts to reach a host again that was lost in the middle of a run.
RECONNECT_PAUSES: Final = (1.0, 2.0, 4.0)


class Folders(msgspec.Struct, frozen=True):
    """Where an agent may keep what it needs."""

    state: str  # of this workspace: what is to outlast the agent; empty where nothing is
    cache: str  # what can be made again


class Services:
    """What the runs of an agent share."""

    def __init__(
        self, workspace: str, pool: Pool, history: History, specs: Specs, affected: Affected, folders: Folders
    ) -> None:
        """Serve the runs of one workspace."""
        self.workspace = workspace
        self.pool = pool
        self.history = history
        self.affected = affected
        self.specs = specs
        self.folders = folders
        self.shares = Shares()
        self.run_files = Identities()


class Forecast(msgspec.Struct, frozen=True):
    """How much a target has to do."""

    tests: int
    deselected: int
    expected: float | None  # seconds, where history knows


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a target ended. `error`: it could not be used, and has no outcomes beyond those in `counts`."""

    target: str
    counts: dict[str, int] = {}
    selected: int = 0
    interrupted: bool = False
    broken: bool = False  # a worker's session did not come to its end
    reason: str = ""  # why it ended early
    error: TestdError | None = None
    unaffected: bool = False  # it was to run what is affected, and nothing is


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What a target is to do."""

    run: str
    request: RunRequest
    target: Target
    #: They have their outcome, or get it from another run; each behind its target and a null byte.
    finished: Names[str] = ()
    owed: Names[str] | None = ()  # ids that are to run although nothing affects them; None: all
    filing: Filing | None = None  # keeps what comes of cases and items


class TargetTask:
    """The task of one target."""

    def __init__(
        self, services: Services, orders: Orders, reporter: Sink, planned: Callable[[], None],
        parted: Callable[[TargetTask, Result], None],
    ) -> None:  # fmt: skip
        """Take what the run asks for.

        `planned` is called once `forecast` is there, `parted` when it was superseded and nothing is left to do but
        tests that go on.
        """
        target = orders.target
        self.wanted = target.name  # as the configuration or the command line calls it
        self.name = target.name
        self.forecast: Forecast | None = None
        self.collected: tuple[list[str], Callable[[str], bool]] | None = None  # ids there are, and in which files
        self.installed: list[str] = []  # folders on this machine into which what is installed comes
        self.remember: Callable[[], Awaitable[None]] | None = None  # writes the history, after the run
        self._services = services
        self._run = orders.run
        self._request = orders.request
        self._settings: Settings = target.settings
        self._orders = orders
        self._finished = orders.finished
        self._reporter = reporter
        self._planned = planned
        self._parted = parted
        self._apart = False  # it was told so
        self._shelf = target.name  # under which its tests are remembered: cases stand apart from the project's tests
        self._superseded = ""  # why, until it is decided what goes on
        self._counted: Counter[str] = Counter()
        self._scope = anyio.CancelScope()
        self._cancelled = ""
        self._interrupted = False
        self._recording = True  # what its tests use
        self._target: TargetRun | None = None
        self._strangers: set[str] = set()  # folders outside that the run was told of
        self._most = 1  # workers that would be of use
        self._room = 1  # workers that all targets on its machine may have together
        self._local = True  # it shares this machine's processors
        self.spans = Spans()
        self._began = time.monotonic()
        self._began_at = time.time()

    def cancel(self, reason: str, *, interrupted: bool = True) -> None:
        """End early; `interrupted` unless the run has its answer already."""
        if self._cancelled:
            return
        self._cancelled, self._interrupted = reason, interrupted
        if self._target is not None:
            self._target.cancel(reason)
        else:
            self._scope.cancel()

    def supersede(self, reason: str) -> None:
        """End early, but let those tests that run now come to their end that nothing which has changed affects."""
        if self._target is None:
            self.cancel(reason)
        elif not self._cancelled:
            self._superseded, self._interrupted = reason, True
            self._target.wake.set()

    @property
    def lingering(self) -> list[str]:
        """The tests that go on although the run was superseded."""
        return self._target.going_on if self._target is not None else []

    @property
    def unfinished(self) -> list[str] | None:
        """The tests that were to run and did not, nor go on; None where it was never known which."""
        if self._target is None:
            return None if self.forecast is None else []
        return self._target.unfinished

    def widen(self) -> None:
        """Use processors that others have left."""
        if self._target is not None:
            self._target.widen(self._share())

    async def execute(self, caller: Mapping[str, str]) -> Result:
        """Carry it out; nothing is raised but a cancellation from outside."""
        try:
            with self._scope:
                return await self._execute(caller)
        except TestdError as error:
            return Result(target=self.name, error=error)
        except Exception:
            return Result(
                target=self.name, error=Bug("testd failed: this is a bug in testd", detail=traceback.format_exc())
            )
        return Result(target=self.name, interrupted=self._interrupted, reason=self._cancelled or "cancelled")

    async def _execute(self, caller: Mapping[str, str]) -> Result:
        services, request = self._services, self._request
        began_ns = time.time_ns()
        spec = await services.specs.of(self._orders.target, caller, request.python, self._tell, fresh=request.fresh)
        self.name = spec.target
        self.spans.mark("target")
        outside = request.run_file and spec.launcher == "subprocess"  # on this machine a file may be anywhere
        arguments: Sequence[Argument] = parse(
            request.paths, request.cwd, services.workspace, outside=outside
        ) or parse(self._settings.paths, services.workspace, services.workspace)
        if spec.kind == "cases":
            self._shelf = f"{spec.target} {'run files' if request.run_file else 'cases'}"
        else:
            self._shelf = spec.target
        known = await services.history.known(self._shelf)
        self.spans.mark("history")
        chooser = Chooser(services.workspace, request, self.name, self._reporter)
        if request.affected and self._orders.owed is not None:
            chooser.owed = self._orders.owed
            await services.pool.foresee(spec)  # before a thread is at work, beside which nothing here goes on well
            chooser.selection = await services.affected.select(self._shelf, spec.beside_files(), request.since)
            files = chooser.files(known)
            if files == []:
                return self._untouched()
            arguments = narrowed(files, arguments)
            self.spans.mark("affected")
        async with provide(
            services.pool, spec, arguments, self._settings, fresh=request.fresh, tell=self._prepare, since_ns=began_ns
        ) as provision:
            self.spans.take(provision.spans)
            return await self._on(spec, arguments, known, provision, chooser)

    def _untouched(self) -> Result:
        """End before anything is collected: no test is affected, and no file may have new ones."""
        self.forecast = Forecast(tests=0, deselected=0, expected=None)
        self._planned()
        return Result(target=self.name, unaffected=True)

    def _tell(self, text: str) -> None:
        self._reporter.event(Notice(level="info", text=text, target=self.name))

    def _prepare(self, text: str, done: int, total: int) -> None:
        self._reporter.event(Preparing(target=self.name, text=text, done=done, total=total))

    # ── what is to run ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _on(
        self, spec: Spec, arguments: Sequence[Argument], known: Known, provision: Provision, chooser: Chooser
    ) -> Result:
        runner, collection = provision.runner, provision.collection
        chosen, deselected = await chooser.choose(runner, collection, arguments, known)
        self.spans.mark("select")
        self.installed = runner.below.installed() if spec.launcher not in ("docker", "ssh") else []
        known.keep(collection.ids, lambda file: collection.has_looked_at(file) and not collection.is_broken(file))
        self.collected = [*collection.ids, *(error.id for error in collection.errors)], collection.has_looked_at
        errors = chooser.errors(collection, arguments)
        alone = spec.mode == "bin" or not collection.forkable
        plan = Plan([collection.ids[index] for index in chosen])
        left = [n for n, test in enumerate(plan.ids) if f"{spec.target}\0{test}" not in self._finished]
        if self._orders.filing is not None:
            self._orders.filing.plan(self.name, [plan.ids[n] for n in left])
        durations = jobs.Durations(known.durations)
        limit = self._limit(runner)
        cut, useful = self._cut(plan.ids, left, limit, durations, alone=alone)
        self._most = max(1, min(useful, len(cut)))
        self._room, self._local = limit, spec.launcher != "ssh"
        if self._local:
            self._services.shares.join(self)
        try:
            workers = self._share()
            self._announce(spec, provision, workers, alone=alone)
            self.forecast = Forecast(
                tests=len(plan) + len(errors), deselected=deselected,
                expected=jobs.expected(cut, plan.ids, workers, durations) if known.durations else None,
            )  # fmt: skip
            self._planned()
            records = self._report_errors(errors, spec.target)
            self._recording = alone or await self._must_record(spec, collection, [plan.ids[n] for n in left], durations)
            conclude = partial(self._conclude, spec, provision, known, len(plan) + len(errors), chooser.unaffected)
            self._target = self._schedule(spec, plan, cut, durations, left, collection, runner, workers, alone=alone)
            if self._cancelled:
                self._target.cancel(self._cancelled)
            elif self._maxfail(collection) and len(records) >= self._maxfail(collection):
                self._target.cancel(f"stopped after {len(records)} collection error{'s' * (len(records) != 1)}")
            self.spans.mark("plan")
            if not self._target.done:
                self._target.attach(runner, collection, chosen, alone=alone)
            while not self._target.done:
                await self._go_on(self._target, spec, arguments, provision)
                if self._target.lingering and not self._apart:
                    self._part(conclude(self._target, records))
            self.spans.work(self._target.clock, most=workers)
            for text in provision.strangers.told(self._strangers):  # what tests themselves have loaded
                self._tell(text)
        finally:
            self._services.shares.leave(self)
        return conclude(self._target, records)

    async def _must_record(
        self, spec: Spec, collection: Collection, tests: Sequence[str], durations: jobs.Durations
    ) -> bool:
        """Tell whether it has to be recorded what these tests use: nobody knows it, or it may be something else now."""
        request = self._request
        as_ever = not (request.affected or request.fresh or request.isolate or request.shuffle is not None)
        if not (as_ever and spec.record and durations.total(tests) > WORTH_ASKING):
            return True
        affected = self._services.affected
        return not await affected.valid(self._shelf, spec.beside_files(), tests, collection.root)

    def _part(self, result: Result) -> None:
        """Leave the room to others: what is left are single tests that go on."""
        self._apart = True
        self._services.shares.leave(self)
        self._parted(self, result)

    def _facts(self, spec: Spec, target: TargetRun, provision: Provision) -> Facts:
        """Return what the run told of its tests."""
        runner, collection = provision.runner, provision.collection
        loaded = collection.record.loaded, runner.below.loaded()  # as it is now: the next run may have it amended
        return Facts(
            target=self._shelf, began_ns=provision.loaded_from, at=self._began_at,
            tests={record.test: record.verdict for record in target.records}, told=target.told, collection=collection,
            files=runner.below.files(), folders=runner.below.folders(), environment=spec.beside_files(),
            loaded=lambda path: next(filter(None, (found(path) for found in loaded)), None),
            silent=spec.launcher == "node", elsewhere=spec.launcher in ("docker", "ssh"),
        )  # fmt: skip

    def _cut(
        self, ids: Sequence[str], left: Sequence[int], limit: int, durations: jobs.Durations, *, alone: bool
    ) -> tuple[list[list[int]], int]:
        """Return the jobs, and how many workers are of use for them."""
        seed, isolated = self._request.shuffle, self._request.isolate == "test"
        if seed is not None:
            self._reporter.event(
                Notice(level="debug", text=f"shuffled: --shuffle {seed} repeats this order", target=self.name)
            )
            left = shuffled(ids, left, seed)
        if isolated:
            return [[test] for test in left], min(limit, max(1, len(left)))
        useful = min(limit, max(1, len(left)))
        if not alone:
            useful = jobs.useful_workers(limit, [ids[n] for n in left], durations)
        split = self._settings.split == "auto" and not alone and seed is None
        return jobs.cut(ids, left, useful, durations, split=split, longest_first=seed is None), useful

    def _limit(self, runner: Runner) -> int:
        """How many workers all targets at work on the same machine may have together."""
        there = (runner.ready.processors if runner.ready is not None else 0) or processors()
        if self._settings.docker and self._settings.cpus:
            there = min(there, math.ceil(self._settings.cpus))
        return self._settings.jobs or there

    def _share(self) -> int:
        """How many workers this target may have now: all of them alone on its machine, less beside others."""
        return min(self._most, self._services.shares.share(self._room)) if self._local else min(self._most, self._room)

    def _maxfail(self, collection: Collection) -> int:
        return self._request.maxfail or collection.maxfail

    def _schedule(
        self,
        spec: Spec,
        plan: Plan,
        cut: Sequence[Sequence[int]],
        durations: jobs.Durations,
        left: Sequence[int],
        collection: Collection,
        runner: Runner,
        workers: int,
        *,
        alone: bool,
    ) -> TargetRun:
        for position in set(range(len(plan))).difference(left):
            plan.settle(position, "finished")
        plan.counts.clear()
        maxfail, settings = self._maxfail(collection), self._settings
        scheduler = Scheduler(
            plan, cut, durations, workers=workers, maxfail=maxfail,
            single=alone or self._request.isolate == "test", numbers=runner.numbers,
        )  # fmt: skip
        limits = Limits(
            run=self._run, stream=self._request.stream, update_snapshots=self._request.update_snapshots,
            timeout=settings.timeout, job_timeout=settings.job_timeout, memory_limit=settings.memory_limit,
            workers=self._most, maxfail=maxfail, documents=self._orders.filing is not None, record=self._recording,
        )  # fmt: skip
        return TargetRun(spec.target, plan, scheduler, self._reporter, limits)

    def _announce(self, spec: Spec, provision: Provision, workers: int, *, alone: bool) -> None:
        collection, runner = provision.collection, provision.runner
        if alone and spec.mode == "worker":
            what = "each test" if self._request.isolate == "test" else "each job"
            text = f"{what} runs in a new process, because {collection.reason}"
            self._reporter.event(Notice(level="warning", text=text, target=spec.target))
        for text in provision.notices:
            self._reporter.event(Notice(level="warning", text=text, target=spec.target))
        for text in runner.take_refusals():
            self._reporter.event(Notice(level="debug", text=f"loaded anew: {text}", target=spec.target))
        for text in (*collection.notices, *collection.strangers.told(self._strangers)):
            self._reporter.event(Notice(level="info", text=text, target=spec.target))
        self._reporter.event(
            TargetReady(
                target=spec.target, warm=provision.warm, reason=provision.reason, mode="bin" if alone else "worker",
                kind=collection.kind or spec.kind, jobs=workers,
                python=runner.ready.python if runner.ready is not None else "", framework=collection.framework,
                host=spec.options.get("host") or spec.options.get("image", ""),
            )
        )  # fmt: skip

    def _report_errors(self, errors: Sequence[CollectError], target: str) -> list[TestRecord]:
        """Report files that could not be collected, unless an earlier agent did."""
        for error in errors:
            if f"{target}\0{error.id}" not in self._finished:
                self._reporter.row(Row(error.id, target, error.verdict, 0.0, 0, 0, error.detail))
        return [TestRecord(error.id, error.verdict, 0.0, error.detail.message) for error in errors]

    # ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _go_on(
        self, target: TargetRun, spec: Spec, arguments: Sequence[Argument], provision: Provision
    ) -> None:
        """Wait until the schedule needs something, and see to it."""
        await self._wait(target, provision.runner)
        if target.stranded:
            await self._replace(target, spec, arguments, provision)
        if self._superseded:
            await self._keep_valid(target, spec, provision.collection.root)

    async def _keep_valid(self, target: TargetRun, spec: Spec, root: str) -> None:
        """Stop what was superseded, but for tests that run now and that nothing which has changed affects."""
        reason, self._superseded = self._superseded, ""
        valid: list[str] = []
        if spec.launcher not in ("docker", "ssh"):  # there the next run could not bring its files beside them
            selection = await self._services.affected.select(self._shelf, spec.beside_files())
            valid = [test for test in target.under_way if selection.reason(test, root=root) is None]
        target.supersede(reason, valid)

    async def _wait(self, target: TargetRun, runner: Runner) -> None:
        """Wait until the schedule is done, stranded or stopping; a stop has a deadline."""
        if target.stopping and not target.lingering:
            with anyio.move_on_after(STOP_DEADLINE) as deadline:
                while not (target.done or target.lingering):
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
            await self._renew(target, spec, arguments, provision)
        except TestdError as error:
            target.give_up("\n".join(filter(None, (f"no runner for the rest: {error}", error.detail))))
            return
        places = {test: index for index, test in enumerate(provision.collection.ids)}
        index = [places.get(test, -1) for test in target.plan.ids]
        alone = spec.mode == "bin" or not provision.collection.forkable
        if target.stranded:  # not cancelled meanwhile
            target.attach(provision.runner, provision.collection, index, alone=alone)

    @staticmethod
    async def _renew(target: TargetRun, spec: Spec, arguments: Sequence[Argument], provision: Provision) -> None:
        """Get another runner. A host that has just gone is given a little time to come back, unless we stop."""
        for pause in RECONNECT_PAUSES:
            with contextlib.suppress(Unreachable):
                return await provision.renew(spec, arguments)
            with anyio.move_on_after(pause):
                while target.stranded:
                    await target.wake.wait()
                    target.wake = anyio.Event()
            if not target.stranded:
                break
        return await provision.renew(spec, arguments)

    def _conclude(
        self, spec: Spec, provision: Provision, known: Known, selected: int, unaffected: bool,
        target: TargetRun, errors: list[TestRecord],
    ) -> Result:  # fmt: skip
        """Hand over what the tests told that have run since the last time, and return how all of them stand."""
        stamping = Stamping(self._services.workspace, self._services.history, self._services.affected)
        if not self._recording:
            self._services.affected.stay(self._shelf, provision.loaded_from, stamping.learned)
        elif provision.held:  # else its last runner could not be replaced, and told nothing more
            self._services.affected.hand_over(self._facts(spec, target, provision), stamping.learned)
        counts = Counter(target.plan.counts)
        counts.update(error.verdict for error in errors if f"{self.name}\0{error.test}" not in self._finished)
        interrupted = self._interrupted or "stopped from inside" in target.reason
        code = exit_code(counts, selected=selected + unaffected, interrupted=interrupted, broken=target.broken)
        records = [*([] if self._apart else errors), *_mended(target.records, known), *target.records]
        record = RunRecord(
            self._run, self._shelf, self._began_at, time.monotonic() - self._began, code, dict(counts - self._counted),
            records,
        )  # fmt: skip
        self.remember = partial(stamping.record, record)
        self._counted, target.records = counts, []
        return Result(
            target=self.name, counts=dict(counts), selected=selected, interrupted=interrupted, broken=target.broken,
            reason=target.reason, unaffected=unaffected,
        )  # fmt: skip


def _mended(records: Sequence[TestRecord], known: Known) -> list[TestRecord]:
    """Return records for the files whose collection failed the last time, and whose tests have run now."""
    files = {jobs.file_of(record.test) for record in records}
    return [TestRecord(file, "passed", 0.0, "") for file in files if known.verdicts.get(file) in BAD]
