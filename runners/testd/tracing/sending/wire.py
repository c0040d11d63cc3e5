"""A connection of an application to the daemon: a question, an answer. Runs in the sender's thread.

Of the standard library it needs what is written in C: the program's own `socket` module stays as the program has it.
"""

from __future__ import annotations

import _socket
import os
from time import monotonic

from testd.framing import FrameBuffer, FrameError, frame
from testd.msgpack import UnpackError, packb, unpackb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["PROTOCOL", "LostError", "RefusedError", "Wire"]

#: The protocol that this speaks: that of the daemon (a test compares).
PROTOCOL = 1
#: Seconds for an answer; an agent may have to be started for it.
_ANSWER = 60.0
#: Seconds after which a wait looks whether it is still wanted.
_LOOK = 0.05
_READ_SIZE = 65536
_NO_SIGNAL = getattr(_socket, "MSG_NOSIGNAL", 0)  # a program may have SIGPIPE end it


class LostError(Exception):
    """The daemon is not there, or no more, or says nothing, or nobody wants to know."""


class RefusedError(Exception):
    """The daemon is there, and does not do what it was asked for."""


class Wire:
    """One connection. `wanted` says whether a wait may go on."""

    def __init__(self, path: str, wanted: Callable[[], bool]) -> None:
        """Connect and greet. Raises LostError and RefusedError."""
        self._wanted = wanted
        self._buffer = FrameBuffer()
        self._socket = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._inode = os.fstat(self._socket.fileno()).st_ino
        try:
            _check_owner(os.path.dirname(path))
            self._socket.settimeout(_LOOK)
            self._socket.connect(path)
            self.ask({"type": "Hello", "pid": os.getpid(), "protocol": PROTOCOL, "version": ""}, "Welcome")
        except OSError as error:
            self.close()
            raise LostError(str(error)) from error
        except BaseException:
            self.close()
            raise

    def ask(self, message: dict[str, Any], answer: str) -> dict[str, Any]:
        """Send a message and return the answer, which is of that type. Raises LostError and RefusedError."""
        until = monotonic() + _ANSWER
        rest = memoryview(frame(packb(message)))
        try:
            while rest:
                self._check(until)
                rest = rest[self._send(rest) :]
            return self._answer(answer, until)
        except (OSError, FrameError, UnpackError) as error:
            raise LostError(str(error)) from error

    def close(self) -> None:
        """Close the connection, unless the program has closed it, and has something else there now."""
        if self._is_ours():
            self._socket.close()
        else:
            self._socket.detach()

    def _send(self, rest: memoryview) -> int:
        try:
            return self._socket.send(rest, _NO_SIGNAL)
        except _socket.timeout:
            return 0

    def _answer(self, kind: str, until: float) -> dict[str, Any]:
        while True:
            for payload in self._buffer.frames():
                message: dict[str, Any] = unpackb(payload)
                if message["type"] == kind:
                    return message
                if message["type"] in ("Fault", "Unsupported"):
                    raise RefusedError(message.get("message", message["type"]))
            self._check(until)
            try:
                data = self._socket.recv(_READ_SIZE)
            except _socket.timeout:
                continue
            if not data:
                raise LostError("the daemon has closed the connection")
            self._buffer.feed(data)

    def _check(self, until: float) -> None:
        if monotonic() > until or not self._wanted():
            raise LostError("no answer in time")
        if not self._is_ours():
            raise LostError("the program has closed the connection")

    def _is_ours(self) -> bool:
        """Whether the descriptor is still the one that was made: a program may close all that it does not know."""
        try:
            return os.fstat(self._socket.fileno()).st_ino == self._inode
        except OSError:
            return False


def _check_owner(folder: str) -> None:
    """Refuse a folder of somebody else, who could listen there in the daemon's place."""
    if os.stat(folder).st_uid != os.geteuid():
        raise LostError(f"{folder} belongs to somebody else")
