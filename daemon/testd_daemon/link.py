"""A framed, typed connection: whole messages in, whole messages out.

Runs in the handler, the agent and the asynchronous client, on anyio's event loop. Works over a connected socket
(socketpair, Unix socket) and over a pair of pipes (a runner that is reached through its stdio). What parses bytes is
`testd.framing` and `testd_protocol.framing`; this file only moves them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

import anyio
import msgspec

from testd.framing import FrameBuffer, FrameError
from testd_daemon.errors import LinkClosed
from testd_protocol.framing import Unknown, decode, encode
from testd_protocol.messages import Message

__all__ = ["Link", "Parcel", "close_all"]

In = TypeVar("In")

#: Bytes per read: below the size from which the allocator maps and unmaps memory for each of them.
READ_SIZE: Final = 64 * 1024
#: Bytes taken in one turn: a link that floods must let others have theirs.
TURN_SIZE: Final = 1024 * 1024
#: Reads in quick succession that make a flood, and seconds of the first pause between two reads under one.
FLOOD: Final = 3
FIRST_PAUSE: Final = 0.001
#: Bytes of buffer asked of the kernel, so that a peer need not wait while we coalesce.
KERNEL_BUFFER: Final = 1024 * 1024


#: Descriptors that may come along with one message.
MOST_DESCRIPTORS: Final = 8


class Parcel(NamedTuple):
    """A frame and the descriptors that go along with its first byte. Whoever sends it closes them."""

    frame: bytes
    descriptors: tuple[int, ...] = ()


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors that nobody took."""
    for descriptor in descriptors:
        os.close(descriptor)


class _Channel(Protocol):
    """Where bytes come from and go to, without blocking."""

    readable: int
    writable: int
    descriptors: list[int]  # that came along and were not taken

    def read(self) -> bytes: ...
    def write(self, data: memoryview) -> int: ...
    def pass_on(self, first: bytes, descriptors: tuple[int, ...]) -> None: ...
    def close(self) -> None: ...


