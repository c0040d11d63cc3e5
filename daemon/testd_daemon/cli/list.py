"""`testd list`: show which tests there are, without running any.

Runs in the client, on the quick path: the lines come as they are to be printed.
"""

from __future__ import annotations

import os
import sys

from testd import workspace
from testd_daemon.cli.arguments import Operands, one_of
from testd_daemon.cli.here import here
from testd_daemon.cli.run import kind_of
from testd_daemon.client.sync import Client
from testd_daemon.errors import UsageError
from testd_daemon.reports import safe
from testd_daemon.reports.terminal import describe, standard_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser

OPERANDS = Operands("PATH", 0, None, "folders, files, FILE:LINE or node ids; none: what the project configures")
EPILOG = (
    "Exit status: 0 there are tests, 1 a file could not be collected, 3 internal error, 4 usage or configuration, "
    "5 no tests. Node ids go to standard output, everything else to standard error."
)


def arguments(parser: Parser) -> None:
    """Add what `testd list` takes."""
    parser.add_argument("-k", dest="keyword", metavar="EXPR", help="only tests whose names match, as pytest's -k")
    parser.add_argument("--target", dest="targets", action="append", default=[], metavar="NAME",
                        help="where to collect, as `testd run` takes it; may be given more than once")  # fmt: skip
    parser.add_argument("--format", type=one_of("text", "json"), default="text", metavar="text|json",
                        help="json: one test a line (docs/json-events.md)")  # fmt: skip
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")


def main(options: Options) -> int:
    """Print the pages of the answer as they come. Returns the exit status that they end with."""
    return carry_out(options, {})


def carry_out(options: Options, more: dict[str, Any]) -> int:
    """List with more in the request than `arguments` declares."""
    output, errors = standard_output(os.environ), describe(sys.stderr, os.environ)
    request = {**make_request(options), **more}
    with Client.connect() as client:
        for page in client.listing(request, options.format):
            text = page["text"]
            (errors if page["stream"] == "stderr" else output).write(safe.block(text, colour=False))
            if page["done"]:
                return int(page["exit_code"])
    raise AssertionError  # listing raises first


def make_request(options: Options) -> dict[str, Any]:
    """Make a `RunRequest` of the options and of where the command was given: what it leaves out has its default."""
    if "" in options.operands:
        raise UsageError("an empty path was given", hint="Leave it out to list what the project configures.")
    cwd = here()
    root, _ = workspace.find(cwd, options.operands)
    return {
        "workspace": root,
        "cwd": cwd,
        "paths": options.operands,
        "keyword": options.keyword,
        "targets": options.targets,
        "environment": dict(os.environ),
        "python": sys.executable or "",
        "kind": kind_of(options.operands),
    }


__all__ = ["EPILOG", "OPERANDS", "arguments", "carry_out", "main"]
