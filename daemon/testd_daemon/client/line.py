"""A command's line: what is between this process and the one that carries its command out.

Runs in the client, on the quick path. Of the standard library it takes what is written in C: see `wire.py`.
"""

from __future__ import annotations

import _socket
import os
import resource
import select
import sys

from testd import workspace
from testd.framing import FrameBuffer, FrameError, frame
from testd.msgpack import UnpackError, packb, unpackb
from testd_daemon.client.reach import reach
from testd_daemon.errors import LinkClosed
from testd_daemon.runtime import folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any

    from typing_extensions import Self
else:
    import _signal as signal

__all__ = ["Line", "PlainError"]

#: What a terminal's keys and changes send to every process in the foreground.
_OF_THE_GROUP = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH)
_PASSED_ON = (
    *_OF_THE_GROUP, signal.SIGTERM, signal.SIGHUP, signal.SIGCONT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM,
)  # fmt: skip
_LIMITS = [number for name, number in vars(resource).items() if name.startswith("RLIMIT_")]


class PlainError(Exception):
    """Nothing warm will do, and nothing was carried out: `argv` is to be executed instead; empty: find it out."""

    def __init__(self, argv: list[str], reason: str) -> None:
        """Keep both."""
        super().__init__(reason)
        self.argv = argv
        self.reason = reason


class Line:
    """A command that was handed over. `with` closes its line, with which its process ends."""

    def __init__(self, arguments: list[str], *, verbose: bool) -> None:
        """Hand it over, to a handler that is started if there is none.

        Raises TestdError where that cannot be done, UnicodeEncodeError for what no message can say, PlainError.
        """
        self.started = False
        self._buffer = FrameBuffer()
        cwd = _here()
        message = {
            "type": "Command",
            "workspace": workspace.find(cwd, _paths(arguments))[0],
            "arguments": arguments,
            "caller": _caller(cwd),
            "python": sys.executable or "",
            "verbose": verbose,
            "descriptors": 4,
        }
        packed = packb(message)
        if b"\\udc" in packed:  # the codec writes what is not UTF-8 in a form that tells nobody what it was
            _strict(message)
        where = folders()
        where.check_socket_path()
        self._wire, _ = reach(where, start=True)  # stays open: a handler with a client does not end for idleness
        self._sock, far = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        with _closing(far):
            self._wire.send_along(packed, [far.fileno(), 0, 1, 2])

    def __enter__(self) -> Self:
        """Take over the signals that are the command's."""
        self._wake, writer = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer)
        for number in _PASSED_ON:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, _note)
        return self

    def __exit__(self, *_: object) -> None:
        """Close the line."""
        self._sock.close()
        self._wire.close()

    def follow(self) -> int:
        """Pass signals on until the process has ended. Returns its wait status. Raises PlainError, LinkClosed."""
        waiting: list[int] = []  # signals that came before there was a process
        while True:
            ready = select.select([self._sock.fileno(), self._wake], (), ())[0]
            if self._sock.fileno() in ready:
                for message in self._receive():
                    if message["type"] == "ProcessEnded":
                        return int(message["status"])
                    if message["type"] == "Plain":
                        raise PlainError(message["argv"], message["reason"])
                    if message["type"] == "CommandStarted":
                        self.started = True
                    elif message["type"] not in ("Ping", "Pong", "Unsupported"):
                        self._sock.sendall(frame(packb({"type": "Unsupported", "of": message["type"]})))
            if self._wake in ready:
                waiting += os.read(self._wake, 4096)
            if self.started:
                for number in waiting:
                    self._pass_on(number)
                waiting = []

    def _pass_on(self, number: int) -> None:
        message = {"type": "CommandSignal", "number": number, "group": number in _OF_THE_GROUP}
        try:
            self._sock.sendall(frame(packb(message)))
        except OSError:
            return  # it has just ended, which is heard next
        if number == signal.SIGTSTP:
            os.kill(os.getpid(), signal.SIGSTOP)  # the shell waits for this process to stop

    def _receive(self) -> list[dict[str, Any]]:
        try:
            data = self._sock.recv(4096)
            self._buffer.feed(data)
            messages = [unpackb(payload) for payload in self._buffer.frames()]
        except (OSError, FrameError, UnpackError) as error:
            raise LinkClosed(f"the command's line broke: {error}", hint="testd logs may say why") from error
        if not data:
            raise LinkClosed("the daemon was stopped or killed, and the command with it", hint="run it again")
        return messages


class _closing:  # noqa: N801  contextlib costs more than this
    def __init__(self, sock: _socket.socket) -> None:
        self._sock = sock

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        self._sock.close()


def _note(number: int, frame: object) -> None:
    """Do nothing: the number is in the wake-up pipe."""


def _here() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib costs more than this command
    except FileNotFoundError:
        raise PlainError([], "the current folder does not exist any more") from None


def _paths(arguments: list[str]) -> list[str]:
    return [word for word in arguments if not word.startswith("-") and os.path.exists(word.partition("::")[0])]  # noqa: PTH110


def _caller(cwd: str) -> dict[str, Any]:
    """Describe what a process would have that this one starts: a `Caller`."""
    umask = os.umask(0o77)
    os.umask(umask)
    signals = (number for number in range(1, signal.NSIG) if number != signal.SIGPIPE)  # the interpreter ignores that
    return {
        "cwd": cwd,
        "environment": dict(os.environ),
        "umask": umask,
        "nice": os.nice(0),
        "limits": [[number, *resource.getrlimit(number)] for number in _LIMITS],
        "processors": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
        "ignored": [number for number in signals if signal.getsignal(number) == signal.SIG_IGN],
        "closed": [n for n, name in enumerate(("stdin", "stdout", "stderr")) if getattr(sys, f"__{name}__") is None],
    }


def _strict(message: dict[str, Any]) -> None:
    """Raise UnicodeEncodeError where a text is not UTF-8."""
    environment = message["caller"]["environment"]
    for text in (*message["arguments"], *environment, *environment.values(), message["caller"]["cwd"]):
        text.encode()