class _Socket:
    """A connected stream socket."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        sock.set_inheritable(False)
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, KERNEL_BUFFER)  # the kernel takes what its limit allows
        self._sock = sock
        self.descriptors: list[int] = []
        self.readable = self.writable = sock.fileno()

    def read(self) -> bytes:
        data, found, _, _ = socket.recv_fds(self._sock, READ_SIZE, MOST_DESCRIPTORS)
        self.descriptors += found
        for descriptor in found:
            os.set_inheritable(descriptor, False)
        return data

    def write(self, data: memoryview) -> int:
        return self._sock.send(data)

    def pass_on(self, first: bytes, descriptors: tuple[int, ...]) -> None:
        socket.send_fds(self._sock, [first], descriptors)

    def close(self) -> None:
        self._sock.close()
        close_all(self.descriptors)
        self.descriptors = []


class _Pipes:
    """A pipe to read from and one to write to; they may be the same terminal or socket."""

    def __init__(self, readable: int, writable: int) -> None:
        for descriptor in (readable, writable):
            os.set_blocking(descriptor, False)
            with contextlib.suppress(OSError, AttributeError):  # no pipe, no Linux, or more than this user may have
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, KERNEL_BUFFER)
        self.readable, self.writable = readable, writable
        self.descriptors: list[int] = []

    def read(self) -> bytes:
        return os.read(self.readable, READ_SIZE)

    def write(self, data: memoryview) -> int:
        return os.write(self.writable, data)

    def pass_on(self, first: bytes, descriptors: tuple[int, ...]) -> None:
        raise OSError("a pipe passes no descriptors on")

    def close(self) -> None:
        for descriptor in {self.readable, self.writable}:
            os.close(descriptor)


class Link(Generic[In]):
    """Send messages from any task, receive them in one. Owns its descriptors; `aclose` or `async with` gives them back.

    `coalesce` is how many seconds lie between two reads under a flood of small frames, which then costs one wake-up
    for many. The pause grows to that from nothing while messages keep coming: what is short is never delayed much, and
    the first messages after a silence not at all.
    """

    def __init__(self, sock: socket.socket, decoder: msgspec.msgpack.Decoder[In], coalesce: float = 0.0) -> None:
        """Take over a connected socket; `decoder` is that of the union of what the peer may say."""
        self._take(_Socket(sock), decoder, coalesce)

    @classmethod
    def from_fd(cls, fd: int, decoder: msgspec.msgpack.Decoder[In], coalesce: float = 0.0) -> Link[In]:
        """Take over an inherited socket, as a child does that was started with `--fd N`."""
        return cls(socket.socket(fileno=fd), decoder, coalesce)

    @classmethod
    def over_pipes(
        cls, readable: int, writable: int, decoder: msgspec.msgpack.Decoder[In], coalesce: float = 0.0
    ) -> Link[In]:
        """Take over a pair of pipe descriptors: what a child that speaks on its stdio was started with."""
        link = cls.__new__(cls)
        link._take(_Pipes(readable, writable), decoder, coalesce)  # noqa: SLF001  its own class
        return link

    def _take(self, channel: _Channel, decoder: msgspec.msgpack.Decoder[In], coalesce: float) -> None:
        self._channel = channel
        self._decoder = decoder
        self._coalesce = coalesce
        self._buffer = FrameBuffer()
        self._unsent = memoryview(b"")
        self._sending = anyio.Lock()
        self._closed = False
        self._ended = ""  # why nothing more can be read
        self._read_at = 0.0
        self._quick = 0  # reads that came soon after the one before
        self._pause = 0.0

    async def __aenter__(self) -> Link[In]:
        """Give the link itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the link."""
        await self.aclose()

    @property
    def closed(self) -> bool:
        """Whether the link was closed on this side."""
        return self._closed

    @property
    def waiting(self) -> bytes:
        """What was read and is no whole message, perhaps none at all."""
        return self._buffer.waiting

    async def send(self, message: Message) -> None:
        """Send one message. Raises LinkClosed. Gives way to other tasks only where the kernel's buffer is full."""
        await self.send_frames(encode(message))

    async def send_frames(self, frames: bytes) -> None:
        """Send whole frames, as they are. Raises LinkClosed.

        A caller that is cancelled in the middle leaves the rest to the next one: the stream never breaks in a frame.
        """
        rest = memoryview(frames)
        if not self._sending.locked() and not self._unsent:
            self._unsent = self._write(rest)
            if not self._unsent:
                return
            rest = rest[len(rest) :]
        async with self._sending:
            await self._flush()
            self._unsent = rest
            await self._flush()

    async def send_parcels(self, parcels: Iterable[Parcel]) -> None:
        """Send frames, some of which have descriptors, and close those. Raises LinkClosed."""
        waiting = list(parcels)
        try:
            while waiting:
                plain = next((n for n, parcel in enumerate(waiting) if parcel.descriptors), len(waiting))
                await self.send_frames(b"".join(parcel.frame for parcel in waiting[:plain]))
                del waiting[:plain]
                if waiting:
                    await self._send_along(waiting[0])
                    close_all(waiting.pop(0).descriptors)
        finally:
            for parcel in waiting:
                close_all(parcel.descriptors)

    async def _send_along(self, parcel: Parcel) -> None:
        async with self._sending:
            await self._flush()
            while True:
                if self._closed:
                    raise LinkClosed("the link was closed on this side")
                try:
                    self._channel.pass_on(parcel.frame[:1], parcel.descriptors)
                    break
                except BlockingIOError:
                    await self._wait(anyio.wait_writable, self._channel.writable)
                except OSError as error:
                    raise LinkClosed(f"the other end is gone: {error.strerror}") from error
            self._unsent = memoryview(parcel.frame)[1:]
            await self._flush()

    def take_descriptors(self, count: int) -> tuple[int, ...]:
        """Return what came along with a message: to be called for each such message in turn; who takes it closes it.

        Raises FrameError where there is less than the message says.
        """
        there = self._channel.descriptors
        if len(there) < count:
            raise FrameError(f"a message came with {len(there)} descriptors, and says that it has {count}")
        taken, self._channel.descriptors = tuple(there[:count]), there[count:]
        return taken

    async def _flush(self) -> None:
        while self._unsent:
            self._unsent = self._write(self._unsent)
            if self._unsent:
                await self._wait(anyio.wait_writable, self._channel.writable)

    def _write(self, data: memoryview) -> memoryview:
        """Give the kernel what it takes and return the rest."""
        if self._closed:
            raise LinkClosed("the link was closed on this side")
        try:
            return data[self._channel.write(data) :]
        except BlockingIOError:
            return data
        except OSError as error:
            raise LinkClosed(f"the other end is gone: {error.strerror}") from error

    async def receive(self) -> list[In | Unknown]:
        """Wait for messages and return all that are complete, at least one; raise LinkClosed at the end.

        Raises `testd_protocol.framing.ProtocolError` or `testd.framing.FrameError` for what is no message.
        """
        frames = self._buffer.frames()
        while not frames:
            await self._read_turn()
            frames = self._buffer.frames()
        return [decode(frame, self._decoder) for frame in frames]

    async def _read_turn(self) -> None:
        """Wait until something is there, or for the end of the pause, and read it into the buffer."""
        if self._ended or self._closed:
            raise LinkClosed(self._ended or "the link was closed on this side")
        await self._wait(anyio.wait_readable, self._channel.readable)
        if self._coalesce:
            await self._let_gather()
        if self._closed:
            raise LinkClosed("the link was closed on this side")
        self._fill()

    async def _let_gather(self) -> None:
        """Under a flood, wait a little more than the last time, so that much can be read at once."""
        now = time.monotonic()
        self._quick = self._quick + 1 if now - self._read_at < self._coalesce / 2 else 0
        if self._quick < FLOOD:
            self._pause = 0.0
        else:
            self._pause = min(self._coalesce, max(FIRST_PAUSE, 2 * self._pause))
            await anyio.sleep(self._pause)
        self._read_at = time.monotonic()

    def _fill(self) -> None:
        taken = 0
        while taken < TURN_SIZE:
            try:
                data = self._channel.read()
            except BlockingIOError:
                return
            except OSError as error:
                self._ended = f"the other end is gone: {error.strerror}"
                return
            if not data:
                self._ended = "the other end closed the link"
                return
            self._buffer.feed(data)
            taken += len(data)
            if len(data) < READ_SIZE:
                return

    async def _wait(self, ready: Callable[[int], Awaitable[None]], descriptor: int) -> None:
        try:
            await ready(descriptor)
        except (anyio.ClosedResourceError, OSError) as error:
            raise LinkClosed("the link was closed on this side") from error

    def close(self) -> None:
        """Close at once. Whoever waits on the link gets LinkClosed. Closing twice is harmless."""
        if self._closed:
            return
        self._closed = True
        for descriptor in {self._channel.readable, self._channel.writable}:
            anyio.notify_closing(descriptor)
        self._channel.close()

    async def aclose(self) -> None:
        """Close at once; a coroutine so that `async with` and `aclosing` take it."""
        self.close()
