"""`testd workflow cancel`: end a run of a workflow early. Functions that have not ended are skipped.

Runs in the client.
"""

from __future__ import annotations

import sys

from testd_daemon.cli.arguments import Operands
from testd_daemon.cli.workflow_runs import find
from testd_daemon.client.sync import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.cli.arguments import Options, Parser

OPERANDS = Operands("RUN", 0, 1, "a run's id, or as much of it as no other one begins with; none: the newest")


def arguments(parser: Parser) -> None:
    """Add what `testd workflow cancel` takes: nothing besides the run."""


def main(options: Options) -> int:
    """Ask for the run's end; `testd workflow status` shows how it ended."""
    run, course = find(options.operands[0] if options.operands else "")
    name = f"run {run['run']} of {course.planned['name']}"
    if run["exit_code"] is not None:
        sys.stdout.write(f"{name} is over already\n")
        return 0
    with Client.connect(start=True) as client:
        client.cancel(str(run["run"]), "cancelled by `testd workflow cancel`")
    sys.stdout.write(f"{name} is being cancelled\n")
    return 0


__all__ = ["OPERANDS", "arguments", "main"]
