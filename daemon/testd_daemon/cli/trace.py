"""`testd trace`: one recorded call and all that it called, as a tree, as JSON or as OpenTelemetry's spans.

Runs in the client.
"""

from __future__ import annotations

import os
import sys
import time

from testd import workspace
from testd_daemon.cli.arguments import Operands, at_least
from testd_daemon.cli.here import here
from testd_daemon.client import traces
from testd_daemon.client.sync import Client
from testd_daemon.errors import UsageError
from testd_daemon.reports.terminal import standard_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser

OPERANDS = Operands("ID", 1, 1, "a trace, by as much of its id as no other one begins with")
EPILOG = "On a terminal only the upper part of a large tree is shown; into a file or a pipe, all of it."
#: What a terminal is shown of a tree: calls inside of each other, and calls of one caller.
_DEPTH, _CALLS = 12, 50


def arguments(parser: Parser) -> None:
    """Add what `testd trace` takes."""
    parser.add_argument("--json", action="store_true", help="the executed function as JSON, as suites have it")
    parser.add_argument("--otel", action="store_true", help="OpenTelemetry's spans, as an OTLP request in JSON")
    parser.add_argument("--depth", type=at_least(0), metavar="N", help="calls inside of each other to show")
    parser.add_argument("--calls", type=at_least(0), metavar="N", help="calls of one caller to show")
    parser.add_argument("--all", action="store_true", help="show everything, lines of any length too")


def main(options: Options) -> int:
    """Show a trace. Starts the daemon where none runs: the workspace's agent keeps them."""
    if options.json and options.otel:
        raise UsageError("--json and --otel exclude each other")
    root, _ = workspace.find(here())
    name = options.operands[0]
    with Client.connect(start=True) as client:
        entry = traces.entry(client, root, name)
        calls = traces.calls(client, root, entry["trace"])
        if options.json or options.otel:
            from testd_daemon.reports import executed

            service = os.path.basename(root)  # noqa: PTH119  pathlib costs more than this command
            sys.stdout.writelines(executed.spans(calls, service) if options.otel else executed.document(calls))
        else:
            _show(options, entry, calls)
    return 0


def _show(options: Options, entry: dict[str, Any], calls: Iterable[dict[str, Any]]) -> None:
    from testd_daemon.reports.calls import Limits, head, tree

    terminal = standard_output(os.environ)
    bounded = terminal.live and not options.all
    limits = Limits(
        _DEPTH if options.depth is None and bounded else options.depth,
        _CALLS if options.calls is None and bounded else options.calls,
        terminal.width if bounded else None,
    )
    for line in (*head(terminal, entry, time.time()), ""):
        terminal.write(line + "\n")
    for line in tree(terminal, calls, limits):
        terminal.write(line + "\n")


__all__ = ["EPILOG", "OPERANDS", "arguments", "main"]
