"""On a command's line: a socketpair whose one end the client keeps, and whose other end travels to the process.

Imported by the agent, which answers on it where nothing warm will do, and by tests. A stem and the quick client write
and read the same maps with `testd.msgpack`.
"""

from __future__ import annotations

from testd_protocol.common import Message, Ping, Pong, Unsupported

__all__ = ["CommandMessage", "CommandSignal", "CommandStarted", "LineMessage", "Plain", "ProcessEnded"]


class Plain(Message, frozen=True, kw_only=True):
    """Nothing warm will do: the client executes `argv` in its own place. Nothing has been carried out by then."""

    argv: list[str]  # program and arguments; empty: there is nothing to execute, which is the client's error
    reason: str  # why, and what would be right


class CommandStarted(Message, frozen=True, kw_only=True):
    """A process carries the command out. It has the client's descriptors and writes to them itself."""

    pid: int  # the process


class ProcessEnded(Message, frozen=True, kw_only=True):
    """The process has ended; what it wrote was written before."""

    status: int  # as `waitpid` tells it


class CommandSignal(Message, frozen=True, kw_only=True):
    """The client was sent a signal that is the command's."""

    number: int  # of the signal
    group: bool = False  # it went to the whole foreground group, as a key on a terminal sends it


LineMessage = Plain | CommandStarted | ProcessEnded | Unsupported | Ping | Pong
CommandMessage = CommandSignal | Unsupported | Ping | Pong
