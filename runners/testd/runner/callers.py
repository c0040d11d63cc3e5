"""The commands whose processes this stem has forked: their lines to the clients, their signals, their ends.

Runs in a stem. A client that is gone takes its process along; a process that is gone is told to its client.
"""

import contextlib
import functools
import os
import socket
from typing import Any, Callable, Dict, List, Optional

from testd.framing import FrameBuffer, frame
from testd.msgpack import packb
from testd.runner.channel import Channel, drain, high
from testd.runner.children import kill_group
from testd.runner.rehearsals import Wish

__all__ = ["Callers", "Line"]


class Line:
    """The stem's end of a command's line."""

    def __init__(self, fd: int, command: int, pid: int = 0, wish: "Optional[Wish]" = None) -> None:
        """Take over the descriptor of a connected socket. `wish` is what may be prepared when the process has ended."""
        self.command = command
        self.pid = pid
        self.wish = wish
        self._sock = socket.socket(fileno=high(fd))
        self._buffer = FrameBuffer()

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._sock.fileno()

    def tell(self, message: "Dict[str, Any]") -> None:
        """Send a message, which fits into the socket's buffer; a client that is gone needs none."""
        with contextlib.suppress(OSError):
            self._sock.sendall(frame(packb(message)))

    def receive(self) -> "Optional[List[Dict[str, Any]]]":
        """Return what has come, None where the client is gone or breaks the protocol."""
        return drain(self._sock, self._buffer)

    def close(self) -> None:
        """Close this end."""
        self._sock.close()


class Callers:
    """The lines by process."""

    def __init__(self) -> None:
        """Have none yet."""
        self._lines: Dict[int, Line] = {}

    @property
    def pids(self) -> "List[int]":
        """Return the processes that have not ended."""
        return list(self._lines)

    @property
    def sources(self) -> "Dict[int, Callable[[], None]]":
        """Return what may have something to read, and what reads it."""
        lines = [line for line in self._lines.values() if line.fileno() >= 0]
        return {line.fileno(): functools.partial(self._hear, line) for line in lines}

    def add(self, line: Line, channel: Channel) -> None:
        """Take note of a process that carries a command out, and tell."""
        pid, command = line.pid, line.command
        self._lines[pid] = line
        channel.send({"type": "CommandForked", "command": command, "pid": pid})
        line.tell({"type": "CommandStarted", "pid": pid})

    @staticmethod
    def refuse(line: Line, answer: "Dict[str, Any]", channel: Channel) -> None:
        """Tell a client why no process is forked for it."""
        line.tell(answer)
        line.close()
        channel.send({"type": "CommandEnded", "command": line.command, "pid": 0})

    @staticmethod
    def _hear(line: Line) -> None:
        """Pass on the signals of a client; kill the process, and what it started in its group, of one that is gone."""
        messages = line.receive()
        if messages is None:
            line.close()
            kill_group(line.pid)
            return
        for message in messages:
            if message["type"] == "CommandSignal":
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    (os.killpg if message["group"] else os.kill)(line.pid, message["number"])
            elif message["type"] == "Ping":
                line.tell({"type": "Pong", "id": message["id"], "memory": 0})
            elif message["type"] not in ("Pong", "Unsupported"):
                line.tell({"type": "Unsupported", "of": message["type"]})

    def reaped(self, pid: int, status: int, channel: Channel) -> "Optional[Line]":
        """Tell a client that its process has ended. Returns its line, which is closed, None where it has none."""
        line = self._lines.pop(pid, None)
        if line is None:
            return None
        if line.fileno() >= 0:
            line.tell({"type": "ProcessEnded", "status": status})
            line.close()
        channel.send({"type": "CommandEnded", "command": line.command, "pid": pid})
        return line

    def leave(self) -> None:
        """Close all lines, in a forked process: they are its parent's."""
        for line in self._lines.values():
            line.close()
