"""`testd workflow logs`: what functions of a run have logged and printed, and with -f what comes.

Runs in the client.
"""

from __future__ import annotations

import os

from testd_daemon.cli.arguments import Operands, nearest
from testd_daemon.cli.follow import TICK
from testd_daemon.cli.interrupts import Interrupts
from testd_daemon.cli.workflow_runs import find
from testd_daemon.client.sync import Client
from testd_daemon.errors import UsageError
from testd_daemon.reports.base import BAD
from testd_daemon.reports.output import LiveOutput
from testd_daemon.reports.terminal import standard_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser
    from testd_daemon.reports.terminal import Terminal
    from testd_daemon.workflows.course import Course

    Run = Mapping[str, Any]

OPERANDS = Operands("RUN|FUNCTION", 0, 2, "a run's id, then a function or an action of it; none: the newest run, all")
EPILOG = "Ctrl-C ends following, not the run. The logs with all that the backend would write are in the store."


def arguments(parser: Parser) -> None:
    """Add what `testd workflow logs` takes."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes, to the end of the run")


def main(options: Options) -> int:
    """Show the logs."""
    run, function = _named(list(options.operands))
    printer = _Printer(standard_output(os.environ), function)
    with Interrupts() as interrupts, Client.connect(start=True) as client:
        interrupts.gentle = True
        following = client.follow(str(run["run"]))
        newest = 0
        while not following.over and not interrupts.asked and (options.follow or newest < run["events"]):
            event = following.next(TICK)
            if event is not None:
                newest = event["seq"]
                printer.take(event["body"])
    printer.close()
    return 0


def _named(operands: list[str]) -> tuple[Run, str]:
    """Return the run that is meant, and the function: both may be left out. Raises UsageError."""
    if len(operands) == 1:  # a run, or a function of the newest one
        newest, course = find()
        if _known(course, operands[0]):
            return newest, operands[0]
    run, course = find(operands[0] if operands else "")
    function = operands[1] if len(operands) > 1 else ""
    if function and not _known(course, function):
        near = nearest(function, [action for action, _ in course.actions()])
        hint = (f"Did you mean {near}? " if near else "") + f"`testd workflow status {run['run']}` lists them."
        raise UsageError(f"run {run['run']} has no function {function}", hint=hint)
    return run, function


def _known(course: Course, name: str) -> bool:
    return any(name in (each, each.partition("(")[0]) for each in course.functions)


class _Printer:
    """Writes what functions say: with their names in front, unless one alone is asked for."""

    def __init__(self, terminal: Terminal, function: str) -> None:
        self._function = function
        self._output = LiveOutput(terminal, whose="name")

    def take(self, body: Mapping[str, Any]) -> None:
        """Take an event."""
        if body["type"] == "Output":
            self._add(str(body.get("test") or ""), str(body["text"]), str(body["stream"]))
        elif body["type"] == "Outcomes":
            for row in body["rows"]:
                if row[2] in BAD and row[6]:
                    self._add(row[0], (row[6].get("text") or row[6].get("message") or "").rstrip("\n") + "\n", "stderr")

    def _add(self, name: str, text: str, stream: str) -> None:
        if not name or self._function in (name, name.partition("(")[0], ""):
            self._output.add(text, (name, 0, stream), prefixed=self._function != name or not name)

    def close(self) -> None:
        """End the last line."""
        self._output.flush()


__all__ = ["EPILOG", "OPERANDS", "arguments", "main"]
