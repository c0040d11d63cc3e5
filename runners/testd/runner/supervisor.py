"""The runner: the process that a launcher starts on a target. It never loads user code, so it always answers.

It owns the stream to the agent (`stream.py`), starts stems (`stems.py`) and workers (`workers.py`), passes on what they
send and print (`intake.py`), and kills everything that it started when the agent is gone. Standard library only.
"""

import contextlib
import os
import platform
import selectors
import signal
import sys
import time
from typing import Any, Callable, Dict, Iterator, Optional

from testd.framing import FrameError
from testd.msgpack import UnpackError
from testd.runner import memory, processes
from testd.runner.children import Child, StemChild, kill_group
from testd.runner.commands import Commands
from testd.runner.intake import Intake
from testd.runner.slots import Slots
from testd.runner.stems import Stems
from testd.runner.stream import AgentStream, take
from testd.runner.workers import Workers

__all__ = ["Supervisor", "serve"]

PROTOCOL = 1
#: How often workers are looked at, in seconds: deadlines, memory, tests that take long.
_WATCH_INTERVAL = 0.05
#: How long frames may gather before the next read, in seconds, and as a part of the time that a burst has lasted.
_MOST_GATHER = 0.02
_GATHER_PART = 0.1
_LEAST_GATHER = 0.001


def serve(reader: int, writer: int) -> int:
    """Be a runner on these descriptors until the agent is gone. Returns an exit status."""
    reader, writer = take(reader, writer)
    prctl = processes.load_prctl()
    processes.adopt(prctl)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the client's to pass on
    supervisor = Supervisor(reader, writer)
    signal.signal(signal.SIGTERM, lambda *_: supervisor.end())  # who dies of it leaves orphans behind
    try:
        return supervisor.run()
    finally:
        supervisor.kill_all()


