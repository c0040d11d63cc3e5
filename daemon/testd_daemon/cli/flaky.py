"""`testd flaky`: which tests have changed their verdict although nothing in the workspace had.

Runs in the client.
"""

from __future__ import annotations

import os
import time

from testd import workspace
from testd_daemon.cli.entries import add_arguments, write_json
from testd_daemon.cli.here import here
from testd_daemon.client.sync import Client
from testd_daemon.reports import safe, words
from testd_daemon.reports.terminal import standard_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser
    from testd_daemon.reports.terminal import Terminal

    Entry = Mapping[str, Any]

OPERANDS = None


def arguments(parser: Parser) -> None:
    """Add what `testd flaky` takes."""
    add_arguments(parser, shown="tests", line="test")


def main(options: Options) -> int:
    """Show them. Starts the daemon where none runs: the workspace's agent keeps the history."""
    root, _ = workspace.find(here())
    with Client.connect(start=True) as client:
        found = client.history(root, "", options.limit, flaky=True)["entries"]
    if options.format == "json":
        write_json(found)
        return 0
    terminal = standard_output(os.environ)
    if not found:
        terminal.write("no test is known to have changed its verdict while nothing else had changed\n")
    terminal.write("".join(f"{line}\n" for line in describe(terminal, found, time.time())))
    return 0


def describe(terminal: Terminal, entries: Sequence[Entry], now: float) -> Iterable[str]:
    """Give the lines that show flaky tests."""
    several = len({entry["target"] for entry in entries}) > 1
    for entry in entries:
        target = f" [{safe.line(str(entry['target']))}]" if several else ""
        often = words.number(entry["flips"], "time")
        fared = f"{entry['failures']} of {words.number(entry['runs'], 'run')} not passed"
        name = terminal.paint(safe.line(str(entry["test"])), "bold")
        yield f"{often:>8}  {name}{target}  last {words.ago(entry['at'], now)}; {fared}"
        message = safe.line((str(entry["message"]).splitlines() or [""])[0])
        if message:
            yield terminal.paint(f"          {message}", "dim")


__all__ = ["OPERANDS", "arguments", "describe", "main"]
