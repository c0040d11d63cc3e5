"""One runner's process and its link, from start to end. Runs in the agent, on its event loop.

It knows how a runner lives, and nothing of what is said: every message goes to the listener as it comes, without a task
or an await for each. What is said to the runner goes through a queue that one task empties, so that reading never
waits for writing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Final, Protocol

import anyio
from anyio.abc import TaskStatus

from testd.framing import FrameError
from testd_daemon.agent.runner_channel import spawn
from testd_daemon.agent.runner_state import TABLE, RunnerEvent, RunnerState
from testd_daemon.errors import DeadlineExpired, EnvironmentFault, FaultError, LinkClosed, ProcessCrashed, TestdError
from testd_daemon.link import Link, Parcel, close_all
from testd_daemon.machine import Machine
from testd_daemon.process import Child, Patience, children_of_this, owned, reap_adopted
from testd_protocol.framing import ProtocolError, Unknown, encode
from testd_protocol.messages import ConfigureRunner, Fault, Message, Ping, Ready, RunnerMessage
from testd_runners.launcher import Command

__all__ = ["Listener", "RunnerProcess", "fault_error"]

#: Seconds for a runner to start and answer `Configure`; it loads no user code by then.
START_DEADLINE: Final = 30.0
#: Seconds between two pings of a runner that is at work, and how long it may be silent before it is held for dead.
PING_INTERVAL: Final = 5.0
SILENCE_DEADLINE: Final = 30.0
#: Seconds for a command that removes what would outlive a runner.
CLEANUP_DEADLINE: Final = 15.0
#: How long a stop takes at most, per step: an agent that lost its handler is to be gone within two seconds.
PATIENCE: Final = Patience(ask=0.8, term=0.3, kill=2.0)


class Listener(Protocol):
    """Who is told what a runner says."""

    def heard(self, message: RunnerMessage | Unknown) -> None:
        """The runner said this."""

    def ended(self, *, up: bool) -> None:
        """The runner is gone; `lost` says why. `up`: it had come up, so that somebody may be waiting for it."""


class RunnerProcess:
    """A runner from its start to its end. `serve` is its life; everything else may be called while that runs."""

    def __init__(self, name: str, command: Command, opening: ConfigureRunner, listener: Listener) -> None:
        """Describe a process that is yet to start; `opening` is the first that it is told."""
        self.name = name
        self.ready: Ready | None = None
        self.lost = ""  # why it ended, once it has
        self.gone = anyio.Event()
        self._command = command
        self._opening = opening
        self._listener = listener
        self._machine: Machine[RunnerState, RunnerEvent] = Machine(TABLE, RunnerState.STARTING, name)
        self._child: Child | None = None
        self._scope = anyio.CancelScope()
        self._outbox: list[Parcel] = []
        self._outgoing = anyio.Event()
        self._unwritten = False  # something was taken out of the queue and is not on its way yet
        self._written = anyio.Event()
        self._working = anyio.Event()
        self._heard = time.monotonic()
        self._pings = count(1)

    # ── what its owner may ask of it ─────────────────────────────────────────────────────────────────────────────────

    @property
    def alive(self) -> bool:
        """Whether it can be given work."""
        return self._machine.state in (RunnerState.READY, RunnerState.BUSY)

    @property
    def state(self) -> str:
        """The name of its state."""
        return self._machine.state.value

    @property
    def pid(self) -> int:
        """Its process, 0 before it has one."""
        return self._child.pid if self._child is not None else 0

    def send(self, *messages: Message) -> None:
        """Put messages in the queue. What is said to a runner that is gone is lost, as it would be on the way."""
        self._outbox += [Parcel(encode(message)) for message in messages]
        self._outgoing.set()

    def send_along(self, message: Message, descriptors: tuple[int, ...]) -> None:
        """Put a message in the queue that has descriptors, which are closed when it is on its way."""
        self._outbox.append(Parcel(encode(message), descriptors))
        self._outgoing.set()

    async def flushed(self) -> None:
        """Wait until all that was sent is on its way: nothing large piles up here. Raises ProcessCrashed."""
        while self._outbox or self._unwritten:
            if not self.alive:
                raise ProcessCrashed(self.name, None, hint=self.lost)
            await self._written.wait()

    def work(self, working: bool) -> None:
        """Follow whether there is anything to do: only a runner at work is pinged."""
        if working and self._machine.allows(RunnerEvent.WORK):
            self._machine.advance(RunnerEvent.WORK)
            self._working.set()
        elif not working and self._machine.allows(RunnerEvent.IDLE):
            self._machine.advance(RunnerEvent.IDLE)
            if not self._opening.silence:
                self._working = anyio.Event()

    def stop(self) -> None:
        """End the runner in order; `gone` tells when it is."""
        if self._machine.allows(RunnerEvent.STOP):
            self._machine.advance(RunnerEvent.STOP)
            self.lost = self.lost or "it was stopped"
            self._scope.cancel()

    def kill(self, reason: str) -> None:
        """End a runner that cannot be trusted any more."""
        self.lost = self.lost or reason
        self.stop()

    # ── its life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def serve(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Start the process, configure it, and serve it until it ends or `stop` is called.

        Raises ProcessCrashed, DeadlineExpired, FaultError or OSError if it does not come up; never afterwards.
        """
        up = False
        problem: TestdError | None = None
        try:
            child, link = spawn(self.name, self._command)
            self._child = child
            with self._scope:
                # The link is closed before the child is waited for: to a runner that means "end with all you started".
                async with owned(child, ask=_ask_nothing, patience=PATIENCE), link:
                    self._machine.advance(RunnerEvent.SPAWNED)
                    problem = await self._configure(link, child)
                    if problem is None:
                        self._machine.advance(RunnerEvent.CONFIGURED)
                        up = True
                        task_status.started()
                        await self._attend(link, child)
        finally:
            await self._clean_up()
            reap_adopted()
            self._end(up=up)
        if not up:
            raise problem or ProcessCrashed(child.name, child.status, state="starting", stderr=child.stderr.text)

    async def _clean_up(self) -> None:
        """Remove what would outlive the process. It may be gone already, which is what is wanted."""
        with anyio.CancelScope(shield=True):
            for argv in self._command.cleanup:
                with contextlib.suppress(OSError), anyio.move_on_after(CLEANUP_DEADLINE):
                    if await self._ran(argv):
                        return

    async def _ran(self, argv: Sequence[str]) -> bool:
        """Run a command to its end; say whether it succeeded. Raises OSError."""
        none = subprocess.DEVNULL
        done = await anyio.run_process(argv, check=False, stdout=none, stderr=none, env=self._command.env)
        return done.returncode == 0

    async def _configure(self, link: Link[RunnerMessage], child: Child) -> TestdError | None:
        """Go through the handshake; return what went wrong, for an exception would be grouped on its way out."""
        try:
            with anyio.fail_after(START_DEADLINE):
                if self._command.preamble:
                    await link.send_frames(self._command.preamble)
                await link.send(self._opening)
                while self.ready is None:
                    for message in await link.receive():
                        if isinstance(message, Fault):
                            return fault_error(message)
                        if isinstance(message, Ready):
                            self.ready = message
                        else:
                            self._listener.heard(message)
        except TimeoutError:
            return DeadlineExpired("the start of a runner", START_DEADLINE, detail=child.stderr.text)
        except (LinkClosed, ProtocolError, FrameError) as error:
            if isinstance(error, FrameError) and self._command.channel == "stdio":
                return _noise(child.name, link.waiting)
            status = await _status(child)
            detail = child.stderr.text or f"{' '.join(self._command.argv)}\n{error}"
            return ProcessCrashed(child.name, status, state="starting", stderr=detail)
        return None

    async def _attend(self, link: Link[RunnerMessage], child: Child) -> None:
        """Read, write and ping until the link ends, and note why it did."""
        problem: Exception | None = None

        async def until_closed(work: Callable[[Link[RunnerMessage]], Awaitable[None]]) -> None:
            nonlocal problem
            try:
                await work(link)
            except (LinkClosed, ProtocolError, FrameError) as error:
                problem = problem or error
                tasks.cancel_scope.cancel()

        if self._opening.silence:
            self._working.set()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(until_closed, self._write)
            tasks.start_soon(until_closed, self._read)
            tasks.start_soon(self._ping)
        status = await _status(child)
        _sweep(child.pid)
        crash = ProcessCrashed(child.name, status, state=self._machine.state.value, stderr=child.stderr.text)
        what = str(crash) if isinstance(problem, LinkClosed) else f"{child.name}: {problem}"
        self.lost = self.lost or "\n".join(filter(None, (what, crash.stderr)))

    async def _read(self, link: Link[RunnerMessage]) -> None:
        while True:
            messages = await link.receive()
            self._heard = time.monotonic()
            for message in messages:
                self._listener.heard(message)

    async def _write(self, link: Link[RunnerMessage]) -> None:
        while True:
            await self._outgoing.wait()
            self._outgoing = anyio.Event()
            parcels, self._outbox = self._outbox, []
            self._unwritten = True
            await link.send_parcels(parcels)
            self._unwritten = False
            self._written.set()
            self._written = anyio.Event()

    async def _ping(self) -> None:
        """Ping while there is work; a runner never runs user code itself, so silence means that it is broken.

        One that ends when nobody speaks to it is pinged always.
        """
        silence = self._opening.silence or SILENCE_DEADLINE
        interval = min(PING_INTERVAL, silence / 4)
        while True:
            await self._working.wait()
            self._heard = time.monotonic()
            while self._working.is_set():
                await anyio.sleep(interval)
                silent = time.monotonic() - self._heard
                if silent > silence:
                    self.kill(f"the runner gave no answer for {silent:.0f} s")
                self.send(Ping(id=next(self._pings)))

    def _end(self, *, up: bool) -> None:
        """Tell everybody who waits."""
        if not self._machine.final:
            self._machine.advance(RunnerEvent.END)
        self.lost = self.lost or "it ended"
        for parcel in self._outbox:
            close_all(parcel.descriptors)
        self._outbox = []
        self._listener.ended(up=up)
        self._written.set()
        self.gone.set()


def fault_error(message: Fault) -> FaultError:
    """Return the exception for what a runner could not do."""
    return FaultError(
        message.code, message.message, hint=message.hint, detail=message.detail, exit_code=message.exit_code
    )


def _noise(name: str, data: bytes) -> TestdError:
    """Return what is wrong with a target that speaks before its runner does."""
    shown = data[:200].decode("utf-8", "replace")
    return EnvironmentFault(
        f"{name} printed something before the runner spoke: {shown.partition(chr(10))[0]!r}",
        hint="a shell must print nothing where nobody looks: check its startup files on the target (.bashrc, .zshenv)",
        detail=shown,
    )


async def _status(child: Child) -> int | None:
    with anyio.move_on_after(PATIENCE.ask):
        return await child.wait()
    return child.status


def _sweep(session: int) -> None:
    """Kill and reap what a runner that was killed has left: its orphans are ours, and still in its session."""
    for pid in children_of_this():
        with contextlib.suppress(ProcessLookupError, PermissionError, ChildProcessError):
            if os.getsid(pid) == session:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


async def _ask_nothing() -> None:
    """Closing the link has asked already."""
