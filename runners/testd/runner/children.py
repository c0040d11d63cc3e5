"""The supervisor's side of the processes that it looks after: stems and workers, their channels and what they print.

Runs in the supervisor. Nothing here blocks: descriptors are read when they are ready, by the supervisor's loop.
"""

import codecs
import contextlib
import os
import signal
import socket
import subprocess
import sys
from typing import Any, Dict, List, Optional

from testd.framing import FrameBuffer, frame
from testd.msgpack import packb
from testd.runner import processes
from testd.runner.slots import CUT_OFF, DONE, RUNNING, STARTING, Slot, scratch

__all__ = [
    "Child",
    "OutputStream",
    "StemChild",
    "WorkerChild",
    "kill_group",
    "make_child",
    "message_type",
    "start_process",
]

_READ = 256 * 1024
_TAIL = 16 * 1024  # bytes of output that are kept to explain a death
_STACKS = 64 * 1024  # bytes of stacks that are told
#: A test that runs longer than this is told once, in seconds.
_LONG = 0.25
#: How long a stem may take to fork a worker, in seconds: it has nothing else to do but to select tests.
_FORK_DEADLINE = 60.0
#: How long a process of its own may take to its first test, collection included, in seconds.
_START_DEADLINE = 900.0
#: How long a process may take to write its stacks before it is killed, in seconds.
_DUMP_GRACE = 0.5
#: How long a worker may take to end after its last test (exit functions), in seconds.
_EXIT_GRACE = 5.0
#: Of the time that a worker gets to stop, the part before it is interrupted.
_INTERRUPT_AFTER = 0.2

_BOOT = "import sys; sys.path.insert(0, {0!r}); from testd.runner.__main__ import main; sys.exit(main(sys.argv[1:]))"


def kill_group(pid: int) -> None:
    """Kill a process and the group that it heads."""
    if pid > 0:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)


def message_type(payload: bytes) -> str:
    """Return a message's type without decoding the rest: it is the first key of the map."""
    start = 1 if payload[0] < 0xDE else 3 if payload[0] == 0xDE else 5
    start += 5  # the key: a header and "type"
    head = payload[start]
    if head == 0xD9:
        return payload[start + 2 : start + 2 + payload[start + 1]].decode()
    return payload[start + 1 : start + 1 + (head & 0x1F)].decode()


