"""`testd doctor`: what testd finds here, where each value comes from, what is wrong, and what puts it right.

Runs in the client.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from testd_daemon.cli.arguments import Operands, one_of
from testd_daemon.cli.here import here
from testd_daemon.reports import safe, words
from testd_daemon.reports.terminal import Terminal, standard_output

if TYPE_CHECKING:

    from testd_daemon.cli.arguments import Options, Parser
    from testd_daemon.cli.checkup import Section

OPERANDS: Operands | None = None
EPILOG = "Exit status: 0 where nothing is wrong, 1 where something is."


def arguments(parser: Parser) -> None:
    """Add what `testd doctor` takes."""
    parser.add_argument("-v", "--verbose", action="store_true", help="values that nobody has set as well")
    parser.add_argument("--format", type=one_of("text", "json"), default="text", metavar="text|json",
                        help="json: one object, as in docs/json-events.md")  # fmt: skip


def main(options: Options) -> int:
    """Check everything and show it. Returns 1 where there is a problem."""
    from testd_daemon.cli.checkup import check_up  # the configuration, the agent's choosers: not for --help

    terminal = standard_output(os.environ)
    sections = list(check_up(here(), os.environ))
    problems = [problem for section in sections for problem in section.problems]
    if options.format == "json":
        terminal.write(json.dumps({"sections": [asdict(section) for section in sections]}) + "\n")
    else:
        terminal.write("".join(f"{line}\n" for line in describe(terminal, sections, every=options.verbose)))
    return 1 if problems else 0


def describe(terminal: Terminal, sections: Sequence[Section], *, every: bool) -> Iterator[str]:
    """Give the lines that show what was found; `every`: defaults too."""
    for section in sections:
        yield terminal.paint(section.title, "bold")
        for fact in section.facts:
            if every or not fact.default:
                source = terminal.paint(f"  ({safe.line(fact.source)})", "dim") if fact.source else ""
                yield f"  {fact.name:<14} {safe.line(fact.value)}{source}"
        hidden = 0 if every else sum(fact.default for fact in section.facts)
        if hidden:
            yield terminal.paint(f"  {words.number(hidden, 'default')} not shown; -v shows them", "dim")
        for problem in section.problems:
            first, *rest = safe.block(problem.what, colour=False).split("\n")
            yield f"  {terminal.paint('problem', 'bold red')}        {first}"
            yield from (f"                 {line}" for line in rest)
            yield f"  {terminal.paint('fix', 'bold')}            {safe.line(problem.fix)}"
            yield from (f"                 {line}" for line in safe.block(problem.detail, colour=False).splitlines())
        yield ""
    count = sum(len(section.problems) for section in sections)
    yield terminal.paint(f"{words.number(count, 'problem')} found", "bold red") if count else "no problems found"


__all__ = ["EPILOG", "OPERANDS", "arguments", "describe", "main"]
