"""The workers of a runner by number: how each is started, watched, stopped, and told of when it has ended.

Runs in the supervisor. Standard library only.
"""

import sys
import time
from typing import Any, Dict, Optional, Set

from testd.runner import processes
from testd.runner.children import Child, StemChild, kill_group, start_process
from testd.runner.intake import Intake
from testd.runner.slots import Slots
from testd.runner.stems import Stems
from testd.runner.stream import AgentStream
from testd.runner.worker_child import WorkerChild

__all__ = ["Workers"]

#: How often workers' memory is looked at, in seconds.
_MEMORY_INTERVAL = 0.25


class Workers:
    """Every worker that has not been told as ended."""

    def __init__(self, agent: AgentStream, intake: Intake, slots: Slots, stems: Stems) -> None:
        """Have none yet."""
        self._agent = agent
        self._intake = intake
        self._slots = slots
        self._stems = stems
        self._workers: Dict[int, WorkerChild] = {}
        self._adopted: Set[int] = set()  # children when the first of these workers was started
        self._last_memory = 0.0

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._workers)

    @property
    def pids(self) -> "Set[int]":
        """Return the processes that there are; 0 stands for those that are being forked."""
        return {worker.pid for worker in self._workers.values()}

    # ── the agent's instructions ─────────────────────────────────────────────────────────────────────────────────────

    def start(self, message: "Dict[str, Any]") -> None:
        """Start a worker: forked from its collection's stem, or a new process where the message names paths."""
        self._stems.hurry()
        worker = WorkerChild(message, self._free_slot(), self._stems.settings)
        self._slots.reset(worker.slot)
        order = dict(message, slot=worker.slot)
        if not self._workers:
            self._adopted = set(processes.children())
        self._workers[message["worker"]] = worker
        if message.get("paths"):
            self._start_alone(worker, order)
            return
        stem = self._stems.collected(message["collection"])
        if stem is None:
            self._lost(worker, f"there is no collection {message['collection']}")
        else:
            self._stems.fork(stem, worker, dict(order, type="Fork"), [worker.stacks])

    def _start_alone(self, worker: WorkerChild, order: "Dict[str, Any]") -> None:
        settings = self._stems.settings
        try:
            start_process(worker, "--bin", settings, [self._slots.fd, worker.stacks])
        except OSError as error:
            self._lost(worker, f"{sys.executable} cannot be started again: {error}")
            return
        self._intake.adopt(worker)
        worker.send(dict(settings, type="Begin", descriptors=0))
        worker.send(dict(order, descriptors=0))

    def _free_slot(self) -> int:
        taken = {worker.slot for worker in self._workers.values()}
        return next(number for number in range(Slots.count) if number not in taken)

    def pass_on(self, message: "Dict[str, Any]") -> None:
        """Send a worker what is meant for it."""
        worker = self._workers.get(message["worker"])
        if worker is not None:  # else it ended meanwhile, and `WorkerExited` is on its way
            worker.send(dict(message, descriptors=0))

    def stop(self, message: "Dict[str, Any]") -> None:
        """Ask a worker to stop; what does not is interrupted, then killed, unless the agent is patient."""
        worker = self._workers.get(message["worker"])
        if worker is not None:
            self._slots.stop(worker.slot)
            worker.send({"type": "FinishWorker", "worker": message["worker"], "descriptors": 0})
            if not message.get("patient"):
                worker.stop_at(time.monotonic(), message.get("grace", 1.0))

    # ── what becomes of them ─────────────────────────────────────────────────────────────────────────────────────────

    def watch(self) -> None:
        """Look at deadlines and memory of all; tell of tests that take long."""
        if not self._workers:
            return
        now = time.monotonic()
        memory_due = now - self._last_memory >= _MEMORY_INTERVAL
        if memory_due:
            self._last_memory = now
        for worker in list(self._workers.values()):
            started = worker.watch(self._slots.read(worker.slot), now, memory_due=memory_due)
            if started is not None:
                self._agent.tell(started)

    def reaped(self, pid: int, status: int, memory: int) -> bool:
        """Take note of a process that ended. Returns whether it was a worker."""
        for worker in list(self._workers.values()):
            if worker.pid == pid:
                self._intake.drain(worker)
                self._ended(worker, status, memory)
                return True
        return False

    def note_orphan(self, pid: int) -> None:
        """A forked worker that became our own child has lost its stem, even where that has not been reaped yet."""
        for worker in self._workers.values():
            if worker.pid == pid and worker.parent is not None and not worker.parent.ended:
                worker.parent.ended = "it is gone"

    def stem_ended(self, stem: StemChild, how: str) -> None:
        """Give up the workers that this stem was to fork."""
        for worker in [found for found in self._workers.values() if found.parent is stem and found.pid == 0]:
            self._lost(worker, f"its stem ended: {how}")

    def never_started(self, worker: Child) -> None:
        """Give up a worker whose channel ended before it was forked."""
        if isinstance(worker, WorkerChild):
            self._lost(worker, "its stem is gone")

    def _lost(self, worker: WorkerChild, why: str) -> None:
        worker.note(why)
        self._ended(worker, None, 0)

    def _ended(self, worker: WorkerChild, status: "Optional[int]", memory: int) -> None:
        del self._workers[worker.worker]
        if status is not None:
            worker.explain(self._stems.memory.explain(status))
        exited = worker.exited(self._slots.read(worker.slot), status, memory)
        self._intake.forget(worker)
        self._agent.tell(exited)
        if not self._workers:
            self._kill_leftovers()

    def _kill_leftovers(self) -> None:
        """Kill what workers left behind in groups of its own: it was adopted here. What stems started stays."""
        known = self._stems.pids | self._adopted
        for pid in processes.children():
            if pid not in known:
                kill_group(pid)

    def kill(self) -> None:
        """Kill all of them. They are reaped by the caller."""
        for worker in self._workers.values():
            kill_group(worker.pid)
