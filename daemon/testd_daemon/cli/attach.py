"""`testd attach`: follow a run that another command started, from its beginning to its end.

Runs in the client.
"""

from __future__ import annotations

import os

from testd import workspace
from testd_daemon.cli.arguments import Operands, at_least, one_of
from testd_daemon.cli.follow import Follower
from testd_daemon.cli.here import here
from testd_daemon.cli.interrupts import Interrupts
from testd_daemon.cli.reporting import make_report, workflow_report
from testd_daemon.client.sync import Client
from testd_daemon.errors import UsageError
from testd_daemon.reports.terminal import standard_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser
    from testd_daemon.reports.base import Report

OPERANDS = Operands("RUN", 0, 1, "a run's id as `testd status` shows it; none: the newest run")
EPILOG = "Exit status: the run's. Ctrl-C ends the following, not the run. A watch has its keys here, too."


def arguments(parser: Parser) -> None:
    """Add what `testd attach` takes."""
    parser.add_argument("--after", type=at_least(0), default=0, metavar="SEQ", help="only events after this number")
    parser.add_argument("--format", type=one_of("text", "json"), default="text", metavar="text|json",
                        help="json: one event a line (docs/json-events.md)")  # fmt: skip
    parser.add_argument("--junitxml", metavar="FILE", help="write a JUnit XML report as well")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="each test, and warm or cold and why")
    parser.add_argument("-q", "--quiet", action="count", default=0, help="failures and one line")


def main(options: Options) -> int:
    """Follow the run and return its exit status."""
    cwd = here()
    with Client.connect(start=False) as client:
        found = _which(client, options.operands[0] if options.operands else "", cwd)
        run, root = str(found["run"]), str(found["workspace"])
        if found.get("watch"):
            return _watch(client, options, run, root, cwd)
        report = _report(options, root, cwd)
        report.accepted(run)
        with Interrupts() as interrupts:
            return Follower(client, report, interrupts, owner=False).follow(run, options.after)


def _report(options: Options, root: str, cwd: str) -> Report:
    """Make the report that is asked for; as text, of a workflow where the run turns out to be of one."""
    report = make_report(options, root, cwd)
    if options.format != "text" or options.junitxml:
        return report
    from testd_daemon.reports.chosen import Chosen

    return Chosen(report, lambda: workflow_report(options, standard_output(os.environ)))


def _watch(client: Client, options: Options, run: str, root: str, cwd: str) -> int:
    from testd_daemon.cli.signals import Signals
    from testd_daemon.cli.watching import Watcher, make_view

    if options.junitxml:
        raise UsageError(f"run {run} is a watch: --junitxml is of a run", hint="Give it to `testd run`.")
    with Signals() as signals:
        return Watcher(client, make_view(options, root, cwd), signals).watch(run, options.after)


def _which(client: Client, run: str, cwd: str) -> Mapping[str, Any]:
    """Give a run's status; an id that is not among the recent ones is the handler's to judge."""
    runs = sorted(client.status()["runs"], key=lambda each: float(each["accepted_at"]))
    chosen = runs[-1:] if run in ("", "newest") else [each for each in runs if each["run"] == run]
    unknown = {"run": "" if run == "newest" else run, "workspace": workspace.find(cwd)[0]}
    return chosen[0] if chosen else unknown


__all__ = ["EPILOG", "OPERANDS", "arguments", "main"]
