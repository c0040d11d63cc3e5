"""`testd traces`: the root calls that traced applications of this workspace have sent; or forget some.

Runs in the client.
"""

from __future__ import annotations

import os
import time

from testd import workspace
from testd_daemon.cli.arguments import Operands
from testd_daemon.cli.entries import add_arguments, write_json
from testd_daemon.cli.here import here
from testd_daemon.client import traces
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

OPERANDS = Operands("ID", 0, None, "with --delete: the traces to forget; as much of an id as no other one begins with")
EPILOG = "All filters must match. `testd trace ID` shows one of them."
#: Digits of an id that are shown: enough to name it by.
_DIGITS = 12
_PARTS = {"name": "function's name", "module": "module's name", "file": "file's path"}


def arguments(parser: Parser) -> None:
    """Add what `testd traces` takes."""
    which = parser.add_argument_group("which traces")
    for name, what in _PARTS.items():
        which.add_argument(f"--{name}", default="", metavar=name.upper(), help=f"only those with this in the {what}")
    which.add_argument("--failed", action="store_true", help="only those that raised")
    which.add_argument("--recording", default="", metavar="ID", help="only those of this `testd record`")
    forget = parser.add_argument_group("forget")
    forget.add_argument("--delete", action="store_true", help="forget the traces that are named")
    forget.add_argument("--clear", action="store_true", help="forget all traces of this workspace")
    add_arguments(parser, shown="traces", line="entry")


def main(options: Options) -> int:
    """List, or forget. Starts the daemon where none runs: the workspace's agent keeps them."""
    _check(options)
    root, _ = workspace.find(here())
    with Client.connect(start=True) as client:
        if options.delete or options.clear:
            report = traces.drop(client, root, options.operands, everything=options.clear)
        else:
            which = {name: getattr(options, name) for name in (*_PARTS, "failed", "recording", "limit")}
            report = traces.find(client, root, **which)
    if options.format == "json":
        write_json(report["entries"])
        return 0
    terminal = standard_output(os.environ)
    if options.delete or options.clear:
        terminal.write(f"{words.number(len(report['entries']), 'trace')} forgotten\n")
        return 0
    terminal.write("".join(f"{line}\n" for line in _report(terminal, report)))
    return 0


def _check(options: Options) -> None:
    if options.delete and options.clear:
        raise UsageError("--delete and --clear exclude each other")
    if options.delete and not options.operands:
        raise UsageError("--delete needs the ids of traces", hint="To forget all of them: testd traces --clear")
    if options.operands and not options.delete:
        raise UsageError("traces takes ids with --delete only", hint=f"To show one: testd trace {options.operands[0]}")


def _report(terminal: Terminal, report: Entry) -> Iterable[str]:
    if not report["entries"]:
        yield "no such traces are kept here"
    yield from describe(terminal, report["entries"], time.time())
    if report["more"]:
        yield terminal.paint(f"{report['more']} more (--limit)", "dim")
    if report["dropped"]:
        yield terminal.paint(f"{words.number(report['dropped'], 'trace')} did not get here: they came too fast", "dim")


def describe(terminal: Terminal, entries: Iterable[Entry], now: float) -> Iterable[str]:
    """Give the lines that show entries, one each."""
    for entry in entries:
        name = terminal.paint(safe.line(f"{entry['module']}:{entry['name']}"), "bold")
        facts = [words.brief(entry["duration"]), words.number(entry["calls"], "call"), words.ago(entry["at"], now)]
        error = "" if entry["successful"] else "  " + terminal.paint(safe.line(entry["error"]), "red")
        yield f"{entry['trace'][:_DIGITS]}  {name}  {', '.join(facts)}{error}"


__all__ = ["EPILOG", "OPERANDS", "arguments", "describe", "main"]
