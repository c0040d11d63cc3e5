"""The agent's link to the handler: instructions in, reports out. Runs in the agent.

When the link ends, or `Shutdown` comes, every run and every runner ends with it.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from typing import Final

import anyio
from anyio.abc import TaskGroup

from testd.framing import FrameError
from testd_daemon.agent import memory
from testd_daemon.agent.affected import Affected
from testd_daemon.agent.agent_state import TABLE, AgentEvent, AgentState
from testd_daemon.agent.commands import Commands
from testd_daemon.agent.history import History
from testd_daemon.agent.leftovers import Ledger
from testd_daemon.agent.listing import Listing
from testd_daemon.agent.pool import Pool
from testd_daemon.agent.reporter import Reporter
from testd_daemon.agent.run import RunTask
from testd_daemon.agent.specs import Specs
from testd_daemon.agent.spool import Spool
from testd_daemon.agent.target_task import Folders, Services
from testd_daemon.agent.traces import Traces
from testd_daemon.agent.verify import VerifyTask
from testd_daemon.agent.watch import WatchTask
from testd_daemon.errors import IllegalTransition, LinkClosed
from testd_daemon.link import Link
from testd_daemon.machine import Machine
from testd_protocol.framing import ProtocolError, Unknown, decoder
from testd_protocol.messages import (
    AgentInstruction,
    AgentReport,
    AgentStatus,
    Cancel,
    Command,
    Configure,
    DropTraces,
    Fault,
    HistoryReport,
    KeepTraces,
    List,
    Ping,
    Pong,
    Probe,
    ReadTrace,
    Ready,
    Run,
    Shutdown,
    Steer,
    Unsupported,
    Why,
    WhyReport,
)
from testd_protocol.messages import (
    History as AskHistory,
)
from testd_protocol.messages import (
    Traces as AskTraces,
)

TYPE_CHECKING = False
if TYPE_CHECKING:  # it costs what few runs need
    from testd_daemon.agent.workflow.keeper import Keeper
    from testd_daemon.agent.workflow.task import WorkflowTask

    Task = RunTask | WatchTask | VerifyTask | WorkflowTask

__all__ = ["Agent", "serve"]

#: Seconds for runs to be cancelled and for the history to be written when the agent is asked to end.
END_DEADLINE: Final = 3.0
#: The number of a ping that comes back behind all runs which a new agent has to go on with.
KNOWN: Final = 1
#: Seconds, at the end, for what the last runs used to be told and written.
LEARN_DEADLINE: Final = 2.0
_decoder = decoder(AgentInstruction)


async def serve(descriptor: int) -> None:
    """Be an agent on an inherited socket until the handler is gone or says `Shutdown`."""
    async with Link.from_fd(descriptor, _decoder) as link:
        await Agent(link).serve()


class Agent:
    """One agent."""

    def __init__(self, link: Link[AgentInstruction]) -> None:
        """Serve the handler at the other end."""
        self._link = link
        self._machine: Machine[AgentState, AgentEvent] = Machine(TABLE, AgentState.WAITING, "agent")
        self._runs: dict[str, Task | Listing] = {}
        self._keeper: Keeper | None = None
        self._workspace = ""
        self._services: Services | None = None
        self._commands: Commands | None = None
        self._traces: Traces | None = None
        self._spool: Spool | None = None
        self._idle = anyio.Event()

    async def serve(self) -> None:
        """Take instructions until there are no more."""
        async with anyio.create_task_group() as tasks:
            try:
                await self._read(tasks)
            except (LinkClosed, ProtocolError, FrameError):
                await self._end(orderly=False)
            else:
                await self._end(orderly=True)
            tasks.cancel_scope.cancel()

    async def _read(self, tasks: TaskGroup) -> None:
        while self._machine.state is not AgentState.ENDING:
            for message in await self._link.receive():
                await self._take(message, tasks)

    async def _take(self, message: AgentInstruction | Unknown, tasks: TaskGroup) -> None:
        try:
            await self._handle(message, tasks)
        except IllegalTransition as error:
            await self._link.send(Fault(code="protocol", message=str(error)))

    async def _handle(self, message: AgentInstruction | Unknown, tasks: TaskGroup) -> None:
        match message:
            case Configure():
                self._machine.advance(AgentEvent.CONFIGURE)
                await self._configure(message, tasks)
            case Run():
                self._machine.advance(AgentEvent.INSTRUCT)
                self._start(message, tasks)
            case Cancel():
                self._machine.advance(AgentEvent.INSTRUCT)
                if message.run in self._runs:
                    self._runs[message.run].cancel(message.reason)
                elif self._spool is not None:
                    self._spool.refused(message.run, message.reason)
            case Steer():
                self._machine.advance(AgentEvent.INSTRUCT)
                watch = self._runs.get(message.run)
                if isinstance(watch, WatchTask):
                    watch.steer(message)
            case Command():
                descriptors = self._link.take_descriptors(message.descriptors)
                self._machine.advance(AgentEvent.INSTRUCT)
                assert self._commands is not None
                tasks.start_soon(self._commands.carry_out, message, descriptors)
            case Why():
                self._machine.advance(AgentEvent.INSTRUCT)
                tasks.start_soon(self._tell_why, message)
            case AskHistory():
                self._machine.advance(AgentEvent.INSTRUCT)
                tasks.start_soon(self._tell_history, message)
            case KeepTraces() | AskTraces() | ReadTrace() | DropTraces():
                self._machine.advance(AgentEvent.INSTRUCT)
                tasks.start_soon(self._tell_of_traces, message)
            case List():
                self._machine.advance(AgentEvent.INSTRUCT)
                self._list(message, tasks)
            case Probe():
                await self._link.send(AgentReport(id=message.id, status=self._status()))
            case Shutdown():
                self._machine.advance(AgentEvent.END)
            case Ping():
                await self._link.send(Pong(id=message.id))
            case Unknown():
                await self._link.send(Unsupported(of=message.type))
            case Pong(id=number) if number == KNOWN and self._spool is not None:
                tasks.start_soon(self._spool.serve)
            case Pong() | Unsupported():
                pass

    async def _configure(self, message: Configure, tasks: TaskGroup) -> None:
        self._workspace = message.workspace
        path = ":memory:" if message.ephemeral else os.path.join(message.state_dir, "history.sqlite")
        history = History(path)
        await history.open()
        pool, specs = Pool(tasks, message.cache_dir), Specs(message.workspace, message.cache_dir)
        specs.containers.live = pool.launches
        if not message.ephemeral:
            specs.containers.ledger = Ledger(os.path.join(message.state_dir, "engines.json"))
            tasks.start_soon(specs.containers.ledger.recover)
        path = ":memory:" if message.ephemeral else os.path.join(message.state_dir, "affected.sqlite")
        affected = Affected(message.workspace, path, tasks)
        path = ":memory:" if message.ephemeral else os.path.join(message.state_dir, "traces.sqlite")
        self._traces = Traces(message.workspace, path)
        folders = Folders("" if message.ephemeral else message.state_dir, message.cache_dir)
        self._services = Services(message.workspace, pool, history, specs, affected, folders)
        self._commands = Commands(message.workspace, pool, specs)
        await self._link.send(
            Ready(
                pid=os.getpid(),
                python=platform.python_version(),
                implementation=platform.python_implementation(),
                executable=sys.executable,
            )
        )
        if not message.ephemeral:
            services = self._services
            self._spool = Spool(message.workspace, message.state_dir, services.run_files, self._link.send)
            await self._link.send(Ping(id=KNOWN))

    def _start(self, message: Run, tasks: TaskGroup) -> None:
        assert self._services is not None
        reporter = Reporter(message.run, self._link)
        if message.request.kind == "workflow":
            workflow = self._runs[message.run] = self._workflow(message, reporter, tasks)
            tasks.start_soon(self._run, workflow, reporter)
            return
        kind: type[WatchTask | VerifyTask | RunTask] = WatchTask if message.request.watch else RunTask
        if message.request.verify:
            kind = VerifyTask
        task: Task = kind(self._services, message, reporter)
        self._runs[message.run] = task
        if self._spool is not None and isinstance(task, RunTask):
            self._spool.began(message.run, message.request, task)
        tasks.start_soon(self._run, task, reporter)

    def _workflow(self, message: Run, reporter: Reporter, tasks: TaskGroup) -> WorkflowTask:
        from testd_daemon.agent.workflow.keeper import Keeper
        from testd_daemon.agent.workflow.task import WorkflowTask

        assert self._services is not None
        self._keeper = self._keeper or Keeper(tasks)
        return WorkflowTask(self._services, message, reporter, self._keeper)

    async def _run(self, task: Task, reporter: Reporter) -> None:
        assert self._services is not None
        try:
            async with anyio.create_task_group() as parts:
                parts.start_soon(reporter.serve)
                await task.execute()
            await task.remember()
        finally:
            self._done(task)
        with contextlib.suppress(LinkClosed):  # what `testd status` shows while this process is busy
            await self._link.send(AgentReport(id=0, status=self._status()))

    def _list(self, message: List, tasks: TaskGroup) -> None:
        assert self._services is not None
        task = Listing(self._services, message, self._link)
        self._runs[task.run] = task
        tasks.start_soon(self._answer, task)

    async def _answer(self, task: Listing) -> None:
        try:
            await task.execute()
        finally:
            self._done(task)

    def _done(self, task: Task | Listing) -> None:
        del self._runs[task.run]
        if self._spool is not None:
            self._spool.ended(task.run)
        if not self._ending():
            self._idle.set()

    def _ending(self) -> list[Task | Listing]:
        """List what somebody waits for; what is spooled may end anywhere."""
        return [task for task in self._runs.values() if not (isinstance(task, RunTask) and task.spooled)]

    async def _tell_history(self, message: AskHistory) -> None:
        assert self._services is not None
        history, limit = self._services.history, max(1, min(message.limit, 1000))
        entries = await (history.flaky(limit) if message.flaky else history.report(message.test, limit))
        await self._link.send(HistoryReport(entries=entries, id=message.id))

    async def _tell_why(self, message: Why) -> None:
        services, limit = self._services, max(1, min(message.limit, 1000))
        assert services is not None
        targets = [message.target] if message.target else await services.affected.targets()
        entries = []
        for target in targets:
            known = await services.history.known(target)
            entries += await services.affected.why(target, message.test, known.verdicts, known.failing())
        entries.sort(key=lambda entry: (entry.test != message.test, not entry.affected))
        await self._link.send(WhyReport(entries=entries[:limit], id=message.id))

    async def _tell_of_traces(self, message: KeepTraces | AskTraces | ReadTrace | DropTraces) -> None:
        assert self._traces is not None
        await self._link.send(await self._traces.answer(message))

    def _status(self) -> AgentStatus:
        statuses = self._services.pool.statuses() if self._services is not None else []
        working = any(task.at_work for task in self._runs.values())
        state = "running" if working else "watching" if self._runs else "idle"
        return AgentStatus(
            workspace=self._workspace, state=state, pid=os.getpid(), memory=memory.of_process(os.getpid()),
            runners=statuses,
        )  # fmt: skip

    async def _end(self, *, orderly: bool) -> None:
        """End runs and runners; a handler that is gone gets no report, and nobody waits for one."""
        services = self._services
        if services is None:
            return
        if orderly and self._ending():
            with anyio.move_on_after(END_DEADLINE):
                for task in self._ending():
                    task.cancel("the daemon ends")
                await self._idle.wait()
        if orderly:
            with anyio.move_on_after(LEARN_DEADLINE):
                await services.affected.settle()
        await services.pool.close()
        services.specs.containers.ledger.close()
        await services.history.close()
        await services.affected.close()
        if self._traces is not None:
            await self._traces.close()

