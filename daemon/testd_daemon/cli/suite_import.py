"""`testd suite import`: write suites of another system as suites of cases.

Runs in the client, when asked for.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from testd_daemon.cli.arguments import Operands
from testd_daemon.cli.run import SUITE
from testd_daemon.errors import UsageError
from testd_daemon.exchange.files import put
from testd_daemon.exchange.identity import imported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.cli.arguments import Options, Parser

__all__ = ["EPILOG", "OPERANDS", "arguments", "main"]

OPERANDS = Operands("SYSTEM FOLDER", 2, 2, "the word identity, and the folder of a project that has suites of it")
EPILOG = "Exit status: 0 all of it was taken over, 1 some cases were not, and are told, 4 usage."


def arguments(parser: Parser) -> None:
    """Add what `testd suite import` takes."""
    parser.add_argument("--to", metavar="FOLDER", default=".", help="where the suites are written; else here")
    parser.add_argument("--force", action="store_true", help="replace files that are there")


def main(options: Options) -> int:
    """Write the suites. Returns the exit status."""
    system, folder = options.operands
    if system != "identity":
        hint = "Write testd suite import identity FOLDER."
        raise UsageError(f"suite import: nothing is known of {system!r}", hint=hint)
    problems: list[str] = []
    for found in imported(Path(folder)):
        path = Path(options.to, found.name + SUITE)
        put(path, json.dumps(found.suite, indent=2, ensure_ascii=False) + "\n", force=options.force)
        count = len(found.suite["test_cases"])
        sys.stdout.write(f"{path}: {count} case{'s' * (count != 1)}\n")
        problems += found.problems
    sys.stderr.writelines(f"not taken over: {problem}\n" for problem in problems)
    return 1 if problems else 0
