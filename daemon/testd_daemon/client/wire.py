"""A blocking connection to the handler: dicts out, dicts in. Runs in the client, on the quick path.

Imports the runner's own codec, which needs nothing else, and of the standard library what is written in C: the module
`socket` takes longer to import than everything else here together, for enumerations that nobody needs.
"""

from __future__ import annotations

import _socket
import os
import select
import sys
import time

from testd.framing import FrameBuffer, FrameError, frame
from testd.msgpack import UnpackError, packb, unpackb
from testd_daemon.errors import DeadlineExpired, FaultError, LinkClosed, TestdError
from testd_protocol.version import PROTOCOL, __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

__all__ = ["GREETING", "Wire", "raise_fault"]

#: Seconds for a handler that accepted a connection to greet, and to answer what it answers at once.
GREETING = 15.0
_READ_SIZE = 256 * 1024


class Wire:
    """One connection. Raises LinkClosed when it ends and DeadlineExpired where a wait had a limit."""

    def __init__(self, path: str) -> None:
        """Connect to a socket. Raises FileNotFoundError or ConnectionRefusedError where nobody listens."""
        self._buffer = FrameBuffer()
        self._inbox: list[dict[str, Any]] = []  # newest first
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            self._socket.settimeout(GREETING)
            self._socket.connect(path)
        except BaseException:
            self._socket.close()
            raise

    def greet(self) -> dict[str, Any]:
        """Say Hello and return the `Welcome`, or the `Fault` that refuses us."""
        self.send({"type": "Hello", "pid": os.getpid(), "protocol": PROTOCOL, "version": __version__})
        answer = self.receive(GREETING)
        assert answer is not None
        return answer

    def send(self, message: dict[str, Any]) -> None:
        """Send one message."""
        try:
            self._socket.sendall(frame(packb(message)))
        except TimeoutError as error:
            raise DeadlineExpired("the daemon, which does not read what it is sent,", GREETING) from error
        except OSError as error:
            raise LinkClosed(f"the daemon is gone: {error.strerror}") from error

    def send_along(self, packed: bytes, descriptors: list[int]) -> None:
        """Send a message that is packed already, and descriptors with its first byte."""
        rights = b"".join(number.to_bytes(4, sys.byteorder) for number in descriptors)
        data = frame(packed)
        try:
            self._socket.sendmsg([data[:1]], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
            self._socket.sendall(data[1:])
        except OSError as error:
            raise LinkClosed(f"the daemon is gone: {error.strerror}") from error

    def receive(
        self, deadline: float | None, *, tick: bool = False, beside: Sequence[int] = ()
    ) -> dict[str, Any] | None:
        """Return the next message; wait at most `deadline` seconds. With `tick`, None after that and not an error.

        None, too, as soon as one of the descriptors `beside` can be read and no message is there.
        """
        until = None if deadline is None else time.monotonic() + deadline
        while not self._inbox:
            rest = None if until is None else max(0.0, until - time.monotonic())
            sources: list[Any] = [self._socket, *beside]
            ready = select.select(sources, (), (), rest)[0]
            if self._socket not in ready:
                if tick or ready:
                    return None
                raise DeadlineExpired("an answer of the daemon", deadline or 0.0, hint="testd logs may say why")
            self._read()
        return self._inbox.pop()

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_SIZE)
        except OSError as error:
            raise LinkClosed(f"the daemon is gone: {error.strerror}") from error
        if not data:
            raise LinkClosed("the daemon is gone: it closed the connection")
        self._buffer.feed(data)
        try:
            self._inbox = [unpackb(payload) for payload in self._buffer.frames()][::-1]
        except (FrameError, UnpackError) as error:
            raise TestdError(f"the daemon sent what is no message: {error}", hint="stop it: testd stop") from error

    def detach(self) -> int:
        """Give the socket's descriptor away; nothing that was received may be waiting."""
        assert not self._inbox
        assert not len(self._buffer)
        return self._socket.detach()

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()


def raise_fault(message: dict[str, Any]) -> None:
    """Raise a `Fault` as an exception."""
    raise FaultError(
        message["code"],
        message["message"],
        hint=message.get("hint", ""),
        detail=message.get("detail", ""),
        exit_code=message.get("exit_code", 3),
    )
