"""The supervisor's side of one worker: its deadlines, its memory, what it may print, and how it ended.

Runs in the supervisor. Nothing here blocks; the supervisor's loop looks at each worker a few times a second.
"""

import contextlib
import os
import signal
import sys
import time
from typing import Any, Dict, List, Optional

from testd.runner import processes
from testd.runner.children import Child, OutputStream, kill_group
from testd.runner.slots import CLOSING, CUT_OFF, DONE, RUNNING, STARTING, Slot, scratch

__all__ = ["WorkerChild"]

_STACKS = 64 * 1024  # bytes of stacks that are told
#: A test that runs longer than this is told once, in seconds.
_LONG = 0.25
#: How long a stem may take to fork a worker, in seconds: it has nothing else to do but to select tests.
_FORK_DEADLINE = 60.0
#: How long a process of its own may take to its first test, collection included, in seconds.
_START_DEADLINE = 900.0
#: How long a process may take to write its stacks before it is killed, in seconds.
_DUMP_GRACE = 0.5
#: How long the end of a session may take where tests have no limit, in seconds: nothing else ends a hook that hangs.
_CLOSE_DEADLINE = 600.0
#: How long exit functions may take, in seconds: all outcomes are known, and the run waits for the process.
_EXIT_GRACE = 5.0
#: Of the time that a worker gets to stop, the part before it is interrupted.
_INTERRUPT_AFTER = 0.2


