"""The link between the runner's supervisor and a stem or worker: blocking, framed, and it carries descriptors.

Runs in stems and workers (the supervisor reads its ends without blocking). Standard library only.
"""

import array
import fcntl
import os
import resource
import socket
from typing import Any, Dict, List, Optional, Tuple

from testd.framing import FrameBuffer, FrameError, frame
from testd.msgpack import UnpackError, packb, unpackb
from testd.runner.processes import DUPLICATE

__all__ = ["Channel", "ChannelClosed", "drain", "high", "receive_with_descriptors", "send_with_descriptors"]

_MOST_DESCRIPTORS = 8
#: Bytes taken in one read.
_READ = 65536
_descriptor = array.array("i").itemsize


class ChannelClosed(Exception):
    """The supervisor is gone: there is nobody left to work for."""


def high(fd: int) -> int:
    """Move a descriptor out of the way of user code that closes or counts the low ones. Returns its new number."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    ceiling = 1024 if soft == resource.RLIM_INFINITY else min(soft, 1024)
    for floor in (ceiling - 64, ceiling // 2, 3):
        try:
            moved = fcntl.fcntl(fd, DUPLICATE, max(3, floor))
        except OSError:  # no room up there; try lower
            continue
        os.close(fd)
        return moved
    return fd


def send_with_descriptors(sock: socket.socket, message: Dict[str, Any], descriptors: List[int]) -> None:
    """Send one framed message; its first byte carries the descriptors. The caller still owns and closes its own."""
    data = frame(packb(message))
    if descriptors:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        sent = sock.sendmsg([data[:1]], rights)
        data = data[sent:]
    sock.sendall(data)


def receive_with_descriptors(sock: socket.socket, size: int) -> "Tuple[bytes, List[int]]":
    """Read once: at most `size` bytes, and the descriptors that came along. Raises OSError."""
    data, ancillary, _, _ = sock.recvmsg(size, socket.CMSG_SPACE(_MOST_DESCRIPTORS * _descriptor))
    received = array.array("i")
    for level, kind, payload in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            received.frombytes(payload[: len(payload) - len(payload) % _descriptor])
    for fd in received:
        os.set_inheritable(fd, False)
    return data, list(received)


def drain(sock: socket.socket, buffer: FrameBuffer) -> "Optional[List[Dict[str, Any]]]":
    """Return the messages that are complete, None where the other end is gone or breaks the protocol."""
    try:
        data = sock.recv(_READ)
        buffer.feed(data)
        return [unpackb(payload) for payload in buffer.frames()] if data else None
    except (OSError, FrameError, UnpackError):
        return None


class Channel:
    """One end of the socketpair, in the process that the supervisor looks after."""

    __slots__ = ("_buffer", "_descriptors", "_payloads", "_pid", "_sock")

    def __init__(self, fd: int) -> None:
        """Take over the descriptor of a connected Unix socket."""
        self._sock = socket.socket(fileno=high(fd))
        self._buffer = FrameBuffer()
        self._payloads: List[bytes] = []
        self._descriptors: List[int] = []
        self._pid = os.getpid()

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._sock.fileno()

    @property
    def pending(self) -> bool:
        """Tell whether a message is at hand without reading."""
        return bool(self._payloads)

    def send(self, message: Dict[str, Any]) -> None:
        """Send one message.

        Raises:
            ChannelClosed: the supervisor is gone.
        """
        self.send_frame(frame(packb(message)))

    def send_frame(self, data: bytes) -> None:
        """Send bytes that are one frame. A process that user code forked off says nothing: it ends here."""
        if os.getpid() != self._pid:
            os._exit(0)
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise ChannelClosed(str(error)) from error

    def receive(self) -> "Tuple[Dict[str, Any], List[int]]":
        """Wait for the next message. Returns it with the descriptors that came along.

        There is no deadline: a stem waits for as long as the supervisor lives, whose end closes the channel.

        Raises:
            ChannelClosed: the supervisor is gone.
        """
        while not self._payloads:
            self._read()
        message = unpackb(self._payloads.pop(0))
        wanted = message.get("descriptors", 0)
        taken, self._descriptors = self._descriptors[:wanted], self._descriptors[wanted:]
        return message, taken

    def _read(self) -> None:
        try:
            data, received = receive_with_descriptors(self._sock, 65536)
        except OSError as error:
            raise ChannelClosed(str(error)) from error
        self._descriptors.extend(received)
        if not data:
            raise ChannelClosed("the supervisor is gone")
        self._buffer.feed(data)
        self._payloads.extend(self._buffer.frames())

    def close(self) -> None:
        """Close this process's end."""
        self._sock.close()
