"""The agent's process: `python -m testd_daemon.agent --fd N`, started by the handler with a connected socket."""

from __future__ import annotations

import signal
import sys

import anyio

from testd_daemon.agent.agent import serve
from testd_daemon.process import become_subreaper, end_children

__all__ = ["main"]

#: Seconds for what runners left behind to be gone.
CHILDREN_DEADLINE = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Serve the handler until it is gone. Returns an exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if len(arguments) != 2 or arguments[0] != "--fd" or not arguments[1].isdigit():
        sys.stderr.write("usage: python -m testd_daemon.agent --fd N\n")
        return 4
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the client's to pass on
    become_subreaper()
    try:
        anyio.run(serve, int(arguments[1]))
    finally:
        end_children(CHILDREN_DEADLINE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
