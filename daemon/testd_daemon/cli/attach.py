"""`testd attach`: follow a run that another command started, from its beginning to its end.

Runs in the client.
"""

from __future__ import annotations

from testd_daemon import workspace
from testd_daemon.cli.arguments import Operands, at_least, one_of
from testd_daemon.cli.follow import Follower
from testd_daemon.cli.here import here
from testd_daemon.cli.interrupts import Interrupts
from testd_daemon.cli.reporting import make_report
from testd_daemon.client.sync import Client

TYPE_CHECKING = False
if TYPE_CHECKING:

    from testd_daemon.cli.arguments import Options, Parser

OPERANDS = Operands("RUN", 0, 1, "a run's id as `testd status` shows it; none: the newest run")
EPILOG = "Exit status: the run's. Ctrl-C ends the following, not the run."


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
    with Interrupts() as interrupts, Client.connect(start=False) as client:
        run, root = _which(client, options.operands[0] if options.operands else "", cwd)
        report = make_report(options, root, cwd)
        report.accepted(run)
        return Follower(client, report, interrupts, owner=False).follow(run, options.after)


def _which(client: Client, run: str, cwd: str) -> tuple[str, str]:
    """Give a run's id and its workspace; an id that is not among the recent ones is the handler's to judge."""
    runs = sorted(client.status()["runs"], key=lambda each: float(each["accepted_at"]))
    if run in ("", "newest"):
        return (str(runs[-1]["run"]), str(runs[-1]["workspace"])) if runs else ("", workspace.find(cwd)[0])
    known = {str(each["run"]): str(each["workspace"]) for each in runs}
    return run, known.get(run) or workspace.find(cwd)[0]


__all__ = ["EPILOG", "OPERANDS", "arguments", "main"]