class Supervisor:
    """One event loop over the agent's stream and every child's channel and output."""

    def __init__(self, reader: int, writer: int) -> None:
        """Serve the agent at the other end of these descriptors."""
        self._selector = selectors.DefaultSelector()
        self._agent = AgentStream(reader, writer, self._selector, self._read_agent)
        slots = Slots()
        self._intake = Intake(self._selector, self._agent, slots)
        self._stems = Stems(self._agent, self._intake, slots)
        self._workers = Workers(self._agent, self._intake, slots, self._stems)
        self._intake.from_stem = lambda stem, payload: self._stems.hear(stem, payload, self._reaped)
        self._intake.closed = self._closed
        self._commands = Commands(self._agent, self._stems)
        self._stems.from_commands = self._commands.hear
        self._stems.orphaned = self._orphaned
        self._stems.busy = lambda: bool(self._workers)
        self._running = True
        self._last_work = 0.0
        self._burst_began = 0.0
        self._answered = 0.0
        self._remote: Optional[Any] = None  # where the agent's disk is not shared
        self._silence = 0.0  # seconds without a word from the agent that are too long; 0: none are
        self._heard = time.monotonic()
        self._handlers: Dict[str, Callable[[Dict[str, Any]], None]] = {
            "ConfigureRunner": self._configure,
            "Collect": self._stems.collect,
            "Prepare": self._stems.prepare,
            "Amend": self._stems.amend,
            "Select": self._stems.select,
            "DropCollection": self._stems.drop,
            "StartWorker": self._workers.start,
            "RunJob": self._workers.pass_on,
            "FinishWorker": self._workers.pass_on,
            "Judged": self._answer,
            "ApiAnswered": self._answer,
            "StopWorker": self._workers.stop,
            "StartCommand": self._commands.start,
            "Shutdown": self._shutdown,
            "Ping": self._pong,
            "Pong": lambda message: None,
        }

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> int:
        """Serve until `Shutdown` or the end of the agent's stream. Returns an exit status."""
        self._listen_for_children()
        while (self._running and self._agent.open) or self._agent.waiting:
            for key, mask in self._selector.select(self._timeout()):
                if mask & selectors.EVENT_WRITE:
                    self._agent.flush()
                if mask & selectors.EVENT_READ:
                    key.data()
            self._workers.watch()
            self._gather()
            if self._remote is not None:
                self._remote.go_on()
        return 0

    def _timeout(self) -> "Optional[float]":
        """Return how long to wait for anything, and give the agent up if it has been silent for too long.

        The connection of an agent on another machine may hang without ever ending.
        """
        timeout = _WATCH_INTERVAL if self._workers else None
        if not self._silence:
            return timeout
        left = self._heard + self._silence - time.monotonic()
        if left <= 0:
            sys.stderr.write(f"the agent said nothing for {self._silence:g} s: the connection is taken for lost\n")
            self._agent.give_up()
            left = 0.0
        return left if timeout is None else min(timeout, left)

    def end(self) -> None:
        """Leave the loop as soon as what is being done is done."""
        self._running = False

    def _read_agent(self) -> None:
        self._heard = time.monotonic()
        try:
            for message in self._agent.receive():
                self._handle(message)
        except (FrameError, UnpackError, KeyError, TypeError) as error:
            self._agent.fault("internal", f"the agent sent what is no message: {error!r}")
            if isinstance(error, FrameError):
                self._running = False

    def _handle(self, message: "Dict[str, Any]") -> None:
        kind = message.get("type") if isinstance(message, dict) else None
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            self._agent.tell({"type": "Unsupported", "of": str(kind)})
        else:
            handler(message)

    def _gather(self) -> None:
        """Let frames gather while workers are busy, the longer the burst lasts: a wake-up costs more than a frame.

        The first of a burst is never held back, and a short run is not either: nobody looks 50 times a second.
        """
        now = time.monotonic()
        if not self._workers or now - self._last_work > 2 * _MOST_GATHER:
            self._burst_began = now
        pause = min(_MOST_GATHER, (now - self._burst_began) * _GATHER_PART)
        waited_for = now - self._answered < _MOST_GATHER  # who asked will ask again, and waits for the answer
        if pause > _LEAST_GATHER and not (self._intake.flooded or waited_for):
            time.sleep(pause)
        self._intake.flooded = False
        self._last_work = time.monotonic()

    # ── the start and the end of a runner ────────────────────────────────────────────────────────────────────────────

    def _configure(self, message: "Dict[str, Any]") -> None:
        if message.get("extend"):
            message["environment"] = dict(os.environ, **message["environment"])
        self._silence = message.get("silence", 0.0)
        self._stems.settings = message
        if not message.get("mirror"):
            self._stems.ensure_started()
        elif not self._open_mirror(message):
            return
        self._agent.tell(
            {
                "type": "Ready",
                "pid": os.getpid(),
                "protocol": PROTOCOL,
                "version": "",
                "python": platform.python_version(),
                "implementation": platform.python_implementation(),
                "executable": sys.executable,
                "root": message["root"] if message.get("mirror") else "",
                "processors": processes.processors(),
                "memory": memory.installed(),
            }
        )

    def _open_mirror(self, message: "Dict[str, Any]") -> bool:
        """Prepare for a workspace whose files are yet to come; the first stem starts when it is needed."""
        from testd.runner.mirror import MirrorError
        from testd.runner.remote import Remote

        try:
            self._remote = Remote(message, self._agent, self._stems, lambda: bool(self._workers))
        except MirrorError as error:
            hint = "make room there, or set host_cache to a folder that can be written"
            self._agent.fault("environment", str(error), hint=hint, exit_code=4)
            return False
        self._handlers.update(self._remote.handlers())
        return True

    def _pong(self, message: "Dict[str, Any]") -> None:
        self._agent.tell({"type": "Pong", "id": message["id"], "memory": memory.held(os.getpid())})

    def _answer(self, message: "Dict[str, Any]") -> None:
        self._answered = time.monotonic()
        self._workers.pass_on(message)

    def _shutdown(self, message: "Dict[str, Any]") -> None:
        self.end()

    def kill_all(self) -> None:
        """Kill every process that was started here, and what these left behind: first all, then reap."""
        self._workers.kill()
        self._commands.kill()
        self._stems.kill()
        signal.set_wakeup_fd(-1)
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            for pid in processes.children():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                time.sleep(0.005)

    # ── children that end ────────────────────────────────────────────────────────────────────────────────────────────

    def _listen_for_children(self) -> None:
        reader, writer = os.pipe()
        for fd in (reader, writer):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        self._selector.register(reader, selectors.EVENT_READ, lambda: self._reap(reader))

    def _reap(self, wake: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(wake, 4096)
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            self._workers.note_orphan(pid)
            self._reaped(pid, status, usage.ru_maxrss)

    def _reaped(self, pid: int, status: int, memory: int) -> None:
        """Take note of a process that ended, and kill what user code left behind in a group of ours.

        A group that user code made goes on: it may be a daemon's, whose first process ends at once. One that was told
        to be forked and has not been told as forked yet (its pid is 0) may be ours.
        """
        if {0, pid} & (self._workers.pids | self._stems.pids):
            kill_group(pid)
        if not self._workers.reaped(pid, status, memory):
            self._stems.reaped(pid, status)

    def _orphaned(self, stem: StemChild, how: str) -> None:
        self._workers.stem_ended(stem, how)
        self._commands.stem_ended(stem)

    def _closed(self, child: Child) -> None:
        """A channel that ends before its process was forked: its stem could not do it, or `Forked` is on its way.

        As long as a process below it is not reaped, that one's end tells more.
        """
        if child.pid or child.parent is None or any(found.open or found.running for found in _below(child)):
            return
        if isinstance(child, StemChild):
            self._stems.end(child, "it was never started")
        else:
            self._workers.never_started(child)


def _below(child: Child) -> "Iterator[Child]":
    """Yield what a child was to be forked from, and what that was: any of them may still say what went wrong."""
    found = child.parent
    while found is not None:
        yield found
        found = found.parent
