"""`testd stop`: end the daemon and everything that it started, and wait until it is gone.

Runs in the client.
"""

from __future__ import annotations

import sys

from testd_daemon.cli.gone import wait_until_gone
from testd_daemon.cli.running import running_daemon
from testd_daemon.client.wire import GREETING, Wire, raise_fault
from testd_daemon.errors import LinkClosed, VersionMismatch
from testd_daemon.runtime import folders

TYPE_CHECKING = False
if TYPE_CHECKING:

    from testd_daemon.cli.arguments import Options, Parser

OPERANDS = None
#: A handler ends its agents, they their runners, those their workers; each of these waits has a shorter deadline.
GONE_WITHIN = 15.0


def arguments(parser: Parser) -> None:
    """Add what `testd stop` takes: nothing."""


def main(options: Options) -> int:
    """Stop the daemon. That none runs is what was wanted."""
    try:
        client = running_daemon()
    except VersionMismatch:
        _stop_another_version()
        sys.stdout.write("the daemon, of another version of testd, has ended\n")
        return 0
    if client is None:
        sys.stdout.write("no daemon is running\n")
        return 0
    with client:
        client.shutdown("testd stop")
    wait_until_gone(int(client.welcome["pid"]), GONE_WITHIN)
    sys.stdout.write("the daemon has ended\n")
    return 0


def _stop_another_version() -> None:
    """Ask a handler that we cannot talk to to end: every version understands that much. It refuses while it is busy."""
    wire = Wire(folders().socket)
    try:
        wire.greet()
        wire.send({"type": "Shutdown", "reason": "testd stop"})
        while True:
            answer = wire.receive(GREETING)
            if answer is not None and answer["type"] == "Fault":
                raise_fault(answer)
    except LinkClosed:
        return  # it has ended
    finally:
        wire.close()


__all__ = ["GONE_WITHIN", "OPERANDS", "arguments", "main"]
