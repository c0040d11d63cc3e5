"""One workspace's agent: a process that is started when needed, watched, and replaced. Runs in the handler.

`supervision.py` decides; this file starts the process, moves messages, and tells it what happened.
"""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from pathlib import Path
from typing import Final, Protocol

import anyio
import anyio.abc
import msgspec

from testd_daemon.errors import LinkClosed, TestdError, UsageError, describe_status
from testd_daemon.handler import supervision as s
from testd_daemon.handler.log import Log
from testd_daemon.handler.settings import Settings
from testd_daemon.link import Link, Parcel, close_all
from testd_daemon.process import Child, owned, start
from testd_daemon.runtime import RUN_FILES_MARK, child_environment
from testd_protocol import messages as m
from testd_protocol.framing import FrameError, ProtocolError, Unknown, decoder, encode

__all__ = ["Agent", "Answer", "Question", "Reply", "Work"]

#: What one message answers, and what these are.
Question = m.History | m.Why | m.KeepTraces | m.Traces | m.ReadTrace | m.DropTraces
Reply = m.HistoryReport | m.WhyReport | m.TracesKept | m.TracesReport | m.TraceRead | m.Fault
Answer = m.AgentReport | m.Listed | Reply

#: Seconds between two reads of an agent that floods: also between two commits, which are what a flood costs most.
COALESCE: Final = 0.03
#: Seconds for a process whose link is closed to be gone, before it is told to.
LAST_BREATH: Final = 0.5

_decoder: Final[msgspec.msgpack.Decoder[m.AgentMessage]] = decoder(m.AgentMessage)


class Work(Protocol):
    """What an agent needs of the runs of its workspace. `runs.py` has the real one."""

    def needed(self, workspace: str) -> bool:
        """Whether there are runs at work."""
        ...

    async def dispatch(self, workspace: str, tell: Callable[[m.Message], None], current: Callable[[], bool]) -> None:
        """Send a ready agent every run that it does not have; stop when `current` says that it is no more."""
        ...

    async def report(self, workspace: str, reports: list[m.Report]) -> None:
        """Take what an agent reports."""
        ...

    async def submit(self, message: m.Submit) -> object:
        """Store a run that an agent asks for. Raises JournalError."""
        ...

    def lost(self, workspace: str, reason: str) -> None:
        """Take note that the agent died; what it had goes to the next one."""
        ...

    def give_up(self, workspace: str, reason: str, detail: str) -> None:
        """Complete the runs that no agent will."""
        ...


