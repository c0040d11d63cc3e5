"""`testd suite update`: have cases expect what comes now, after a look at each difference. Runs in the client."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from testd_daemon.cli.case_results import results_of
from testd_daemon.cli.run import make_request, shared
from testd_daemon.expectations.accepted import Acceptance, accept
from testd_daemon.writing import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.cli.arguments import Options, Parser

__all__ = ["EPILOG", "arguments", "carry_out"]

EPILOG = (
    "Each case that does not hold is shown with what it would expect, and changed if you agree. Without a terminal "
    "nothing is changed, unless --yes is given. Exit status: 0 all cases hold now, 1 some do not, 4 usage, 5 no cases."
)


def arguments(parser: Parser) -> None:
    """Add what `testd suite update` takes."""
    parser.add_argument("-y", "--yes", action="store_true", help="change them all, without asking")
    shared(parser)


def carry_out(options: Options, more: dict[str, Any]) -> int:
    """Show what differs, and write what is agreed to. Returns the exit status."""
    request = {**make_request(options), **more}
    left = 0
    for result in results_of(request):
        path = Path(request["workspace"]) / result["file"]
        failed = [found for found in result["test_case_results"] if not found["successful"]]
        if failed:
            left += _update(options, path, result["file"], failed)
    sys.stdout.write("all cases hold\n" if not left else f"{left} case{'s do' if left != 1 else ' does'} not hold\n")
    return 1 if left else 0


def _update(options: Options, path: Path, name: str, failed: list[dict[str, Any]]) -> int:
    """Go through the failed cases of a suite. Returns how many do not hold then."""
    suite = json.loads(path.read_text(encoding="utf-8"))
    places = {(case.get("id"), case.get("name")): n for n, case in enumerate(suite["test_cases"])}
    left, changed = 0, False
    for result in failed:
        number = places.get((result["id"], result["name"]))
        if number is None:  # it has been changed meanwhile
            left += 1
            continue
        acceptance = accept(suite["test_cases"][number], result)
        _show(f"{name}::{result['name']}", acceptance)
        if acceptance.changes and _agreed(options):
            suite["test_cases"][number], changed = acceptance.case, True
            left += bool(acceptance.left)
        else:
            left += 1
    if changed:
        write(str(path), json.dumps(suite, indent=2, ensure_ascii=False) + "\n")
    return left


def _show(test: str, acceptance: Acceptance) -> None:
    sys.stdout.write(f"{test}\n")
    sys.stdout.writelines(f"    {line}\n" for line in acceptance.changes)
    sys.stdout.writelines(f"    stays as it is: {line}\n" for line in acceptance.left)


def _agreed(options: Options) -> bool:
    if options.yes or not sys.stdin.isatty():
        return bool(options.yes)
    return input("    expect this from now on? [y/N] ").strip().lower() in ("y", "yes")
