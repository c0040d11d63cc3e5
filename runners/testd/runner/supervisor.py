"""The runner: the process that a launcher starts on a target. It never loads user code, so it always answers.

It owns the stream to the agent, starts stems, has workers forked or starts them as new processes, watches their
deadlines and memory, passes on what they print, and kills everything that it started when the agent is gone. Standard
library only.
"""

import contextlib
import os
import platform
import selectors
import signal
import sys
import time
from typing import Any, Callable, Dict, List, Optional, Set

from testd.framing import FrameError, frame
from testd.msgpack import UnpackError, unpackb
from testd.runner import processes
from testd.runner.channel import send_with_descriptors
from testd.runner.children import (
    Child,
    OutputStream,
    StemChild,
    WorkerChild,
    kill_group,
    make_child,
    message_type,
    start_process,
)
from testd.runner.slots import Slots
from testd.runner.stream import AgentStream, take

__all__ = ["Supervisor", "serve"]

PROTOCOL = 1
#: How often workers are looked at, in seconds: deadlines, memory, tests that take long.
_WATCH_INTERVAL = 0.05
#: How long frames may gather before the next read, in seconds, and as a part of the time that a burst has lasted.
_MOST_GATHER = 0.02
_GATHER_PART = 0.1
_LEAST_GATHER = 0.001
_FLOOD = 32 * 1024