class Agent:
    """The agent of one workspace. `serve` runs for as long as something needs it."""

    def __init__(self, workspace: str, settings: Settings, work: Work, log: Log) -> None:
        """Take what it serves; no process is started."""
        self.workspace = workspace
        self._settings = settings
        self._work = work
        self._log = log
        self._core = s.Supervision(f"agent of {workspace}", settings.backoff, settings.max_restarts)
        self._child: Child | None = None
        self._outbox: list[Parcel] = []
        self._mail = anyio.Event()
        self._busy = anyio.Event()  # there may be runs to watch over
        self._heard = 0.0
        self._hung = ""
        self._serving = False
        self._settled = anyio.Event()  # it is ready, or it will not be
        self._last_death = ""
        self._life_number = 0  # changes when a process starts and when it ends
        self._answers: dict[int, Callable[[Answer], None]] = {}
        self._next_id = 0
        self._last = m.AgentStatus(workspace=workspace, state="")
        self._last_at = 0.0

    @property
    def state(self) -> s.AgentState:
        """Where the agent is."""
        return self._core.state

    @property
    def pid(self) -> int:
        """The process's id, 0 where there is none."""
        return self._child.pid if self._child is not None else 0

    def want(self) -> bool:
        """Take note that something needs the agent; True if `serve` must be started."""
        self._busy.set()
        if self._serving:
            return False
        self._serving = True
        self._unsettle()
        return True

    def _unsettle(self) -> None:
        if self._settled.is_set():
            self._settled = anyio.Event()

    async def deliver(self) -> None:
        """Give a ready agent what has come up; one that is not ready yet will ask for it."""
        life = self._life_number
        if self._core.state is s.AgentState.READY:
            await self._work.dispatch(self.workspace, self.tell, lambda: self._life_number == life)

    def tell(self, message: m.Message, descriptors: tuple[int, ...] = ()) -> None:
        """Send a message to the process, in its own time. Raises FrameError if it is too large."""
        self._outbox.append(Parcel(encode(message), descriptors))
        self._mail.set()

    async def command(self, message: m.Command, descriptors: tuple[int, ...]) -> None:
        """Give a command to the process once it is ready. Closed descriptors tell the client that it never will be."""
        with anyio.move_on_after(self._settings.deadlines.ready):
            await self._settled.wait()
        if self._core.state is s.AgentState.READY:
            self.tell(message, descriptors)
        else:
            close_all(descriptors)

    async def serve(self) -> None:
        """Start the process, start it again when it dies, until nothing needs it or it is given up."""
        todo = self._core.handle(s.Wanted())
        while todo:
            action = todo.pop(0)
            if isinstance(action, s.Spawn):
                todo += self._core.handle(await self._life())
            elif isinstance(action, s.Pause):
                await anyio.sleep(action.seconds)
                todo += self._core.handle(s.Due())
            elif isinstance(action, s.GiveUp):
                self._log.error("agent given up", workspace=self.workspace, reason=action.reason)
                self._work.give_up(self.workspace, action.reason, action.detail)
        self._serving = False
        self._settled.set()

    # ── one process ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _life(self) -> s.Died:
        """Start one process and work with it until it is gone."""
        self._discard_mail()
        self._hung = ""
        self._last = m.AgentStatus(workspace=self.workspace, state="")
        self._unsettle()
        self._life_number += 1
        try:
            async with self._process() as (child, link):
                why = await self._work_with(link)
                with anyio.move_on_after(LAST_BREATH):
                    await child.wait()
                ended = child.status is not None
        except OSError as error:
            return self._died(f"could not be started: {error}", "")
        finally:
            self._child = None
            self._life_number += 1
            self._discard_mail()
        return self._died(self._hung or (describe_status(child.status) if ended else why), child.stderr.text)

    def _discard_mail(self) -> None:
        for parcel in self._outbox:
            close_all(parcel.descriptors)
        self._outbox = []

    def _died(self, reason: str, detail: str) -> s.Died:
        self._log.warning("agent died", workspace=self.workspace, reason=reason)
        self._last_death = reason
        for answer in list(self._answers.values()):
            answer(m.Fault(code="crash", message=f"the agent of {self.workspace} {reason}", detail=detail))
        self._work.lost(self.workspace, reason)
        needed = self._work.needed(self.workspace) or Path(self._state_dir, RUN_FILES_MARK).exists()
        return s.Died(reason, needed, detail)

    @property
    def _state_dir(self) -> str:
        """The folder in which the process keeps what outlives it."""
        import hashlib  # it loads a cryptographic library, while the agent starts anyway

        name = hashlib.sha256(os.fsencode(self.workspace)).hexdigest()[:16]
        return f"{self._settings.folders.workspaces}/{name}"

    @contextlib.asynccontextmanager
    async def _process(self) -> AsyncIterator[tuple[Child, Link[m.AgentMessage]]]:
        ours, theirs = socket.socketpair()
        async with Link(ours, _decoder, COALESCE) as link:
            with theirs:
                child = start(
                    [*self._settings.agent_command, "--fd", str(theirs.fileno())],
                    name=f"agent of {self.workspace}",
                    env=child_environment(),
                    cwd="/",  # -m puts the working directory on the path: a project's own modules must not be found
                    pass_fds=[theirs.fileno()],
                    stderr=subprocess.PIPE,
                )
            self._child = child
            self._log.info("agent started", workspace=self.workspace, pid=child.pid)

            async def ask() -> None:
                with contextlib.suppress(LinkClosed):
                    await link.send(m.Shutdown(reason="the handler stops it"))
                link.close()

            async with owned(child, ask=ask, patience=self._settings.patience, log=self._log_stderr) as process:
                yield process, link

    def _log_stderr(self, data: bytes) -> None:
        for line in data.decode("utf-8", "replace").splitlines():
            if line.strip():
                self._log.info("agent says", workspace=self.workspace, text=line)

    async def _work_with(self, link: Link[m.AgentMessage]) -> str:
        """Configure the process and exchange messages with it; return why that ended."""
        why = "ended"
        async with anyio.create_task_group() as tasks:
            try:
                rest = await self._configure(link)
                tasks.start_soon(self._send, link)
                tasks.start_soon(self._watch, link)
                if self._core.handle(s.Ready()):
                    self._settled.set()
                    await self.deliver()
                while True:
                    await self._heed(rest)
                    rest = await link.receive()
            except LinkClosed:
                why = "closed its link"
            except (ProtocolError, FrameError) as error:
                why = f"broke the protocol: {error}"
            except TestdError as error:
                why = f"could not be used: {error}"
            tasks.cancel_scope.cancel()
        return why

    async def _configure(self, link: Link[m.AgentMessage]) -> list[m.AgentMessage | Unknown]:
        """Tell the process what it serves, and return what it has said behind `Ready`."""
        folders = self._settings.folders
        await link.send(
            m.Configure(
                workspace=self.workspace,
                state_dir=self._state_dir,
                cache_dir=folders.cache,
                ephemeral=folders.ephemeral,
            )
        )
        deadline = self._settings.deadlines.ready
        with anyio.move_on_after(deadline):
            message, *rest = await link.receive()
            if isinstance(message, m.Ready):
                return rest
            if isinstance(message, m.Fault):
                raise TestdError(message.message, hint=message.hint, detail=message.detail)
            raise TestdError("its first message was not Ready")
        raise TestdError(f"it was not ready after {deadline:g} s")

    async def _send(self, link: Link[m.AgentMessage]) -> None:
        with contextlib.suppress(LinkClosed):  # the receiving side hears of it too
            while True:
                await self._mail.wait()
                self._mail = anyio.Event()
                parcels, self._outbox = self._outbox, []
                await link.send_parcels(parcels)

    async def _heed(self, messages: list[m.AgentMessage | Unknown]) -> None:
        reports: list[m.Report] = []
        for message in messages:
            if isinstance(message, m.Report):
                reports.append(message)
            elif isinstance(message, m.Submit):
                await self._submit(message)
            else:
                self._take(message)
        self._heard = time.monotonic()
        if reports:
            if any(report.counts for report in reports):
                self._core.handle(s.Progressed())
            await self._work.report(self.workspace, reports)

    async def _submit(self, message: m.Submit) -> None:
        """Have a run carried out that the agent asks for; it is told where that cannot be."""
        try:
            if message.request.workspace != self.workspace:
                raise UsageError(f"the agent of {self.workspace} cannot ask for a run in {message.request.workspace}")
            await self._work.submit(message)
        except TestdError as error:
            self._log.error("a run of the agent was refused", workspace=self.workspace, reason=error.message)
            self.tell(m.Cancel(run=message.key, reason=error.message))

    def _take(self, message: m.AgentMessage | Unknown) -> None:
        if isinstance(message, m.Ping):
            self.tell(m.Pong(id=message.id))
        elif isinstance(message, Unknown):
            self._log.warning("agent sent an unknown message", type=message.type)
            self.tell(m.Unsupported(of=message.type))
        elif isinstance(message, Answer):
            if isinstance(message, m.AgentReport):
                self._last, self._last_at = message.status, time.monotonic()
            if (answer := self._answers.get(message.id)) is not None:
                answer(message)
            elif isinstance(message, m.Fault):
                self._log.error("agent reports a fault", code=message.code, text=message.message)

    async def _watch(self, link: Link[m.AgentMessage]) -> None:
        """Ping the process while it has a run, and kill it if it stays silent."""
        deadlines = self._settings.deadlines
        while True:
            if not self._work.needed(self.workspace):
                self._busy = anyio.Event()
                await self._busy.wait()
            self._heard = time.monotonic()
            while self._work.needed(self.workspace):
                await anyio.sleep(deadlines.heartbeat)
                silence = time.monotonic() - self._heard
                if silence > deadlines.heartbeat + deadlines.pong:
                    self._hung = f"was killed: it did not answer for {silence:.1f} s"
                    assert self._child is not None
                    self._child.signal(signal.SIGKILL)
                    return
                if silence >= deadlines.heartbeat:
                    self.tell(m.Ping(id=0))

    # ── questions ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def status(self) -> m.AgentStatus:
        """Give the agent's own account, unless it has just given one or takes too long: then the last one."""
        if self._core.state is s.AgentState.READY and not self._accounted:
            with anyio.move_on_after(self._settings.deadlines.probe):
                await self._ask(lambda number: m.Probe(id=number))
        child = self._child
        return msgspec.structs.replace(
            self._last,
            workspace=self.workspace,
            state=self._core.state.value if not self._last.state or child is None else self._last.state,
            pid=child.pid if child is not None else 0,
            restarts=self._core.restarts,
        )

    @property
    def _accounted(self) -> bool:
        """Whether the last account is still true enough: one looks into every process, and costs a busy agent time."""
        if time.monotonic() - self._last_at > self._settings.deadlines.account:
            return False
        return (self._last.state == "running") == self._work.needed(self.workspace)

    async def answer(self, question: Question) -> Reply:
        """Put a question about what it remembers to a ready agent."""
        deadline = self._settings.deadlines.answer
        with anyio.move_on_after(deadline):
            await self._settled.wait()
            if self._core.state is not s.AgentState.READY:
                text = f"the agent of {self.workspace} {self._last_death}"
                return m.Fault(code="crash", message=text, id=question.id)
            answer = await self._ask(lambda number: msgspec.structs.replace(question, id=number))
            assert isinstance(answer, Reply)
            return msgspec.structs.replace(answer, id=question.id)
        return m.Fault(
            code="deadline", message=f"the agent of {self.workspace} gave no answer in {deadline:g} s", id=question.id
        )

    async def listing(self, question: m.List) -> AsyncGenerator[m.Listed | m.Fault]:
        """Have a ready agent list tests, and yield the pages as they come. Whoever leaves early ends the work, too."""
        await self._settled.wait()
        if self._core.state is not s.AgentState.READY:
            text = f"the agent of {self.workspace} {self._last_death}"
            yield m.Fault(code="crash", message=text, id=question.id)
            return
        self._next_id += 1
        number, life = self._next_id, self._life_number
        pages, received = anyio.create_memory_object_stream[Answer](math.inf)
        self._answers[number] = pages.send_nowait
        done = False
        try:
            self.tell(msgspec.structs.replace(question, id=number))
            while not done:
                page = await received.receive()
                assert isinstance(page, (m.Listed, m.Fault))
                done = isinstance(page, m.Fault) or page.done
                yield msgspec.structs.replace(page, id=question.id)
        finally:
            del self._answers[number]
            pages.close()
            received.close()
            if not done and life == self._life_number:
                self.tell(m.Cancel(run=f"list {number}"))

    async def _ask(self, question: Callable[[int], m.Message]) -> Answer:
        self._next_id += 1
        number = self._next_id
        answered = anyio.Event()
        found: list[Answer] = []

        def answer(message: Answer) -> None:
            found.append(message)
            answered.set()

        self._answers[number] = answer
        try:
            self.tell(question(number))
            await answered.wait()
        finally:
            del self._answers[number]
        return found[0]
