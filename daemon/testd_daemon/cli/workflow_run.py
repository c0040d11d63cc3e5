"""`testd workflow run FILE`: have a workflow's functions run, and report them as they end.

Runs in the client, on the quick path.
"""

from __future__ import annotations

import os
import sys

from testd import workspace
from testd_daemon.cli.arguments import Operands, at_least, duration, one_of
from testd_daemon.cli.here import here
from testd_daemon.cli.run import follow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser

OPERANDS = Operands("FILE", 1, 1, "the workflow's document, JSON")
EPILOG = (
    "Exit status: 0 all functions that were invoked completed, 1 one failed, 2 interrupted, 3 internal error, 4 usage, "
    "configuration or a workflow that is wrong. Ctrl-C ends the run in order, a second one leaves at once."
)


def arguments(parser: Parser) -> None:
    """Add what `testd workflow run` takes."""
    how = parser.add_argument_group("how it runs")
    how.add_argument("--store", default="", metavar="URL",
                     help="where files and logs are: s3://BUCKET?endpoint=URL, document or embedded, "
                     "which is where they are if nothing is said")  # fmt: skip
    how.add_argument("--isolation", type=one_of("none", "prefix", "bucket"), default="none",
                     metavar="none|prefix|bucket", help="what keeps its files apart from other runs': the "
                     "invocation's id in front of each key, or buckets of its own")  # fmt: skip
    how.add_argument("--input", default="", metavar="DIR", help="put the files of a folder into the store first")
    how.add_argument("--join", type=one_of("documented", "faasr"), default="documented", metavar="documented|faasr",
                     help="documented: a function waits for all that will run; faasr: for all there are")  # fmt: skip
    how.add_argument("--id", default="", metavar="ID", help="the InvocationID; none: the document's, or a new one")
    how.add_argument("--target", dest="targets", action="append", default=[], metavar="NAME",
                     help="where functions run that the document names no target for")  # fmt: skip
    how.add_argument("--mode", type=one_of("worker", "bin"), metavar="worker|bin",
                     help="worker: forked from a warm process; bin: a new process for each function")  # fmt: skip
    how.add_argument("-j", "--jobs", type=at_least(1), metavar="N", help="at most N functions at once, not counting "
                     "those that wait for the store")  # fmt: skip
    how.add_argument("--timeout", type=duration, metavar="S", help="seconds that one function may take; 0: no limit")
    how.add_argument("--fresh", action="store_true", help="use nothing that is warm: everything in new processes")
    how.add_argument("--detach", action="store_true", help="do not wait: the run goes on without this command")
    how.add_argument(
        "--no-daemon", action="store_true", help="run in one go and leave nothing behind, no daemon either"
    )
    report = parser.add_argument_group("what is reported")
    report.add_argument("--format", type=one_of("text", "json"), default="text", metavar="text|json",
                        help="json: one event a line (docs/json-events.md)")  # fmt: skip
    report.add_argument("-f", "--follow", action="store_true", help="what functions log and print, live")
    report.add_argument("-v", "--verbose", action="count", default=0, help="each function; -vv: more")
    report.add_argument("-q", "--quiet", action="count", default=0, help="failures and one line")
    report.add_argument("--junitxml", metavar="FILE", help="write a JUnit XML report as well")


def main(options: Options) -> int:
    """Submit the run and follow it. Returns its exit status."""
    options.workflow = True  # what is reported is one
    return follow(options, make_request(options))


def make_request(options: Options) -> dict[str, Any]:
    """Make a `RunRequest` of the command line."""
    cwd = here()
    root, _ = workspace.find(cwd, options.operands)
    return {
        "workspace": root,
        "cwd": cwd,
        "paths": options.operands,
        "kind": "workflow",
        "store": options.store,
        "isolation": options.isolation,
        "input": os.path.join(cwd, options.input) if options.input else "",  # noqa: PTH118  pathlib takes time to load
        "join": options.join,
        "overrides": {"InvocationID": options.id} if options.id else {},
        "targets": options.targets,
        "mode": options.mode,
        "jobs": options.jobs,
        "timeout": options.timeout,
        "fresh": options.fresh,
        "detach": options.detach,
        "environment": dict(os.environ),
        "python": sys.executable or "",
    }


__all__ = ["EPILOG", "OPERANDS", "arguments", "main", "make_request"]
