"""`testd why`: whether a test is affected by what has changed, and by what.

Runs in the client.
"""

from __future__ import annotations

import os
import time

from testd import workspace
from testd_daemon.cli.arguments import Operands
from testd_daemon.cli.entries import add_arguments, write_json
from testd_daemon.cli.here import here
from testd_daemon.client.sync import Client
from testd_daemon.errors import UsageError
from testd_daemon.reports import safe, words
from testd_daemon.reports.terminal import standard_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser
    from testd_daemon.reports.terminal import Terminal

    Entry = Mapping[str, Any]

OPERANDS = Operands("TEST", 1, 1, "a node id or a part of one")


def arguments(parser: Parser) -> None:
    """Add what `testd why` takes."""
    parser.add_argument("--target", metavar="NAME", default="", help="on this target alone")
    add_arguments(parser, shown="tests", line="entry")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="list what the test used")


def main(options: Options) -> int:
    """Say why. Starts the daemon where none runs: the workspace's agent keeps the record."""
    root, _ = workspace.find(here())
    test = options.operands[0]
    with Client.connect(start=True) as client:
        found = client.why(root, test, options.target, options.limit)["entries"]
    if not found:
        where = f" on {options.target}" if options.target else ""
        raise UsageError(f"no test with {safe.line(test)!r} in its name has run here{where}", hint="run it: testd run")
    if options.format == "json":
        write_json(found)
        return 0
    terminal = standard_output(os.environ)
    lines = describe(terminal, found, time.time(), verbose=bool(options.verbose))
    terminal.write("".join(f"{line}\n" for line in lines))
    return 0


def describe(terminal: Terminal, entries: Iterable[Entry], now: float, *, verbose: bool) -> Iterable[str]:
    """Give the lines that say why."""
    entries = list(entries)
    several = len({entry["target"] for entry in entries}) > 1
    for entry in entries:
        target = f" [{safe.line(str(entry['target']))}]" if several else ""
        state = terminal.paint("affected", "yellow") if entry["affected"] else terminal.paint("not affected", "green")
        since = f", last run {words.ago(entry['at'], now)}" if entry["at"] else ""
        yield f"{terminal.paint(safe.line(str(entry['test'])), 'bold')}{target}: {state}{since}"
        for reason in entry["reasons"]:
            yield f"    {safe.line(str(reason))}"
        if not entry["affected"]:
            files, functions = words.number(entry["files"], "file"), words.number(entry["functions"], "function")
            yield f"    nothing that it used has changed: {files}, {functions}"
        if verbose:
            yield from (terminal.paint(f"    {safe.line(str(used))}", "dim") for used in entry["used"])


__all__ = ["OPERANDS", "arguments", "describe", "main"]
