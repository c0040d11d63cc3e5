"""`testd suite record`: make a suite of recorded calls, whose cases pass as long as the code does what it did.

Runs in the client. The cases are run twice: what differs from run to run is not expected of anybody.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testd import workspace
from testd_daemon.cli.arguments import Operands
from testd_daemon.cli.case_results import results_of
from testd_daemon.cli.here import here
from testd_daemon.cli.run import SUITE, make_request, shared
from testd_daemon.client import traces
from testd_daemon.client.sync import Client
from testd_daemon.errors import UsageError
from testd_daemon.expectations.accepted import settle
from testd_daemon.expectations.recorded import key_of, suite_of
from testd_daemon.reports import executed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.cli.arguments import Options, Parser

__all__ = ["EPILOG", "OPERANDS", "arguments", "main"]

OPERANDS = Operands("TRACE", 1, None, "traces, by as much of their ids as no other one begins with; or files with "
                                      "executed functions (also run files after a run, and results of suites); "
                                      "- is standard input")  # fmt: skip
_ID = re.compile(r"[0-9a-f]{4,}")
EPILOG = "Exit status: 0 the suite is there and its cases pass, 1 some do not, 4 usage."


def arguments(parser: Parser) -> None:
    """Add what `testd suite record` takes."""
    what = parser.add_argument_group("the suite")
    what.add_argument("-o", "--output", metavar="FILE", help=f"where to write it; else FUNCTION{SUITE}")
    what.add_argument("--name", metavar="NAME", help="what it is called; else as its file")
    what.add_argument("--function", metavar="MODULE:FUNCTION", help="take only calls of this function")
    what.add_argument("--mock", action="append", default=[], metavar="MODULE:FUNCTION",
                      help="have calls of this function answered as they were recorded; may be given more "
                           "than once")  # fmt: skip
    what.add_argument("--force", action="store_true", help="replace a file that is there")
    shared(parser)


def main(options: Options) -> int:
    """Write the suite, and see that it passes. Returns the exit status."""
    chosen = _chosen([trace for word in options.operands for trace in _traces(word)], options.function)
    path = Path(options.output or chosen[0]["name"].rpartition(".")[2] + SUITE)
    if not path.name.endswith(SUITE):
        raise UsageError(f"{path}: the name of a suite's file ends with {SUITE}", hint=f"Write -o {path.stem}{SUITE}")
    if path.exists() and not options.force:
        raise UsageError(f"{path} is there already", hint="Give another one with -o, or --force to replace it.")
    suite = suite_of(chosen, options.mock, options.name or path.name[: -len(SUITE)])
    draft = path.with_name(f".{path.name[: -len(SUITE)]}.draft{SUITE}")
    try:
        passed, told = _settled(options, suite, draft)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sys.stderr.writelines(f"  {line}\n" for line in told)
    count = len(suite["test_cases"])
    sys.stdout.write(f"{path}: {count} case{'s' * (count != 1)}\n")
    return 0 if passed else 1


def _settled(options: Options, suite: dict[str, Any], path: Path) -> tuple[bool, list[str]]:
    """Write the suite as it passes. Returns whether it does, and what had to be changed."""
    options.operands = [str(path)]
    told = []
    _write(path, suite)
    request = make_request(options)
    first, second = (_by_id(results_of(request)) for _ in range(2))
    for number, case in enumerate(suite["test_cases"]):
        settled = settle(case, first[case["id"]], second[case["id"]])
        suite["test_cases"][number] = settled.case
        told += [f"{case['name']}: {line}" for line in settled.changes]
    _write(path, suite)
    last = _by_id(results_of(request))
    failed = [case for case in suite["test_cases"] if not last[case["id"]]["successful"]]
    told += [f"{case['name']} does not pass: {last[case['id']]['failure_message']}" for case in failed]
    return not failed, told


def _by_id(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the result of each case, of the first target."""
    return {case["id"]: case for case in results[0]["test_case_results"]}


def _write(path: Path, suite: dict[str, Any]) -> None:
    path.write_text(json.dumps(suite, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _chosen(calls: list[dict[str, Any]], function: str | None) -> list[dict[str, Any]]:
    """Return the calls of a function, all where none is named. Raises UsageError."""
    if function is None:
        return calls
    found = [call for call in calls if key_of(call) == function]
    if not found:
        there = ", ".join(dict.fromkeys(map(key_of, calls)))
        raise UsageError(f"--function {function}: there is no recorded call of it", hint=f"There are calls of {there}.")
    return found


def _traces(word: str) -> list[dict[str, Any]]:
    """Return the executed functions that an operand means. Raises UsageError, and FaultError for an id that is none."""
    if _ID.fullmatch(word) and not Path(word).exists():
        return [_kept(word)]
    try:
        text = sys.stdin.read() if word == "-" else Path(word).read_text(encoding="utf-8")
        found = list(_executed(json.loads(text)))
    except OSError as error:
        raise UsageError(f"{word}: {error.strerror}", hint="Name a file that holds executed functions.") from None
    except ValueError as error:
        raise UsageError(f"{word} is no JSON: {error}", hint="It should hold executed functions.") from None
    if not found:
        raise UsageError(
            f"{word} holds no executed function",
            hint="`testd run-file FILE` writes them into its items, `testd suite run --results FILE` into results.",
        )
    return found


def _kept(name: str) -> dict[str, Any]:
    """Return a trace that the daemon keeps."""
    root, _ = workspace.find(here())
    with Client.connect(start=True) as client:
        entry = traces.entry(client, root, name)
        found: dict[str, Any] = json.loads("".join(executed.document(traces.calls(client, root, entry["trace"]))))
        return found


def _executed(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the roots in a document, whatever stands around them."""
    if isinstance(value, list):
        for item in value:
            yield from _executed(item)
    elif isinstance(value, dict) and {"name", "id", "input", "executed_successfully"} <= value.keys():
        yield {"execution_context": {}, **value}
    elif isinstance(value, dict):
        several = value.get("executed_functions")
        for key in ("functions_to_run", "test_case_results") if several is None else ():
            yield from _executed(value.get(key))
        yield from _executed(several if several is not None else value.get("executed_function"))
