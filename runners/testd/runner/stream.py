"""The supervisor's side of the stream to the agent: a socket, or two pipes. Nothing here blocks; nothing is decoded."""

import contextlib
import os
import selectors
import socket
from typing import Any, Callable, Dict, Iterator, List, Optional

from testd.framing import FrameBuffer, frame
from testd.msgpack import packb, unpackb
from testd.runner.channel import high, receive_with_descriptors

__all__ = ["AgentStream", "take"]

_READ = 256 * 1024
#: Bytes waiting for the agent above which workers are not read: they wait, nothing grows without bound.
_MOST_WAITING = 8 * 1024 * 1024


def take(reader: int, writer: int) -> "tuple[int, int]":
    """Move the protocol away from descriptors 0 and 1, which then belong to nobody. Returns the new numbers."""
    if reader == writer:
        reader = writer = high(reader)
    else:
        reader, writer = high(os.dup(reader)), high(os.dup(writer))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    if writer != reader:
        os.dup2(2, 1)
    os.close(null)
    return reader, writer


class AgentStream:
    """Messages from the agent, and frames to it that wait until the stream takes them."""

    def __init__(self, reader: int, writer: int, selector: selectors.BaseSelector, ready: Callable[[], None]) -> None:
        """Register with `selector`; `ready` is called when there is something to read."""
        self._reader, self._writer = reader, writer
        self._selector = selector
        self._ready = ready
        # A socket passes descriptors on, pipes do not.
        self._sock: Optional[socket.socket] = socket.socket(fileno=reader) if reader == writer else None
        self._descriptors: List[int] = []
        self._incoming = FrameBuffer()
        self._outgoing = bytearray()
        self.open = True
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        selector.register(reader, selectors.EVENT_READ, ready)

    @property
    def waiting(self) -> bool:
        """Tell whether something has not been taken yet."""
        return bool(self._outgoing)

    @property
    def congested(self) -> bool:
        """Tell whether so much waits that nothing more should be read from workers."""
        return len(self._outgoing) > _MOST_WAITING

    def tell(self, message: "Dict[str, Any]") -> None:
        """Send a message."""
        self.forward(frame(packb(message)))

    def fault(self, code: str, message: str, **more: Any) -> None:
        """Tell what went wrong, with pytest's exit code for it."""
        told = {"type": "Fault", "code": code, "message": message, "hint": "", "detail": "", "exit_code": 3, "id": 0}
        told.update(more)
        self.tell(told)

    def forward(self, frames: bytes) -> None:
        """Send bytes that are whole frames."""
        waiting = bool(self._outgoing)
        self._outgoing += frames
        if not waiting:
            self.flush()

    def flush(self) -> None:
        """Write what the stream takes now, and listen for when it takes more."""
        try:
            while self._outgoing:
                sent = os.write(self._writer, memoryview(self._outgoing)[:_READ])
                del self._outgoing[:sent]
        except BlockingIOError:
            pass
        except OSError:
            self.give_up()
        if self._writer == self._reader:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outgoing else 0)
            self._selector.modify(self._reader, events, self._ready)
            return
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._writer)
        if self._outgoing:
            self._selector.register(self._writer, selectors.EVENT_WRITE, None)

    def give_up(self) -> None:
        """Give up what waits: the agent is gone."""
        self.open = False
        self._outgoing = bytearray()

    def take(self, count: int) -> "List[int]":
        """Return what came along with a message: to be called for each such message in turn; who takes it closes it."""
        taken, self._descriptors = self._descriptors[:count], self._descriptors[count:]
        return taken

    def _read(self) -> bytes:
        if self._sock is None:
            return os.read(self._reader, _READ)
        data, descriptors = receive_with_descriptors(self._sock, _READ)
        self._descriptors += descriptors
        return data

    def receive(self) -> "Iterator[Any]":
        """Read once and yield each message that is complete.

        Raises:
            FrameError: the two sides are out of step; the stream is lost.
            UnpackError: a message is malformed.
        """
        try:
            data = self._read()
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.give_up()
            return
        self._incoming.feed(data)
        for payload in self._incoming.frames():
            yield unpackb(payload)
