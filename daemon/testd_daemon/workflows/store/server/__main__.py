"""The embedded store's process: `python -m testd_daemon.workflows.store.server`, started by the agent.

It loads what it needs, and then reads a line from its standard input, `PORT JOURNAL`; with 0 it takes a free port. It
prints the port on which it serves, and ends when its standard input does: however the agent dies, the kernel closes it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
from pathlib import Path

__all__ = ["main"]


def main() -> int:
    """Serve until nobody is there any more. Returns an exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the client's to pass on
    threading.Thread(target=_end_with_parent, daemon=True).start()  # before what takes most of the time
    from testd_daemon.workflows.store.server.application import Application
    from testd_daemon.workflows.store.server.serving import serve

    application = Application()
    port, _, journal = sys.stdin.readline().rstrip("\n").partition(" ")
    if journal:
        application.begin(Path(journal))
        serve(application, int(port), _ready)
    return 0


def _ready(port: int) -> None:
    print(port, flush=True)


def _end_with_parent() -> None:
    end = select.poll()
    end.register(0, 0)  # nothing but that the other end is closed
    end.poll()
    os._exit(0)  # the journal is in order after each request


if __name__ == "__main__":
    sys.exit(main())
