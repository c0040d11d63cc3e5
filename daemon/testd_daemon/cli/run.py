"""`testd run`: have tests run, and report them as they end.

Runs in the client, on the quick path.
"""

from __future__ import annotations

import os
import sys
import time

from testd import workspace
from testd_daemon.cli.arguments import Operands, at_least, duration, one_of, seed
from testd_daemon.cli.follow import Follower, as_fault
from testd_daemon.cli.here import here
from testd_daemon.cli.interrupts import Interrupts
from testd_daemon.cli.reporting import make_report
from testd_daemon.client.sync import Client
from testd_daemon.errors import TestdError, UsageError

#: How the names of files end that hold suites of cases.
SUITE = ".suite.json"
#: --shuffle without a number: one is made up.
ANY_SEED = -1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from typing import Any

    from testd_daemon.cli.arguments import Group, Options, Parser
    from testd_daemon.reports.base import Report

OPERANDS = Operands("PATH", 0, None, "folders, files, FILE:LINE or node ids; none: what the project configures")
EPILOG = (
    "Exit status: 0 all passed, 1 some did not, 2 interrupted, 3 internal error, 4 usage or configuration, 5 no tests. "
    "Ctrl-C ends the run in order, a second one leaves at once."
)


def arguments(parser: Parser) -> None:
    """Add what `testd run` takes."""
    which, how, report = shared(parser)
    which.add_argument("--affected", action="store_true", help="only what changes since its last run may affect")
    which.add_argument("--since", metavar="REV", help="and what differs from this git revision may affect")
    which.add_argument(
        "-x", dest="maxfail", action="store_const", const=1, default=0, help="stop after the first failure"
    )
    which.add_argument("--maxfail", type=at_least(0), metavar="N", help="stop after N failures")
    how.add_argument("--fresh", action="store_true", help="use nothing that is warm: everything in new processes")
    how.add_argument("--shuffle", type=seed, nargs="?", const=ANY_SEED, metavar="SEED",
                     help="in a random order; the seed, which is printed, repeats it")  # fmt: skip
    how.add_argument("--isolate", type=one_of("test"), metavar="test",
                     help="test: each test in a process of its own, forked from the warm one")  # fmt: skip
    how.add_argument("--verify", action="store_true",
                     help="warm, then in new processes, and tell each test whose verdict differs")  # fmt: skip
    how.add_argument("-u", "--update-snapshots", action="store_true", help="accept what snapshots show now")
    how.add_argument("--detach", action="store_true", help="do not wait: the run goes on without this command")
    how.add_argument(
        "--no-daemon", action="store_true", help="run in one go and leave nothing behind, no daemon either"
    )
    report.add_argument("--profile", action="store_true", help="where the time of this run went, step by step")
    report.add_argument("--junitxml", metavar="FILE", help="write a JUnit XML report as well")


def shared(parser: Parser) -> tuple[Group, Group, Group]:
    """Add what `testd watch` takes as well. Returns the groups: which tests, how they run, what is reported."""
    which = parser.add_argument_group("which tests")
    which.add_argument("-k", dest="keyword", metavar="EXPR", help="only tests whose names match, as pytest's -k")
    which.add_argument(
        "--lf", "--last-failed", dest="last_failed", action="store_true", help="only what failed last time"
    )
    how = parser.add_argument_group("how they run")
    how.add_argument(
        "-s", dest="stream", action="store_true", help="show what tests print, live, and do not capture it"
    )
    how.add_argument("--mode", type=one_of("worker", "bin"), metavar="worker|bin",
                     help="worker: forked from a warm process; bin: a new process for each file")  # fmt: skip
    how.add_argument("-j", "--jobs", type=at_least(1), metavar="N", help="at most N workers at once")
    how.add_argument("--timeout", type=duration, metavar="S", help="seconds that one test may take; 0: no limit")
    how.add_argument("--target", dest="targets", action="append", default=[], metavar="NAME",
                     help="where to run: a configured target, 3.9, node22, docker:IMAGE, ssh:HOST, or all; "
                          "may be given more than once")  # fmt: skip
    how.add_argument("--require", action="store_true", default=None,
                     help="a target that is not usable makes the run fail")  # fmt: skip
    report = parser.add_argument_group("what is reported")
    report.add_argument("--format", type=one_of("text", "json"), default="text", metavar="text|json",
                        help="json: one event a line (docs/json-events.md)")  # fmt: skip
    report.add_argument(
        "-v", "--verbose", action="count", default=0, help="each test, and warm or cold and why; -vv: more"
    )
    report.add_argument("-q", "--quiet", action="count", default=0, help="failures and one line")
    return which, how, report


