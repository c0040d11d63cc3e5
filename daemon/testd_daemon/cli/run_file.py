"""`testd run-file`: run the functions that a file names, and write what came of each into it.

Runs in the client, on the quick path: the work is that of `testd run`, of which most options are here.
"""

from __future__ import annotations

from testd import workspace
from testd_daemon.cli.arguments import Operands
from testd_daemon.cli.here import here
from testd_daemon.cli.run import carry_out, shared

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser

OPERANDS = Operands("FILE", 1, None, "run files, or FILE::EXECUTION_ID")
#: What `testd run` takes beside, and what it is here.
_NOT_TAKEN: dict[str, Any] = {
    "affected": False, "isolate": "", "maxfail": 0, "profile": False, "shuffle": None, "since": None,
    "update_snapshots": False, "verify": False,
}  # fmt: skip
EPILOG = (
    "Exit status: 0 every function returned, 1 some raised or could not be run, 2 interrupted, 3 internal error, "
    "4 usage or configuration, 5 nothing to run."
)


def arguments(parser: Parser) -> None:
    """Add what `testd run-file` takes."""
    _, how, report = shared(parser)
    how.add_argument("--fresh", action="store_true", help="use nothing that is warm: everything in new processes")
    how.add_argument("--detach", action="store_true", help="do not wait: the run goes on without this command")
    how.add_argument(
        "--no-daemon", action="store_true", help="run in one go and leave nothing behind, no daemon either"
    )
    report.add_argument("--junitxml", metavar="FILE", help="write a JUnit XML report as well")


def main(options: Options) -> int:
    """Submit the run and follow it. Returns its exit status."""
    options.verb = "run-file"  # what a report says runs an item again
    for name, value in _NOT_TAKEN.items():
        setattr(options, name, value)
    return carry_out(options, {"kind": "cases", "run_file": True, "workspace": _workspace(options.operands)})


def _workspace(paths: list[str]) -> str:
    """Return the project that files are in; of files elsewhere, in a folder for such things, the one that we are in."""
    root, mark = workspace.find(here(), paths)
    return workspace.find(here())[0] if mark == workspace.UNMARKED else root


__all__ = ["EPILOG", "OPERANDS", "arguments", "main"]
