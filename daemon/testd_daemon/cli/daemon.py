"""`testd daemon`: run the handler in the foreground, as a service manager or a curious person wants it.

Runs in the client and then is the handler: the process is replaced, so that its pid and its descriptors stay.
"""

from __future__ import annotations

import os
import sys

from testd_daemon.cli.arguments import duration
from testd_daemon.runtime import child_environment

TYPE_CHECKING = False
if TYPE_CHECKING:

    from testd_daemon.cli.arguments import Options, Parser

OPERANDS = None


def arguments(parser: Parser) -> None:
    """Add what `testd daemon` takes."""
    parser.add_argument("--idle-exit", type=duration, metavar="S", help="end after S idle seconds; 0: never")


def main(options: Options) -> int:
    """Become the handler. Does not return."""
    command = [sys.executable, "-m", "testd_daemon.handler"]
    if options.idle_exit is not None:
        command += ["--idle-exit", f"{options.idle_exit:g}"]
    sys.stdout.flush()
    os.execve(sys.executable, command, child_environment())  # noqa: S606 - no shell is wanted


__all__ = ["OPERANDS", "arguments", "main"]