def main(options: Options) -> int:
    """Submit the run and follow it. Returns its exit status."""
    return carry_out(options, {})


def carry_out(options: Options, more: dict[str, Any]) -> int:
    """Submit a run with more in its request than `arguments` declares, and follow it. Returns its exit status."""
    if options.detach and options.no_daemon:
        raise UsageError("--detach needs a daemon", hint="Leave out --detach or --no-daemon.")
    if options.detach and options.junitxml:
        raise UsageError("--junitxml is written by the command that follows a run",
                         hint="Leave out --detach, or give --junitxml to `testd attach`.")  # fmt: skip
    if options.verify and (options.fresh or options.update_snapshots):
        other = "--fresh" if options.fresh else "--update-snapshots"
        raise UsageError(f"--verify compares warm and fresh, and cannot with {other}",
                         hint=f"Leave out {other} or --verify.")  # fmt: skip
    request = {
        **make_request(options),
        "maxfail": options.maxfail or 0,
        "fresh": options.fresh,
        "detach": options.detach,
        "update_snapshots": options.update_snapshots,
        "shuffle": _seed(options.shuffle),
        "isolate": options.isolate or "",
        "affected": options.affected or options.since is not None,
        "since": options.since or "",
        "verify": options.verify,
        "profile": options.profile,
        **more,
    }
    return follow(options, request)


def follow(options: Options, request: dict[str, Any]) -> int:
    """Submit a run and follow it. Returns its exit status."""
    if options.detach and options.no_daemon:
        raise UsageError("--detach needs a daemon", hint="Leave out --detach or --no-daemon.")
    if options.detach and options.junitxml:
        raise UsageError("--junitxml is written by the command that follows a run",
                         hint="Leave out --detach, or give --junitxml to `testd attach`.")  # fmt: skip
    report = make_report(options, request["workspace"], request["cwd"])
    with Interrupts() as interrupts:
        try:
            return _run(options, request, report, interrupts)
        except TestdError as error:
            # Told by the report, since a reader of JSON lines must see it; and closed here: there was no run.
            report.fault(as_fault(error))
            return error.exit_code


def make_request(options: Options) -> dict[str, Any]:
    """Make a `RunRequest` of what `shared` has declared, and of where the command was given."""
    cwd = here()
    paths = [_readable(path) for path in options.operands]
    root, _ = workspace.find(cwd, paths)
    return {
        "workspace": root,
        "cwd": cwd,
        "paths": paths,
        "keyword": options.keyword,
        "last_failed": options.last_failed,
        "stream": options.stream,
        "mode": options.mode,
        "jobs": options.jobs,
        "timeout": options.timeout,
        "targets": options.targets,
        "environment": dict(os.environ),
        "python": sys.executable or "",
        "require": options.require,
        "kind": kind_of(paths),
    }


def kind_of(paths: list[str]) -> str | None:
    """Return the kind of tests that paths mean by themselves: suites of cases have names of their own. None: unsaid."""
    places = [path.partition("::")[0] for path in paths]
    suites = [place.endswith(SUITE) or place.rpartition(":")[0].endswith(SUITE) for place in places]
    return "cases" if suites and all(suites) else None


def _run(options: Options, request: dict[str, Any], report: Report, interrupts: Interrupts) -> int:
    began = time.monotonic()
    with _connect(private=options.no_daemon) as client:
        connected = time.monotonic()
        run = client.submit(request)
        if request.get("profile"):
            from testd_daemon.cli import profiling

            profiling.tell(report, began, connected)
        if options.format == "json" or not options.detach:
            report.accepted(run)
        if request.get("shuffle") is not None:
            report.message(f"shuffled: --shuffle {request['shuffle']} repeats this order")
        if not options.detach:
            return Follower(client, report, interrupts, owner=True).follow(run)
    if options.format == "text":
        sys.stdout.write(f"{run}\ntestd attach {run}   follows it\ntestd cancel {run}   ends it\n")
    return 0


def _connect(*, private: bool) -> AbstractContextManager[Client]:
    if not private:
        return Client.connect(start=True)
    from testd_daemon.cli.private import private_client

    return private_client()


def _seed(given: int | None) -> int | None:
    """Return the seed that was given, or one of five digits where only --shuffle was."""
    return int.from_bytes(os.urandom(4), "big") % 100_000 if given == ANY_SEED else given


def _readable(path: str) -> str:
    if not path:
        raise UsageError("an empty path was given", hint="Leave it out to run what the project configures.")
    return path


__all__ = ["EPILOG", "OPERANDS", "arguments", "carry_out", "follow", "kind_of", "main", "make_request", "shared"]
