"""The judge's process: `python -m testd_daemon.judge --fd N`, started by the agent with a connected socket.

It takes `Judge` messages, one after the other, and answers each with a `Judged`. It ends when the agent does.
"""

from __future__ import annotations

import signal
import socket
import sys

from testd.framing import FrameBuffer, frame
from testd.msgpack import packb, unpackb
from testd_daemon.judge.questions import answer

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Answer until nobody asks any more. Returns an exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 2 or arguments[0] != "--fd" or not arguments[1].isdigit():
        sys.stderr.write("usage: python -m testd_daemon.judge --fd N\n")
        return 4
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the client's to pass on
    buffer = FrameBuffer()
    with socket.socket(fileno=int(arguments[1])) as agent:
        while data := agent.recv(65536):
            buffer.feed(data)
            for payload in buffer.frames():
                asked = unpackb(payload)
                answered = {**asked, "type": "Judged", "document": answer(asked["document"])}
                agent.sendall(frame(packb(answered)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
