"""Start a runner's process with the channel that its launcher describes, and hold this end. Runs in the agent."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from typing import Any, Final

from testd_daemon.link import Link
from testd_daemon.process import Child, start
from testd_protocol.framing import decoder
from testd_protocol.messages import RunnerMessage
from testd_runners.launcher import Command, with_channel

__all__ = ["spawn"]

#: Seconds between two reads of a flood of outcomes.
COALESCE: Final = 0.004
_decoder = decoder(RunnerMessage)


def spawn(name: str, command: Command) -> tuple[Child, Link[RunnerMessage]]:
    """Start the process; its end of the channel is a descriptor of its own, or its stdin and stdout. Raises OSError."""
    return _on_pipes(name, command) if command.channel == "stdio" else _on_socket(name, command)


def _on_socket(name: str, command: Command) -> tuple[Child, Link[RunnerMessage]]:
    near, far = socket.socketpair()
    with contextlib.ExitStack() as unless_started, far:
        unless_started.callback(near.close)
        child = _start(name, command, with_channel(command, far.fileno()), pass_fds=[far.fileno()])
        unless_started.pop_all()
    return child, Link(near, _decoder, COALESCE)


def _on_pipes(name: str, command: Command) -> tuple[Child, Link[RunnerMessage]]:
    """Each direction has a pipe of its own, whose end is an end whatever was not read.

    A socket that is closed with something unread ends in an error on the other side. Podman's client takes that for no
    end: it would leave the container's stdin open, and the container would go on.
    """
    with contextlib.ExitStack() as theirs, contextlib.ExitStack() as unless_started:
        (reader, told), (heard, writer) = os.pipe(), os.pipe()
        for stack, descriptor in ((theirs, told), (theirs, heard), (unless_started, reader), (unless_started, writer)):
            stack.callback(os.close, descriptor)
        child = _start(name, command, list(command.argv), stdin=heard, stdout=told)
        unless_started.pop_all()
    return child, Link.over_pipes(reader, writer, _decoder, COALESCE)


def _start(name: str, command: Command, argv: list[str], **descriptors: Any) -> Child:
    return start(argv, name=name, env=command.env, cwd=command.cwd, stderr=subprocess.PIPE, **descriptors)
