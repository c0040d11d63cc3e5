"""`testd workflow metrics`: where the time of a run went, and how that compares with earlier runs.

Runs in the client.
"""

from __future__ import annotations

import os
import sys

from testd_daemon.cli.arguments import Operands, one_of
from testd_daemon.cli.workflow_runs import earlier, find, graph_of, read
from testd_daemon.errors import UsageError
from testd_daemon.reports import spans
from testd_daemon.reports.terminal import standard_output
from testd_daemon.workflows.measures.comparison import Comparison, comparable, compared
from testd_daemon.workflows.measures.figures import RunFigures, figures_of
from testd_daemon.writing import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from testd_daemon.cli.arguments import Options, Parser
    from testd_daemon.workflows.course import Course

OPERANDS = Operands("RUN", 0, 1, "a run's id, or as much of it as no other one begins with; none: the newest")
EPILOG = "Times in the table are of the slowest rank of an action; calls, bytes and processor time are of all of them."


#: Earlier runs with which one is compared.
_COMPARED = 5


def arguments(parser: Parser) -> None:
    """Add what `testd workflow metrics` takes."""
    parser.add_argument("--format", type=one_of("text", "json", "svg"), default="text", metavar="text|json|svg",
                        help="json: one object (docs/workflows.md); svg: a bar for each function")  # fmt: skip
    parser.add_argument("--compare", metavar="RUN", help="compare with this run; none: with the earlier ones")
    parser.add_argument("-v", "--verbose", action="store_true", help="each rank by itself")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there")


def main(options: Options) -> int:
    """Show the figures."""
    run, _ = find(options.operands[0] if options.operands else "")
    course = read(run)
    figures = figures_of(course, str(run["run"]))
    if figures is None:
        raise UsageError(f"run {run['run']} has invoked no function yet", hint="Ask again in a moment.")
    if options.format == "svg":
        from testd_daemon.workflows.drawing.gantt import gantt

        text = gantt(figures, graph_of(course))
    else:
        text = _text(options, figures, _beside(options.compare, figures, course))
    if options.output:
        write(options.output, text)
    else:
        sys.stdout.write(text)
    return 0


def _beside(name: str | None, figures: RunFigures, course: Course) -> Comparison | None:
    """Compare with the run that is named, else with the earlier ones of the same workflow that are kept."""
    if not name:
        return compared(figures, comparable(figures, earlier(course, figures.at))[:_COMPARED])
    other, _ = find(name)
    known = figures_of(read(other), str(other["run"]))
    if known is None or not known.complete:
        raise UsageError(f"run {other['run']} is not over", hint="Compare with one that is.")
    return compared(figures, [known])


def _text(options: Options, figures: RunFigures, beside: Comparison | None) -> str:
    if options.format == "json":
        import msgspec

        facts = {"figures": msgspec.to_builtins(figures), "compared": msgspec.to_builtins(beside)}
        return msgspec.json.encode({**facts["figures"], "compared": facts["compared"]}).decode() + "\n"
    from testd_daemon.workflows.measures.table import table

    terminal = standard_output(os.environ)
    lines = table(figures, beside, every=options.verbose)
    if options.output:
        return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)
    return "".join(spans.painted(terminal, line) + "\n" for line in lines)


__all__ = ["EPILOG", "OPERANDS", "arguments", "main"]