def serve(reader: int, writer: int) -> int:
    """Be a runner on these descriptors until the agent is gone. Returns an exit status."""
    reader, writer = take(reader, writer)
    prctl = processes.load_prctl()
    processes.adopt(prctl)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the client's to pass on
    supervisor = Supervisor(reader, writer)
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
        self.tell, self.forward = self._agent.tell, self._agent.forward
        self._slots = Slots()
        self._settings: Dict[str, Any] = {}
        self._stems: Dict[str, StemChild] = {}  # "started", "configured", "collected N"
        self._workers: Dict[int, WorkerChild] = {}
        self._adopted: Set[int] = set()  # children when the first of these workers was started
        self._waiting: Dict[int, Child] = {}  # by the id of the request that forks them
        self._next_id = 0
        self._running = True
        self._status = 0
        self._last_work = 0.0
        self._burst_began = 0.0
        self._flooded = False  # a read filled much of what a pipe holds: somebody waits to write more
        self._last_memory = 0.0
        self._handlers: Dict[str, Callable[[Dict[str, Any]], None]] = {
            "ConfigureRunner": self._configure,
            "Collect": self._collect,
            "Select": self._select,
            "DropCollection": self._drop,
            "StartWorker": self._start_worker,
            "RunJob": self._to_worker,
            "FinishWorker": self._to_worker,
            "StopWorker": self._stop_worker,
            "Shutdown": self._shutdown,
            "Ping": lambda message: self.tell({"type": "Pong", "id": message["id"]}),
            "Pong": lambda message: None,
        }

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def run(self) -> int:
        """Serve until `Shutdown` or the end of the agent's stream."""
        self._listen_for_children()
        while (self._running and self._agent.open) or self._agent.waiting:
            timeout = _WATCH_INTERVAL if self._workers else None
            for key, mask in self._selector.select(timeout):
                if mask & selectors.EVENT_WRITE:
                    self._agent.flush()
                if mask & selectors.EVENT_READ:
                    key.data()
            self._watch_workers()
            self._gather()
        return self._status

    def _read_agent(self) -> None:
        try:
            for message in self._agent.receive():
                self._handle(message)
        except (FrameError, UnpackError, KeyError, TypeError) as error:
            self._fault("internal", f"the agent sent what is no message: {error!r}")
            if isinstance(error, FrameError):
                self._running = False

    def _handle(self, message: "Dict[str, Any]") -> None:
        kind = message.get("type") if isinstance(message, dict) else None
        handler = self._handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            self.tell({"type": "Unsupported", "of": str(kind)})
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
        if pause > _LEAST_GATHER and not self._flooded:
            time.sleep(pause)
        self._flooded = False
        self._last_work = time.monotonic()

    def _fault(self, code: str, message: str, **more: Any) -> None:
        fault = {"type": "Fault", "code": code, "message": message, "hint": "", "detail": "", "exit_code": 3, "id": 0}
        fault.update(more)
        self.tell(fault)

    # ── the agent's instructions ─────────────────────────────────────────────────────────────────────────────────────

    def _configure(self, message: "Dict[str, Any]") -> None:
        self._settings = message
        self._ensure_started()
        self.tell(
            {
                "type": "Ready",
                "pid": os.getpid(),
                "protocol": PROTOCOL,
                "version": "",
                "python": platform.python_version(),
                "implementation": platform.python_implementation(),
                "executable": sys.executable,
            }
        )

    def _ensure_started(self) -> StemChild:
        stem = self._usable("started")
        if stem is None:
            stem = StemChild("started")
            try:
                start_process(stem, "--stem", self._settings, [self._slots.fd])
            except OSError as error:
                self._fault("environment", f"{sys.executable} cannot be started again: {error}", exit_code=4)
                return stem
            self._adopt(stem)
            self._stems["started"] = stem
            stem.send(dict(self._settings, type="Begin", descriptors=0))
        return stem

    def _usable(self, name: str) -> "Optional[StemChild]":
        """Return the stem at a checkpoint; not one that told a fault: it is about to end, and is ended here."""
        stem = self._stems.get(name)
        if stem is None or stem.fault is None:
            return stem
        kill_group(stem.pid)
        self._stem_ended(stem, "it failed")
        return None

    def _ensure_configured(self) -> StemChild:
        stem = self._usable("configured")
        if stem is None:
            below = self._ensure_started()
            stem = StemChild("configured")
            self._fork_from(below, stem, {"type": "Advance", "to": "configured"})
            self._stems["configured"] = stem
        return stem

    def _collect(self, message: "Dict[str, Any]") -> None:
        number = message["collection"]
        below = self._ensure_configured()
        stem = StemChild(f"collected {number}", number)
        self._fork_from(
            below, stem, {"type": "Advance", "to": "collected", "collection": number, "paths": message["paths"]}
        )
        self._stems[stem.name] = stem

    def _select(self, message: "Dict[str, Any]") -> None:
        stem = self._stems.get(f"collected {message['collection']}")
        if stem is None:
            self._fault("internal", f"there is no collection {message['collection']}", id=message["id"])
        else:
            stem.send(dict(message, descriptors=0))

    def _drop(self, message: "Dict[str, Any]") -> None:
        names = [f"collected {message['collection']}"]
        if message.get("configured") or message.get("started"):
            names = [name for name in self._stems if name.startswith("collected")] + ["configured"]
        if message.get("started"):
            names.append("started")
        for name in names:
            stem = self._stems.pop(name, None)
            if stem is not None:
                stem.dropped = True
                kill_group(stem.pid)  # one that is being forked has no pid yet: it is killed when that is told

    def _start_worker(self, message: "Dict[str, Any]") -> None:
        worker = WorkerChild(message, self._free_slot(), self._settings)
        self._slots.reset(worker.slot)
        alone = bool(message.get("paths"))
        order = dict(message, slot=worker.slot)
        if not self._workers:
            self._adopted = set(processes.children())
        self._workers[message["worker"]] = worker
        if alone:
            try:
                start_process(worker, "--bin", self._settings, [self._slots.fd, worker.stacks])
            except OSError as error:
                self._worker_lost(worker, f"{sys.executable} cannot be started again: {error}")
                return
            self._adopt(worker)
            worker.send(dict(self._settings, type="Begin", descriptors=0))
            worker.send(dict(order, descriptors=0))
            return
        stem = self._stems.get(f"collected {message['collection']}")
        if stem is None:
            self._worker_lost(worker, f"there is no collection {message['collection']}")
        else:
            self._fork_from(stem, worker, dict(order, type="Fork"), [worker.stacks])

    def _free_slot(self) -> int:
        taken = {worker.slot for worker in self._workers.values()}
        return next(number for number in range(Slots.count) if number not in taken)

    def _to_worker(self, message: "Dict[str, Any]") -> None:
        worker = self._workers.get(message["worker"])
        if worker is not None:  # else it ended meanwhile, and `WorkerExited` is on its way
            worker.send(dict(message, descriptors=0))

    def _stop_worker(self, message: "Dict[str, Any]") -> None:
        worker = self._workers.get(message["worker"])
        if worker is not None:
            self._slots.stop(worker.slot)
            worker.send({"type": "FinishWorker", "worker": message["worker"], "descriptors": 0})
            worker.stop_at(time.monotonic(), message.get("grace", 1.0))

    def _shutdown(self, message: "Dict[str, Any]") -> None:
        self._running = False

    # ── children ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _fork_from(
        self, stem: StemChild, child: Child, order: "Dict[str, Any]", extra: "Optional[List[int]]" = None
    ) -> None:
        """Have a stem fork a child: make its channel and pipes, and send the far ends along."""
        self._next_id += 1
        far = make_child(child)
        self._adopt(child)
        self._waiting[self._next_id] = child
        child.parent = stem
        descriptors = [*far, *(extra or [])]
        with contextlib.suppress(OSError):  # a stem that is gone is told by its own end
            send_with_descriptors(
                stem.sock_or_raise(), dict(order, id=self._next_id, descriptors=len(descriptors)), descriptors
            )
        for fd in far:
            os.close(fd)

    def _adopt(self, child: Child) -> None:
        """Read what a child sends and prints."""
        self._selector.register(child.fd, selectors.EVENT_READ, lambda: self._read_child(child))
        for stream in child.streams:
            self._selector.register(stream.fd, selectors.EVENT_READ, lambda s=stream: self._read_output(child, s))

    def _read_child(self, child: Child, *, dead: bool = False) -> None:
        """Take what a child sent; of a dead one all of it, however much waits for the agent."""
        if self._agent.congested and not dead:
            return
        data = child.read()
        if data is None:
            return
        if not data:
            self._selector.unregister(child.fd)
            child.close_channel()
            self._closed(child)
            return
        self._flooded = self._flooded or len(data) >= _FLOOD
        child.buffer.feed(data)
        if isinstance(child, WorkerChild):
            frames = child.buffer.whole()
            if frames:
                self.forward(frames)
        else:
            for payload in child.buffer.frames():
                self._from_stem(child, payload)

    def _closed(self, child: Child) -> None:
        """A channel that ends before its process was forked: its stem could not do it, or `Forked` is on its way."""
        if child.pid or child.parent is None or child.parent.open:
            return
        if isinstance(child, StemChild):
            self._stem_ended(child, "it was never started")
        elif isinstance(child, WorkerChild):
            self._worker_lost(child, "its stem is gone")

    def _from_stem(self, stem: Child, payload: bytes) -> None:
        kind = message_type(payload)
        if kind == "Forked":
            message = unpackb(payload)
            self._forked(self._waiting.pop(message["id"]), message["pid"])
        elif kind == "Became":
            message = unpackb(payload)
            stem.became = self._waiting.pop(message["id"])
            self._stems.pop("configured", None)
            self._forked(stem.became, message["pid"])
        elif kind == "Reaped":
            message = unpackb(payload)
            self._reaped(message["pid"], message["status"], message["memory"])
        else:
            if kind == "Fault":
                self._stem_fault(stem, unpackb(payload))
                return
            if kind == "Collected":
                stem.answered = True
            self.forward(frame(payload))

    def _forked(self, child: Child, pid: int) -> None:
        child.pid = pid
        if isinstance(child, StemChild) and child.dropped:
            kill_group(pid)

    def _stem_fault(self, stem: Child, fault: "Dict[str, Any]") -> None:
        """Pass on why a stem failed, once for each collection that waits for it."""
        stem.fault = fault
        if fault["id"]:
            if fault["id"] == getattr(stem, "collection", 0):
                stem.answered = True
            self.tell(fault)

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
            self._note_orphan(pid)
            self._reaped(pid, status, usage.ru_maxrss)

    def _note_orphan(self, pid: int) -> None:
        """A forked worker that became our own child has lost its stem, even where that has not been reaped yet."""
        for worker in self._workers.values():
            if worker.pid == pid and worker.parent is not None and not worker.parent.ended:
                worker.parent.ended = "it is gone"

    def _reaped(self, pid: int, status: int, memory: int) -> None:
        kill_group(pid)  # what user code started and left behind in this group
        for worker in list(self._workers.values()):
            if worker.pid == pid:
                self._drain(worker)
                self._worker_ended(worker, status, memory)
                return
        for stem in list(self._stems.values()):
            if stem.pid == pid:
                self._drain(stem)
                self._stem_ended(stem, _how(status))

    def _drain(self, child: Child) -> None:
        """Take what a dead child left in its channel and pipes."""
        while child.open:
            before = child.taken
            self._read_child(child, dead=True)
            if child.taken == before:
                break
        for stream in child.streams:
            while self._read_output(child, stream, dead=True):
                pass

    def _forget(self, child: Child) -> None:
        for fd in child.descriptors():
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(fd)
        child.close()

    def _stem_ended(self, stem: StemChild, how: str) -> None:
        """A stem is gone: so are those above it, and each collection that waits hears why."""
        for name, found in list(self._stems.items()):
            if found is stem:
                del self._stems[name]
        self._forget(stem)
        stem.ended = how
        for above in [found for found in self._stems.values() if found.parent is stem]:
            if above.fault is None:
                above.fault = stem.fault
            self._drain(above)
            self._stem_ended(above, how)
        for worker in [found for found in self._workers.values() if found.parent is stem and found.pid == 0]:
            self._worker_lost(worker, f"its stem ended: {how}")
        if not stem.collection or stem.dropped:
            return
        if stem.answered and stem.fault is None:
            text = f"the process that kept the collected tests ended: {how}"
            self._fault("lost", text, detail=stem.tail(), id=stem.collection)
        elif not stem.answered:
            fault = stem.fault or (stem.parent and stem.parent.fault) or {
                "code": "collect",
                "message": f"the process that collects the tests ended: {how}",
                "detail": stem.tail(),
                "exit_code": 3,
            }
            self._fault(**dict({k: v for k, v in fault.items() if k != "type"}, id=stem.collection))

    # ── workers ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _read_output(self, child: Child, stream: OutputStream, *, dead: bool = False) -> bool:
        """Take what a child printed. Returns whether there was anything."""
        if self._agent.congested and not dead:
            return False
        data = stream.read()
        if data == b"":
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(stream.fd)
            stream.close()
        if not data:
            return False
        self._flooded = self._flooded or len(data) >= _FLOOD
        if isinstance(child, WorkerChild) and child.stream:
            slot = self._slots.read(child.slot)
            for text in child.live_text(stream, data, slot):
                self.tell(
                    {
                        "type": "Output",
                        "worker": child.worker,
                        "stream": stream.name,
                        "text": text,
                        "test": slot.test,
                        "target": "",
                    }
                )
        return True

    def _watch_workers(self) -> None:
        if not self._workers:
            return
        now = time.monotonic()
        memory_due = now - self._last_memory >= 0.25
        if memory_due:
            self._last_memory = now
        for worker in list(self._workers.values()):
            started = worker.watch(self._slots.read(worker.slot), now, memory_due=memory_due)
            if started is not None:
                self.tell(started)

    def _worker_lost(self, worker: WorkerChild, why: str) -> None:
        worker.note(why)
        self._worker_ended(worker, None, 0)

    def _worker_ended(self, worker: WorkerChild, status: "Optional[int]", memory: int) -> None:
        del self._workers[worker.worker]
        exited = worker.exited(self._slots.read(worker.slot), status, memory)
        self._forget(worker)
        self.tell(exited)
        if not self._workers:
            self._kill_leftovers()

    def _kill_leftovers(self) -> None:
        """Kill what workers left behind in groups of its own: it was adopted here. What stems started stays."""
        known = {child.pid for child in self._stems.values()} | self._adopted
        for pid in processes.children():
            if pid not in known:
                kill_group(pid)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def kill_all(self) -> None:
        """Kill every process that was started here, and what these left behind: first all, then reap."""
        for child in [*self._workers.values(), *self._stems.values()]:
            kill_group(child.pid)
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


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"killed by {signal.Signals(number).name}"
        except ValueError:
            return f"killed by signal {number}"
    return f"exit status {os.WEXITSTATUS(status)}"


