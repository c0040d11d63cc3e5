"""`testd workflow status`: how a run of a workflow stands, function by function.

Runs in the client.
"""

from __future__ import annotations

import os
import sys
import time

from testd_daemon.cli.arguments import Operands, one_of
from testd_daemon.cli.workflow_runs import find, graph_of, read
from testd_daemon.reports import safe, spans, words
from testd_daemon.reports.terminal import standard_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser
    from testd_daemon.reports.terminal import Terminal
    from testd_daemon.workflows.course import Course

OPERANDS = Operands("RUN", 0, 1, "a run's id, or as much of it as no other one begins with; none: the newest")
EPILOG = "Exit status: 0, however the run stands."


def arguments(parser: Parser) -> None:
    """Add what `testd workflow status` takes."""
    parser.add_argument("--format", type=one_of("text", "json"), default="text", metavar="text|json",
                        help="json: one object (docs/workflows.md)")  # fmt: skip


def main(options: Options) -> int:
    """Show how the run stands."""
    run, _ = find(options.operands[0] if options.operands else "")
    course = read(run)
    if options.format == "json":
        import json

        sys.stdout.write(json.dumps(_facts(run, course)) + "\n")
        return 0
    terminal = standard_output(os.environ)
    terminal.write("".join(f"{line}\n" for line in _lines(terminal, run, course, time.time())))
    return 0


def _lines(terminal: Terminal, run: Mapping[str, Any], course: Course, now: float) -> Iterator[str]:
    from testd_daemon.workflows.drawing.marks import STYLES, counted, said
    from testd_daemon.workflows.drawing.text import lines

    planned = course.planned
    over = run["exit_code"] is not None
    word = terminal.paint(str(run["state"]), "green" if run["exit_code"] in (None, 0, 5) else "red")
    lasted = words.seconds(float(course.completed["duration"])) if course.completed else ""
    when = lasted or f"began {words.ago(float(run['accepted_at']), now)}"
    yield f"{terminal.paint(safe.line(planned['name']), 'bold')}  run {run['run']}  {word}, {when}"
    yield terminal.paint(f"{safe.line(planned['file'])}, invocation {safe.line(planned['invocation'])}", "dim")
    for line in lines(graph_of(course), course, unicode=terminal.unicode, now=now):
        yield spans.painted(terminal, line)
    for function in course.functions.values():
        if function.status in ("failed", "timeout"):
            label = terminal.paint(f"{said(function.status)}:", STYLES[function.status])
            yield f"{label} {function.name}: {safe.line(function.why)}"
    more = "" if over else terminal.paint(f"; `testd attach {run['run']}` follows it", "dim")
    yield counted(course.counts()) + more


def _facts(run: Mapping[str, Any], course: Course) -> dict[str, Any]:
    planned = course.planned
    return {
        "run": run["run"],
        "state": run["state"],
        "exit_code": run["exit_code"],
        **{key: planned[key] for key in ("name", "invocation", "timestamp", "folder", "file")},
        "functions": {
            name: {
                "status": function.status,
                "why": function.why,
                "target": function.target,
                "invoked": function.invoked or None,
                "began": function.began or None,
                "ended": function.ended or None,
            }
            for name, function in course.functions.items()
        },
    }


__all__ = ["EPILOG", "OPERANDS", "arguments", "main"]
