"""`testd watch`: run tests, and what each change of a file affects, until its user leaves.

Runs in the client, on the quick path.
"""

from __future__ import annotations

from testd_daemon.cli.arguments import Operands
from testd_daemon.cli.follow import as_fault
from testd_daemon.cli.run import make_request, shared
from testd_daemon.cli.signals import Signals
from testd_daemon.cli.watching import Watcher, make_view
from testd_daemon.client.sync import Client
from testd_daemon.errors import TestdError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser

OPERANDS = Operands("PATH", 0, None, "folders, files, FILE:LINE or node ids; none: what the project configures")
EPILOG = (
    "Exit status: how all tests stood at the end of the last complete generation (0 all passed, 1 some did not); 2 if "
    "there was none. q or Ctrl-C quits; ? shows the keys."
)


def arguments(parser: Parser) -> None:
    """Add what `testd watch` takes."""
    _, _, report = shared(parser)
    report.add_argument(
        "--no-clear", dest="clear", action="store_const", const=False,
        help="leave on the screen what is there when a generation begins",
    )  # fmt: skip


def main(options: Options) -> int:
    """Submit the watch, or join the one that does the same, and follow it until somebody ends it."""
    return carry_out(options, {})


def carry_out(options: Options, more: dict[str, Any]) -> int:
    """Submit a watch with more in its request than `arguments` declares, and follow it."""
    request = {**make_request(options), "watch": True, **more}
    view = make_view(options, request["workspace"], request["cwd"])
    with Signals() as signals:
        try:
            if view.front is not None:
                view.front.update()  # before the daemon has said anything
            with Client.connect(start=True) as client:
                return Watcher(client, view, signals).watch(client.submit(request))
        except TestdError as error:
            view.report.fault(as_fault(error))
            return error.exit_code
        finally:
            view.close()


__all__ = ["EPILOG", "OPERANDS", "arguments", "carry_out", "main"]