class OutputStream:
    """The reading end of a pipe that is a child's stdout or stderr, and its tail."""

    __slots__ = ("decoder", "fd", "name", "tail")

    def __init__(self, name: str, fd: int) -> None:
        """Own the descriptor."""
        self.name = name
        self.fd = fd
        self.tail = b""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        os.set_blocking(fd, False)

    def read(self) -> "Optional[bytes]":
        """Return what is at hand: None for nothing now, no bytes for the end."""
        if self.fd < 0:
            return None
        try:
            data = os.read(self.fd, _READ)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        self.tail = (self.tail + data)[-_TAIL:]
        return data

    def close(self) -> None:
        """Close the descriptor, once."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Child:
    """A process with a channel and two pipes."""

    def __init__(self) -> None:
        """Know nothing of the process yet."""
        self.pid = 0
        self.parent: Optional[Child] = None
        self.became: Optional[Child] = None
        self.ended = ""  # how, once it has
        self.fault: Optional[Dict[str, Any]] = None
        self.answered = False
        self.buffer = FrameBuffer()
        self.streams: List[OutputStream] = []
        self.taken = 0  # bytes read from the channel
        self._sock: Optional[socket.socket] = None
        self._waiting = bytearray()

    @property
    def open(self) -> bool:
        """Tell whether the channel may still bring something."""
        return self._sock is not None

    @property
    def fd(self) -> int:
        """Return the channel's descriptor."""
        return self.sock_or_raise().fileno()

    def sock_or_raise(self) -> socket.socket:
        """Return the channel. Raises OSError where it is closed."""
        if self._sock is None:
            raise OSError("the channel is closed")
        return self._sock

    def attach(self, sock: socket.socket, out: int, err: int) -> None:
        """Take the near ends."""
        self._sock = sock
        self.streams = [OutputStream("stdout", out), OutputStream("stderr", err)]

    def send(self, message: "Dict[str, Any]") -> None:
        """Send a message. The few that go this way fit into the socket's buffer; a dead child is told by its end."""
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.sendall(frame(packb(message)))

    def read(self) -> "Optional[bytes]":
        """Return what the channel has: None for nothing now, no bytes for its end."""
        if self._sock is None:
            return None
        try:
            data = self._sock.recv(_READ, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except OSError:
            return b""
        self.taken += len(data)
        return data

    def close_channel(self) -> None:
        """Close the channel, once."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def descriptors(self) -> "List[int]":
        """Return what is still open."""
        found = [stream.fd for stream in self.streams if stream.fd >= 0]
        return [*found, self._sock.fileno()] if self._sock is not None else found

    def close(self) -> None:
        """Close everything."""
        self.close_channel()
        for stream in self.streams:
            stream.close()

    def tail(self) -> str:
        """Return the end of what it printed, stderr before stdout."""
        texts = [stream.tail.decode("utf-8", "replace").strip() for stream in reversed(self.streams)]
        return "\n".join(text for text in texts if text)


class StemChild(Child):
    """A process at a checkpoint."""

    def __init__(self, name: str, collection: int = 0) -> None:
        """Name the checkpoint; `collection` is its number where it is a collected one."""
        super().__init__()
        self.name = name
        self.collection = collection
        self.dropped = False


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
        self._memory_limit: int = settings.get("memory_limit", 0)
        self._output_limit: int = settings.get("output_limit", 8 * 1024 * 1024)
        self._output: Dict[int, int] = {}
        self._cause = ""
        self._note = ""
        self._last: Optional[Slot] = None
        self._told = -1
        self._kill_at = 0.0
        self._interrupt_at = 0.0
        self._done_at = 0.0
        self._peak = 0
        self._asked_at = _now()

    def note(self, text: str) -> None:
        """Keep why the worker was lost."""
        self._note = text
        self._cause = "lost"

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
                kill_group(self.pid)
            return None
        if slot.state != RUNNING or not same or not slot.whole:
            return None
        elapsed = now - slot.test_started
        if self._timeout and elapsed > self._timeout:
            self._kill("timeout", now)
        elif self._job_timeout and now - slot.job_started > self._job_timeout:
            self._kill("job timeout", now)
        elif memory_due and self._memory_limit and self._resident() > self._memory_limit:
            self._kill("memory", now)
        elif elapsed > _LONG and self._told != slot.test:
            self._told = slot.test
            return {"type": "Started", "test": slot.test, "worker": self.worker, "seconds": elapsed, "target": ""}
        return None

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
        """Have the stacks written, and kill the worker a moment later."""
        self._cause = cause
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
        dumped = self._cause != "stopped" and os.fstat(self.stacks).st_size > 0 and slot == self._last
        self._last = slot
        if now > self._kill_at or dumped:
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
        running = slot.state == RUNNING
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
            "seconds": max(0.0, _now() - slot.test_started) if running else 0.0,
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


def _now() -> float:
    import time

    return time.monotonic()


def make_child(child: Child) -> "List[int]":
    """Make a channel and pipes for a child; it keeps the near ends. Returns the far ones: channel, stdout, stderr."""
    near, far = socket.socketpair()
    out_near, out_far = os.pipe()
    err_near, err_far = os.pipe()
    child.attach(near, out_near, err_near)
    return [far.detach(), out_far, err_far]


def start_process(child: Child, kind: str, settings: "Dict[str, Any]", descriptors: "List[int]") -> None:
    """Start a new interpreter that is a stem (`--stem`) or a worker (`--bin`).

    Raises:
        OSError: it cannot be started (the working directory is gone, no memory, too many processes).
    """
    channel, out, err = make_child(child)
    bundle = os.path.dirname(os.path.dirname(sys.modules["testd"].__file__ or ""))
    inherited = [channel, *descriptors]
    try:
        process = subprocess.Popen(
            [sys.executable, "-c", _BOOT.format(bundle), kind, *map(str, inherited)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=settings["cwd"],
            env=settings["environment"],
            pass_fds=inherited,
        )
    finally:
        for fd in (channel, out, err):
            os.close(fd)
    child.pid = process.pid
    process.returncode = 0  # the supervisor reaps it; Popen must not
