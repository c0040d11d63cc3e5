"""The embedded store's process: `python -m testd_daemon.workflows.store.server JOURNAL PORT`, started by the agent.

It prints the port on which it serves (PORT, or with 0 a free one), and ends when its standard input does: however the
agent dies, the kernel closes that.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Serve until nobody is there any more. Returns an exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the client's to pass on
    threading.Thread(target=_end_with_parent, daemon=True).start()  # before what takes most of the time
    from testd_daemon.workflows.store.server.application import Application
    from testd_daemon.workflows.store.server.serving import serve

    def ready(port: int) -> None:
        print(port, flush=True)

    serve(Application(Path(arguments[0])), int(arguments[1]), ready)
    return 0


def _end_with_parent(*_: Any) -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)  # the journal is in order after each request


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
