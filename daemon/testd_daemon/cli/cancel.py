"""`testd cancel`: end a run early. What has not run yet becomes `cancelled`.

Runs in the client.
"""

from __future__ import annotations

import sys

from testd_daemon.cli.arguments import Operands, nearest
from testd_daemon.client.sync import Client
from testd_daemon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser

OPERANDS = Operands("RUN", 0, 1, "a run's id as `testd status` shows it; none: the only run that goes on")


def arguments(parser: Parser) -> None:
    """Add what `testd cancel` takes: nothing besides the run."""


def main(options: Options) -> int:
    """Ask for the run's end; `testd attach` shows how it ends."""
    with Client.connect(start=False) as client:
        runs = client.status()["runs"]
        run = _which(runs, options.operands[0] if options.operands else "")
        if run["exit_code"] is not None:
            sys.stdout.write(f"run {run['run']} is over already\n")
            return 0
        client.cancel(run["run"], "cancelled by `testd cancel`")
    sys.stdout.write(f"run {run['run']} is being cancelled\n")
    return 0


def _which(runs: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    live = [run for run in runs if run["exit_code"] is None]
    if wanted:
        known = {str(run["run"]): run for run in runs}
        if wanted in known:
            return known[wanted]
        near = nearest(wanted, known)
        hint = f"Did you mean {near}? " if near else ""
        raise UsageError(f"unknown run: {wanted}", hint=hint + "`testd status` lists the runs.")
    if len(live) == 1:
        return live[0]
    if not live:
        raise UsageError("no run is going on", hint="`testd status` lists the runs.")
    raise UsageError(f"{len(live)} runs are going on", hint="Name one: " + ", ".join(str(run["run"]) for run in live))


__all__ = ["OPERANDS", "arguments", "main"]
