"""The commands whose processes this stem has forked: their lines to the clients, their signals, their ends.

Runs in a stem. A client that is gone takes its process along; a process that is gone is told to its client.
"""

import contextlib
import os
import socket
from typing import Any, Dict, List, Optional

from testd.framing import FrameBuffer, FrameError, frame
from testd.msgpack import UnpackError, packb, unpackb
from testd.runner.channel import Channel, high
from testd.runner.children import kill_group

__all__ = ["Callers"]

_READ = 4096


class Line:
    """The stem's end of a command's line."""

    def __init__(self, fd: int, command: int, pid: int) -> None:
        """Take over the descriptor of a connected socket."""
        self.command = command
        self.pid = pid
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
        try:
            data = self._sock.recv(_READ)
            self._buffer.feed(data)
            return [unpackb(payload) for payload in self._buffer.frames()] if data else None
        except (OSError, FrameError, UnpackError):
            return None

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
    def lines(self) -> "List[Line]":
        """Return what may have something to read."""
        return [line for line in self._lines.values() if line.fileno() >= 0]

    def add(self, pid: int, line: int, command: int, channel: Channel) -> None:
        """Take note of a process that was forked for a command, and tell."""
        with contextlib.suppress(OSError):  # the child may have done it, and ended
            os.setpgid(pid, pid)
        self._lines[pid] = Line(line, command, pid)
        channel.send({"type": "CommandForked", "command": command, "pid": pid})
        self._lines[pid].tell({"type": "CommandStarted", "pid": pid})

    def refuse(self, line: int, command: int, answer: "Dict[str, Any]", channel: Channel) -> None:
        """Tell a client why no process was forked for it."""
        refused = Line(line, command, 0)
        refused.tell(answer)
        refused.close()
        channel.send({"type": "CommandEnded", "command": command, "pid": 0})

    def hear(self, line: Line) -> None:
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

    def reaped(self, pid: int, status: int, channel: Channel) -> bool:
        """Tell a client that its process has ended. Returns whether it was one of these."""
        line = self._lines.pop(pid, None)
        if line is None:
            return False
        if line.fileno() >= 0:
            line.tell({"type": "ProcessEnded", "status": status})
            line.close()
        channel.send({"type": "CommandEnded", "command": line.command, "pid": pid})
        return True

    def leave(self) -> None:
        """Close all lines, in a forked process: they are its parent's."""
        for line in self.lines:
            line.close()