class WorkerChild(Child):
    """A worker, its deadlines, and how it ended."""

    def __init__(self, order: "Dict[str, Any]", slot: int, settings: "Dict[str, Any]") -> None:
        """Take the limits from the `StartWorker` and `ConfigureRunner` messages."""
        super().__init__()
        self.worker: int = order["worker"]
        self.slot = slot
        self.stream: bool = order.get("stream", False)
        self.stacks = scratch("testd-stacks")
        self._timeout: float = order.get("timeout", 0.0)
        self._job_timeout: float = order.get("job_timeout", 0.0)
        self._memory_limit: int = order.get("memory_limit") or settings.get("memory_limit", 0)
        self._output_limit: int = settings.get("output_limit", 8 * 1024 * 1024)
        self._output: Dict[int, int] = {}
        self._cause = ""
        self._note = ""
        self._last: Optional[Slot] = None
        self._told = -1
        self._kill_at = 0.0
        self._overdue_at: Optional[Slot] = None  # what it was doing when it was to be killed
        self._interrupt_at = 0.0
        self._done_at = 0.0
        self._peak = 0
        self._asked_at = time.monotonic()

    def note(self, text: str) -> None:
        """Keep why the worker was lost."""
        self._note = text
        self._cause = "lost"

    def explain(self, text: str) -> None:
        """Keep why the worker was killed, unless that was done here."""
        if not self._cause:
            self._note = text

    def stop_at(self, now: float, grace: float) -> None:
        """Begin to stop: interrupt soon, kill when the grace is over."""
        if not self._kill_at:
            self._cause = "stopped"
            self._interrupt_at = now + min(_INTERRUPT_AFTER, grace)
            self._kill_at = now + grace

    def watch(self, slot: Slot, now: float, *, memory_due: bool) -> "Optional[Dict[str, Any]]":
        """Look at deadlines and memory. Returns a `Started` message for a test that takes long, once."""
        if self._kill_at:
            self._finish_stopping(slot, now)
            return None
        if slot.state == STARTING and self._start_is_overdue(now):
            return None
        same, self._last = slot == self._last, slot
        if slot.state == DONE:
            self._done_at = self._done_at or now
            if now - self._done_at > _EXIT_GRACE:
                self._kill("timeout", now)
            return None
        if slot.state not in (RUNNING, CLOSING) or not same or not slot.whole:
            return None
        cause = self._overdue(slot, now) or self._too_large(memory_due=memory_due)
        if cause:
            self._kill(cause, now)
        elif slot.state == RUNNING and now - slot.test_started > _LONG and self._told != slot.test:
            self._told = slot.test
            seconds = now - slot.test_started
            return {"type": "Started", "test": slot.test, "worker": self.worker, "seconds": seconds, "target": ""}
        return None

    def _overdue(self, slot: Slot, now: float) -> str:
        """Return which deadline of a test, or of the end of the session, is over."""
        elapsed = now - slot.test_started
        if slot.state == CLOSING:
            return "timeout" if elapsed > (self._timeout or _CLOSE_DEADLINE) else ""
        if self._timeout and elapsed > self._timeout:
            return "timeout"
        return "job timeout" if self._job_timeout and now - slot.job_started > self._job_timeout else ""

    def _too_large(self, *, memory_due: bool) -> str:
        """Return the cause `memory` where the worker has grown over its limit."""
        if memory_due and self._memory_limit and self._resident() > self._memory_limit:
            return "memory"
        return ""

    def _start_is_overdue(self, now: float) -> bool:
        """End a stem that does not fork (user code stopped it), or a process of its own that does not get to work."""
        waited = now - self._asked_at
        if self.pid == 0 and self.parent is not None and waited > _FORK_DEADLINE:
            kill_group(self.parent.pid)
            return True
        if waited > _START_DEADLINE:
            self._kill("timeout", now)
            return True
        return False

    def _kill(self, cause: str, now: float) -> None:
        """Have the worker write its stacks and die of it; a moment later it is killed, if it could not."""
        self._cause = cause
        self._overdue_at = self._last
        self._kill_at = now + _DUMP_GRACE
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, processes.DUMP_SIGNAL)

    def _finish_stopping(self, slot: Slot, now: float) -> None:
        if self._interrupt_at and now > self._interrupt_at:
            self._interrupt_at = 0.0
            if slot.state == RUNNING and self.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, signal.SIGINT)
        if now > self._kill_at:
            kill_group(self.pid)

    def _resident(self) -> int:
        """Return the worker's memory in KiB, 0 where the system does not tell."""
        try:
            with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
                pages = int(file.read().split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        size = pages * os.sysconf("SC_PAGE_SIZE") // 1024
        self._peak = max(self._peak, size)
        return size

    def live_text(self, stream: OutputStream, data: bytes, slot: Slot) -> "List[str]":
        """Return what of this output is passed on: one test may not flood everything."""
        used = self._output.get(slot.test, 0)
        if used >= self._output_limit:
            return []
        self._output[slot.test] = used + len(data)
        texts = [stream.decoder.decode(data)]
        if used + len(data) >= self._output_limit:
            texts.append(f"\n[testd: this test printed more than {self._output_limit} bytes; the rest is not shown]\n")
        return [text for text in texts if text]

    def exited(self, slot: Slot, status: "Optional[int]", memory: int) -> "Dict[str, Any]":
        """Return the `WorkerExited` message."""
        number = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else 0
        plain = status is not None and os.WIFEXITED(status)
        if self._overdue_at not in (None, slot):  # it went on in the very moment: what it was killed in is not to blame
            self._cause = "stopped"
        running = slot.state == RUNNING and self._overdue_at in (None, slot)
        timed = running or slot.state == CLOSING
        if number == signal.SIGKILL and not self._cause and self.parent is not None and self.parent.ended:
            self.note(f"its stem ended: {self.parent.ended}")  # the kernel killed it with its parent
        return {
            "type": "WorkerExited",
            "worker": self.worker,
            "completed": slot.state == DONE,
            "status": os.WEXITSTATUS(status) if status is not None and plain else None,
            "signal": number,
            "cause": self._cause or ("signal" if number else "exit" if status is not None else "lost"),
            "test": slot.test if running else -1,
            "seconds": max(0.0, time.monotonic() - slot.test_started) if timed else 0.0,
            "stderr": "\n".join(part for part in (self.tail(), self._note, _explained(slot, status)) if part),
            "stacks": self._read_stacks(),
            "memory": max(memory // (1024 if sys.platform == "darwin" else 1), self._peak),
        }

    def _read_stacks(self) -> str:
        try:
            return os.pread(self.stacks, _STACKS, 0).decode("utf-8", "replace")
        except OSError:
            return ""

    def close(self) -> None:
        """Close everything."""
        super().close()
        if self.stacks >= 0:
            os.close(self.stacks)
            self.stacks = -1


def _explained(slot: Slot, status: "Optional[int]") -> str:
    if slot.state == STARTING:
        return "the worker ended before its first test"
    if status is not None and os.WIFEXITED(status) and os.WEXITSTATUS(status) == CUT_OFF:
        return "the worker could not reach testd any more: a test closed descriptors that it had not opened"
    return ""
