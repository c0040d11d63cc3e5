"""The functions of one run: who runs when, and what becomes of each. Runs in the agent.

What is decided comes from `Progress`; this carries it out, a task for each function, and tells it what happened. A
function is through once its completion is in the store and in the run's journal: from then on it never runs again.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from itertools import count
from typing import Final

import anyio
import msgspec
from anyio.abc import TaskGroup

from testd_daemon.agent.reporter import Sink
from testd_daemon.agent.workflow.attempt import Attempt
from testd_daemon.agent.workflow.calls import Calls
from testd_daemon.agent.workflow.endings import Ending, explain
from testd_daemon.agent.workflow.files import Files
from testd_daemon.agent.workflow.function import Function, memory_of
from testd_daemon.agent.workflow.kept import Kept, Note
from testd_daemon.agent.workflow.log import Log
from testd_daemon.agent.workflow.place import Order, Place, code_name
from testd_daemon.agent.workflow.turns import Turns
from testd_daemon.errors import TestdError
from testd_daemon.workflows import layout
from testd_daemon.workflows.document import Workflow
from testd_daemon.workflows.graph import action_of, rank_of
from testd_daemon.workflows.progress import Progress, Step
from testd_daemon.workflows.status import FunctionStatus
from testd_protocol.messages import Detail, FunctionChanged, Invocation, Message, Output, Row
from testd_protocol.workflows import Action

__all__ = ["Engine", "Means"]

#: Times that a function runs whose runner ended meanwhile.
ATTEMPTS: Final = 2
#: Seconds for what is under way to be written once a run is cancelled.
END_DEADLINE: Final = 3.0
_LEFT_OUT: Final = (FunctionStatus.SKIPPED, FunctionStatus.NOT_INVOKED)


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What a run works with."""

    workflow: Workflow
    folder: str  # of its logs in the store
    kept: Kept
    files: Files
    turns: Turns
    places: dict[str, Place]  # by action
    broken: dict[str, TestdError]  # by action: why there is no place for it
    targets: dict[str, str]  # by action: the target's name
    secrets: Mapping[str, str]
    timeouts: dict[str, float]  # by action, in seconds; 0: no limit
    finished: frozenset[str]  # rows that have been reported: target, a null byte, function


