"""The benchmarks: testd beside pytest, `pytest -n 2`, karva and others, on the same suites in the same minutes.

    python benchmarks/run.py                        everything (an hour on two slow cores)
    python benchmarks/run.py --quick                fewer suites and rounds (about ten minutes)
    python benchmarks/run.py rerun floor --json out.json
    python benchmarks/run.py --docs docs/benchmarks.md      and put the table into the documentation

Run it with the Python of the environment that testd is installed in. What is measured, and how:

- First the verdicts: a contender whose counts differ from plain pytest's is not timed, and the table says so.
- Contenders are interleaved (A B C A B C …) after a warm-up round. The table has medians and the 90th percentile of
  whole commands, start and exit included, and CPU time with the daemon's share in it.
- Every scenario has a daemon of its own and stops it; a process that outlives it is an error.
- Releases are pinned (benchmarks/suites.py); peers have environments of their own, so that their plugins do not load
  into plain pytest. Ratios carry over to other machines, seconds do not.

Exits with 1 where a goal is missed, 2 where something did not work.
"""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from pathlib import Path

import suites
from context import Context
from house import SurvivorsError, find_testd
from measuring import MeasureError
from table import Row, insert, markdown, write

__all__ = ["main"]

SCENARIOS = (
    "floor",
    "client",
    "rerun",
    "watch",
    "pytest_command",
    "watch_node",
    "noticing",
    "listing",
    "recording",
    "tracing",
    "cases",
    "workflows",
    "matrix",
    "node",
    "ssh",
    "docker",
    "many",
    "cold",
    "crashes",
    "throughput",
    "idle",
    "memory",
)


def main() -> int:
    """Measure, print the table, keep the figures."""
    parser = argparse.ArgumentParser(description="Measure testd beside its peers.")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; none: all")
    parser.add_argument("--quick", action="store_true", help="fewer suites, fewer rounds")
    parser.add_argument("--rounds", type=int, help="of each contender (10; with --quick 3)")
    parser.add_argument("--root", type=Path, default=suites.default_root(), help="where suites are kept (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument(
        "--docs", type=Path, metavar="FILE", help="put the table into this document (docs/benchmarks.md)"
    )
    parser.add_argument("--testd", type=Path, help="the testd command (default: beside this Python, then on PATH)")
    options = parser.parse_args()
    unknown = sorted(set(options.scenarios) - set(SCENARIOS))
    if unknown:
        parser.error(f"unknown scenario {unknown[0]!r}: choose from {', '.join(SCENARIOS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # blocks end: no daemon is left behind
    context = Context(
        testd=find_testd(options.testd),
        root=options.root.resolve(),
        rounds=options.rounds or (3 if options.quick else 10),
        quick=options.quick,
    )
    rows, broken = _measure(options.scenarios or SCENARIOS, context)
    print(markdown(rows))
    if options.json:
        write(options.json, rows, context.rounds)
    if options.docs:
        insert(options.docs, rows, context.rounds)
    for name, error in broken.items():
        print(f"{name}: {error}", file=sys.stderr)
    return 2 if broken else int(any(row.met is False for row in rows))


def _measure(names: list[str] | tuple[str, ...], context: Context) -> tuple[list[Row], dict[str, Exception]]:
    """Run the scenarios; one that fails does not take the others' figures with it."""
    rows: list[Row] = []
    broken: dict[str, Exception] = {}
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            rows.extend(importlib.import_module(f"scenarios.{name}").measure(context))
        except (MeasureError, SurvivorsError, suites.SuiteError, LookupError, OSError) as error:
            broken[name] = error
    return rows, broken


if __name__ == "__main__":
    sys.exit(main())
