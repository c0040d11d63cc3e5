"""The supervisor's side of the processes that it looks after: stems and workers, their channels and what they print.

Runs in the supervisor. Nothing here blocks: descriptors are read when they are ready, by the supervisor's loop.
"""

import codecs
import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
from typing import Any, Dict, List, Optional

from testd.framing import FrameBuffer, frame
from testd.msgpack import packb

__all__ = [
    "Child",
    "OutputStream",
    "StemChild",
    "kill_group",
    "make_child",
    "message_type",
    "start_process",
]

_READ = 256 * 1024
_TAIL = 16 * 1024  # bytes of output that are kept to explain a death

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
        self.tail = data[-_TAIL:] if len(data) >= _TAIL else (self.tail + data)[-_TAIL:]
        return data

    def widen(self) -> None:
        """Let the pipe hold as much as one read takes, where the system can: a flood then costs fewer turns."""
        resize = getattr(fcntl, "F_SETPIPE_SZ", 1031 if sys.platform.startswith("linux") else None)
        if resize is not None:
            with contextlib.suppress(OSError):  # as wide as the user may have it
                fcntl.fcntl(self.fd, resize, _READ)

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
        self.amending: List[int] = []  # ids of `Amend` that it has been sent and has not answered
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
    def running(self) -> bool:
        """Tell whether there is a process whose end has not been heard of."""
        return self.pid != 0 and not self.ended

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
        self.order: Dict[str, Any] = {}  # by which a collection was asked for
        self.dropped = False


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
