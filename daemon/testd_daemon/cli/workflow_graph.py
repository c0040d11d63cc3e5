"""`testd workflow graph`: what follows what in a workflow, as text, as SVG or as JSON, also with how a run of it went.

Runs in the client. Needs no daemon for a file alone.
"""

from __future__ import annotations

import os
import sys

from testd_daemon.cli.arguments import Operands, one_of
from testd_daemon.reports.terminal import standard_output
from testd_daemon.workflows.document import Workflow, load
from testd_daemon.writing import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser
    from testd_daemon.workflows.course import Course

OPERANDS = Operands("FILE", 1, 1, "the workflow's file")
EPILOG = "Exit status: 4 where the file is wrong; each mistake is told with its line and its place."


def arguments(parser: Parser) -> None:
    """Add what `testd workflow graph` takes."""
    parser.add_argument("--format", type=one_of("text", "svg", "json"), default="text", metavar="text|svg|json",
                        help="svg: a picture; json: one object (docs/workflows.md)")  # fmt: skip
    parser.add_argument("--run", metavar="ID", help="show how this run went, or goes; newest: the newest of the file")
    parser.add_argument("-o", "--output", metavar="FILE", help="write it there")


def main(options: Options) -> int:
    """Show the graph."""
    workflow = load(options.operands[0])
    course = None
    if options.run:
        from testd_daemon.cli.workflow_runs import course_of

        course = course_of("" if options.run == "newest" else options.run, workflow.name)
    if options.format == "text":
        return _text(options, workflow, course)
    if options.format == "svg":
        from testd_daemon.workflows.drawing.picture import picture

        text = picture(workflow.name, workflow.graph, course)
    else:
        import json

        text = json.dumps(_facts(workflow, course), indent=2) + "\n"
    if options.output:
        write(options.output, text)
    else:
        sys.stdout.write(text)
    return 0


def _text(options: Options, workflow: Workflow, course: Course | None) -> int:
    from testd_daemon.reports import spans, words
    from testd_daemon.workflows.drawing.text import lines

    graph = workflow.graph
    terminal = standard_output(os.environ)
    head = f"{words.number(len(graph.instances), 'function')} of {words.number(len(graph.actions), 'action')}"
    plain = bool(options.output)
    said = [f"{workflow.name}  {head}"] if plain else [f"{terminal.paint(workflow.name, 'bold')}  {head}"]
    drawn = lines(graph, course, unicode=plain or terminal.unicode)
    said += ["".join(text for text, _ in line).rstrip() if plain else spans.painted(terminal, line) for line in drawn]
    label = "warning:" if plain else terminal.paint("warning:", "yellow")
    said += [f"{label} with --join faasr, {action}: {why}" for action, why in graph.stuck().items()]
    if plain:
        write(options.output, "\n".join(said) + "\n")
    else:
        terminal.write("\n".join(said) + "\n")
    return 0


def _facts(workflow: Workflow, course: Course | None) -> dict[str, Any]:
    graph = workflow.graph
    facts: dict[str, Any] = {
        "name": workflow.name,
        "entry": graph.entry,
        "actions": {
            action: {
                "function": workflow.file.action_list[action].function_name,
                "level": graph.levels[action],
                "functions": list(graph.instances_of(action)),
                "predecessors": list(graph.predecessors(action)),
            }
            for action in graph.order
        },
        "edges": [
            {"from": edge.source, "to": edge.target, "if": {"True": True, "False": False}.get(edge.branch)}
            for edge in graph.edges
        ],
        "joins": list(graph.joins()),
        "stuck": graph.stuck(),
    }
    if course is not None:
        facts["statuses"] = {name: function.status for name, function in course.functions.items()}
        facts["whys"] = {name: function.why for name, function in course.functions.items() if function.why}
    return facts


__all__ = ["EPILOG", "OPERANDS", "arguments", "main"]