class Engine:
    """One run from its first function to its last."""

    def __init__(self, means: Means, progress: Progress, reporter: Sink) -> None:
        """Carry out `progress`."""
        self.counts: dict[str, int] = {}
        self._means = means
        self._progress = progress
        self._reporter = reporter
        self._tasks: TaskGroup | None = None
        self._functions: dict[str, Function] = {}
        self._calls: Calls | None = None
        self._numbers = count(1)  # of calls
        self._scope = anyio.CancelScope()
        self._cancelled = ""
        self._joins = frozenset(means.workflow.graph.joins())

    def cancel(self, reason: str) -> None:
        """End early."""
        self._cancelled = self._cancelled or reason
        self._scope.cancel()

    async def run(self) -> None:
        """Run until every function has its final status."""
        means = self._means
        means.kept.empty()
        with self._scope:
            async with anyio.create_task_group() as tasks:
                self._tasks = tasks
                self._calls = Calls(tasks, means.files, means.secrets, means.kept.work, means.turns, self._show)
                self._apply(self._progress.resume(means.kept.finished))
        if self._scope.cancelled_caught:
            self._tell(self._progress.cancel(self._cancelled))
            await self._close_logs()

    async def _close_logs(self) -> None:
        """Have the logs of functions say that they were cancelled."""
        with anyio.move_on_after(END_DEADLINE):
            async with anyio.create_task_group() as tasks:
                for function in self._functions.values():
                    if function.started and not function.ended:
                        function.log.say("ERROR", "executor.py", f"cancelled: {self._cancelled}")
                        tasks.start_soon(self._flush, function)

    # ── what follows ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _apply(self, step: Step) -> None:
        """Start what is to run, and tell what has changed."""
        self._start(step)
        self._tell(step)

    def _start(self, step: Step) -> None:
        assert self._tasks is not None
        for name in step.start:
            action = action_of(name)
            log = Log(self._means.files.logs, layout.log_key(self._means.folder, name))
            self._functions[name] = Function(name, self._means.targets[action], log)
            self._tasks.start_soon(self._live, self._functions[name])
            if action in self._joins:
                self._tasks.start_soon(self._elect, self._functions[name])

    def _tell(self, step: Step, ending: Ending | None = None, sequence: int | None = None, memory: int = 0) -> None:
        """Tell changes; `ending`, `sequence` and `memory` are of the first one."""
        for number, (name, status, why) in enumerate(step.changes):
            target = self._means.targets[action_of(name)]
            at = self._means.files.sequence if sequence is None or number else sequence
            if f"{target}\0{name}" not in self._means.finished:
                self._reporter.event(
                    FunctionChanged(
                        function=name, status=status.value, at=time.time(), why=why, sequence=at, target=target
                    )
                )
                if number == 0 and ending is not None:
                    self._row(name, target, ending, memory)
                elif status in _LEFT_OUT:
                    self._row(name, target, self._left_out(status, why))

    def _left_out(self, status: FunctionStatus, why: str) -> Ending:
        if status is FunctionStatus.SKIPPED and self._cancelled:
            return Ending("cancelled")
        message = f"not invoked: {why}" if status is FunctionStatus.NOT_INVOKED else why
        return Ending("skipped", Detail(message=message, text=message))

    def _row(self, name: str, target: str, ending: Ending, memory: int = 0) -> None:
        self.counts[ending.verdict] = self.counts.get(ending.verdict, 0) + 1
        function = self._functions.get(name)
        seconds = max(0.0, function.ended - function.started) if function is not None and function.started else 0.0
        self._reporter.row(Row(name, target, ending.verdict, seconds, memory, 0, ending.detail))

    # ── one function ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _live(self, function: Function) -> None:
        """See a function from its trigger to its end."""
        returned = self._means.kept.returned
        if function.name in returned:  # before a process was killed: only its completion is owed
            self._running(function)
            await self._completed(function, returned[function.name], None)
            return
        try:
            attempt, ending = await self._run(function)
        except TestdError as error:
            attempt, ending = None, Ending("error", Detail(phase="setup", message=error.message, text=_text(error)))
        function.ended = time.time()
        value = attempt.returned.value if attempt is not None and attempt.returned is not None else None
        objection = self._progress.objection(function.name, value) if ending is None else ""
        if objection:
            ending = Ending("failed", Detail(phase="call", kind="usage", message=objection, text=objection))
        try:
            if ending is None:
                self._means.kept.note(Note(function=function.name, what="returned", value=value))
                await self._completed(function, value, attempt)
                return
        except TestdError as error:  # the store
            ending = Ending("error", Detail(phase="call", message=error.message, text=str(error)))
        await self._failed(function, ending, attempt)

    async def _elect(self, function: Function) -> None:
        """Enter who runs a join, as the public system does; here it is known without a vote."""
        key = layout.candidate_key(self._means.folder, action_of(function.name))
        try:
            await self._means.files.logs.put_if_absent(key, f"{secrets.randbelow(2**31)}\n".encode())
        except TestdError as error:
            self._show(function, f"it is not entered in {key}: {error.message}")

    async def _run(self, function: Function) -> tuple[Attempt | None, Ending | None]:
        """Have it called, once more if its runner ends meanwhile. Returns how it failed, None where it returned.

        Raises TestdError where it cannot be called.
        """
        means = self._means
        action = action_of(function.name)
        if action in means.broken:
            raise means.broken[action]
        place = means.places[action]
        await place.ready()
        function.install, place.installed = place.installed, 0.0
        async with means.turns.turn():
            function.started = time.time()
            self._running(function)
            while True:
                attempt = await self._call(function, place)
                if not attempt.blameless:
                    return attempt, self._ending(attempt, means.timeouts[action])
                means.kept.note(Note(function=function.name, what="lost", why=attempt.blameless))
                if means.kept.lost(function.name) >= ATTEMPTS:
                    message = f"its process was lost {ATTEMPTS} times: {attempt.blameless}"
                    return attempt, Ending("crashed", Detail(kind="crash", message=message, text=message))
                self._tell(self._progress.again(function.name, attempt.blameless))
                self._running(function)

    def _action(self, function: Function) -> Action:
        return self._means.workflow.file.action_list[action_of(function.name)]

    def _running(self, function: Function) -> None:
        action = self._action(function)
        function.log.add(layout.started_line(function.log.seconds, action.function_name, action.type))
        self._tell(self._progress.started(function.name))

    async def _call(self, function: Function, place: Place) -> Attempt:
        """Have it called by a process, whose requests are served meanwhile."""
        assert self._tasks is not None
        assert self._calls is not None
        calls, worker = self._calls, 0

        def attempt(number: int, send: Callable[[Message], None]) -> Attempt:
            nonlocal worker
            worker = number
            return Attempt(
                number,
                send,
                lambda made, message: calls.serve(function, message, made.send),
                lambda output: self._print(function, output),
            )

        action = self._action(function)
        order = Order(
            function=code_name(action), invocation=self._invocation(function, place),
            limit=self._means.timeouts[action_of(function.name)], memory=int((action.max_memory or 0) * 1024),
        )  # fmt: skip
        following = anyio.CancelScope()
        self._tasks.start_soon(self._follow, function, following)
        try:
            return await place.call(order, attempt)
        finally:
            calls.forget(worker)
            following.cancel()

    @staticmethod
    async def _follow(function: Function, scope: anyio.CancelScope) -> None:
        """Write its log into the store while it runs. What stands against that is told when it has ended."""
        with scope, contextlib.suppress(TestdError):
            await function.log.follow()

    def _invocation(self, function: Function, place: Place) -> Invocation:
        means = self._means
        action = self._action(function)
        ranks = means.workflow.graph.ranks[action_of(function.name)]
        names = (*means.workflow.file.secrets, *action.secrets)
        work = means.kept.work / f"{function.name}.{next(self._numbers)}"
        return Invocation(
            function=function.name, id=means.kept.facts.invocation, arguments=json.dumps(action.arguments or {}),
            rank=rank_of(function.name), max_rank=ranks,
            environment={name: means.secrets[name] for name in names if name in means.secrets},
            folder=str(work) if place.spec.launcher == "subprocess" else "",
        )  # fmt: skip

    def _ending(self, attempt: Attempt, timeout: float) -> Ending | None:
        if attempt.result is not None:
            return None if attempt.result.verdict == "passed" else Ending("failed", attempt.result.detail)
        assert attempt.exit is not None
        return explain(attempt.exit, timeout)

    # ── its end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _completed(self, function: Function, value: bool | None, attempt: Attempt | None) -> None:
        """Put its completion into the store, and go on with what follows. Raises StoreError."""
        means, log, action = self._means, function.log, action_of(function.name)
        await means.files.completions.put(layout.done_key(means.folder, function.name), layout.DONE)
        function.done = time.time()
        sequence = means.files.sequence
        means.kept.note(Note(function=function.name, what="completed", value=value, sequence=sequence))
        log.add(layout.completed_line(log.seconds, function.name))
        log.add(layout.returned_line(log.seconds, action, value))
        step = self._progress.completed(function.name, value)
        for invoked in step.invoked:
            log.add(layout.invoked_line(log.seconds, invoked))
        self._start(step)
        early = tuple(change for change in step.changes if change.status is FunctionStatus.INVOKED)
        self._tell(Step(early))
        await self._flush(function)
        await self._in_turn(function)
        others = tuple(change for change in step.changes if change not in early)
        self._tell(Step(others), Ending("passed"), sequence, memory_of(attempt))
        self._reporter.event(function.measured(attempt))
        function.told.set()

    async def _failed(self, function: Function, ending: Ending, attempt: Attempt | None) -> None:
        """Put its failure into its log, and let what depends on it go."""
        function.ended = function.ended or time.time()
        function.log.say("ERROR", "executor.py", ending.text.rstrip() or ending.message)
        await self._flush(function)
        late = ending.verdict == "timed out"
        status = FunctionStatus.TIMEOUT if late else FunctionStatus.FAILED
        note = Note(function=function.name, what="timeout" if late else "failed", why=ending.message)
        self._means.kept.note(note)
        step = self._progress.failed(function.name, ending.message, status)
        self._start(step)
        await self._in_turn(function)
        self._tell(step, ending, memory=memory_of(attempt))
        self._reporter.event(function.measured(attempt))
        function.told.set()

    async def _in_turn(self, function: Function) -> None:
        """Wait until the end of all that led to it is told. They are through, but for the last write of their logs."""
        graph = self._means.workflow.graph
        for action in graph.predecessors(action_of(function.name)):
            for name in graph.instances_of(action):
                if name in self._functions:
                    await self._functions[name].told.wait()

    async def _flush(self, function: Function) -> None:
        """Have its log in the store, if the store lets us: what becomes of the function does not hang on that."""
        try:
            await function.log.flush()
        except TestdError as error:
            self._show(function, f"its log is not complete in the store: {error.message}")

    # ── what is shown ────────────────────────────────────────────────────────────────────────────────────────────────

    def _show(self, function: Function, line: str) -> None:
        """Show a line of a function's log, live."""
        self._reporter.event(
            Output(worker=0, stream="stdout", text=line + "\n", test=function.name, target=function.target)
        )

    def _print(self, function: Function, output: Output) -> None:
        self._reporter.event(msgspec.structs.replace(output, worker=0, test=function.name, target=function.target))


def _text(error: TestdError) -> str:
    return "\n".join(filter(None, (str(error), error.detail)))
