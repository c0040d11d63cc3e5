"""`testd targets`: what is configured, what is found on this machine, and why something is not usable.

Runs in the client. Needs no daemon and starts none.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from testd_daemon.cli.arguments import Operands, one_of
from testd_daemon.cli.here import here
from testd_daemon.reports import safe
from testd_daemon.reports.terminal import standard_output

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testd_daemon.cli.arguments import Options, Parser
    from testd_daemon.config import Target
    from testd_daemon.errors import TestdError
    from testd_daemon.reports.terminal import Terminal
    from testd_daemon.survey import Found

OPERANDS: Operands | None = None
EPILOG = "Exit status: 0, or 1 where a configured target is not usable, or the configuration is wrong."
_TITLES = {
    "target": "targets",
    "python": "Python",
    "node": "Node.js",
    "engine": "container engines",
    "host": "hosts of the ssh configuration",
}


def arguments(parser: Parser) -> None:
    """Add what `testd targets` takes."""
    parser.add_argument("--check", action="store_true", help="connect to every host, without asking anything")
    parser.add_argument("--format", type=one_of("text", "json"), default="text", metavar="text|json",
                        help="json: one object, as in docs/json-events.md")  # fmt: skip


def main(options: Options) -> int:
    """Look at everything and show it. Returns 1 where a configured target is not usable."""
    import anyio

    from testd import workspace
    from testd_daemon import runtime, survey

    root, _ = workspace.find(here())
    environment = dict(os.environ)
    targets, wrong = _configured(root, environment)
    asked = survey.Asked(root, environment, runtime.folders().cache, options.check, survey.DEADLINE)
    found = anyio.run(survey.everything, asked, targets)
    terminal = standard_output(environment)
    if options.format == "json":
        terminal.write(_json(root, found, wrong))
    else:
        terminal.write("".join(f"{line}\n" for line in describe(terminal, root, found, wrong, checked=options.check)))
    return 1 if wrong or any(each.kind == "target" and each.usable is False for each in found) else 0


def _configured(root: str, environment: dict[str, str]) -> tuple[list[Target], TestdError | None]:
    """Return the configured targets. What is wrong with the configuration does not hide what this machine has."""
    from testd_daemon import survey
    from testd_daemon.config import resolve
    from testd_daemon.errors import ConfigError

    try:
        return survey.targets(resolve(root, environment)), None
    except ConfigError as error:
        return [], error


def _json(root: str, found: Sequence[Found], wrong: TestdError | None) -> str:
    import msgspec

    report: dict[str, object] = {"workspace": root}
    if wrong is not None:
        report["problem"] = {"message": wrong.message, "fix": wrong.hint}
    for kind, key in (("target", "targets"), ("python", "pythons"), ("node", "nodes"), ("engine", "engines"),
                      ("host", "hosts")):  # fmt: skip
        report[key] = [msgspec.to_builtins(each) for each in found if each.kind == kind]
    return json.dumps(report) + "\n"


def describe(
    terminal: Terminal, root: str, found: Sequence[Found], wrong: TestdError | None, *, checked: bool
) -> Iterator[str]:
    """Give the lines that show what was found, one section for each kind."""
    for kind, title in _TITLES.items():
        section = [each for each in found if each.kind == kind]
        if kind == "target":
            title = f"{title} of {safe.line(root)}"
        if kind == "host" and section and not checked:
            title += ", not connected (--check connects)"
        if not section and kind == "host":
            continue
        yield terminal.paint(title, "bold")
        if kind == "target" and wrong is not None:
            yield from _problem(terminal, wrong.message, wrong.hint, wrong.detail)
        elif not section:
            yield "  none found"
        names = max((len(_label(each)) for each in section), default=0)
        places = max((len(safe.line(each.place)) for each in section), default=0)
        for each in section:
            yield _line(terminal, each, min(names, 24), min(places, 60))
            if each.usable is False and each.fix:
                yield from _problem(terminal, each.problem, each.fix, each.detail)
        yield ""


def _label(found: Found) -> str:
    return safe.line(found.name or found.version or "?")


def _line(terminal: Terminal, found: Found, names: int, places: int) -> str:
    mark = {True: ("+", "green"), False: ("-", "red"), None: ("?", "yellow")}[found.usable]
    facts = [found.version] if found.version and found.version != found.name else []
    facts += found.facts if found.fix else [*found.facts, *filter(None, [found.problem])]
    text = f"{_label(found):<{names}}  {safe.line(found.place):<{places}}  {safe.line(', '.join(facts))}".rstrip()
    return f"  {terminal.paint(*mark)} {text}"


def _problem(terminal: Terminal, problem: str, fix: str, detail: str) -> Iterator[str]:
    for number, line in enumerate(safe.block(problem, colour=False).splitlines()):
        yield f"      {terminal.paint(line, 'red') if not number else line}"
    if fix:
        yield f"      {terminal.paint('fix', 'bold')}  {safe.line(fix)}"
    yield from (f"      {terminal.paint(line, 'dim')}" for line in safe.block(detail, colour=False).splitlines()[-5:])


__all__ = ["EPILOG", "OPERANDS", "arguments", "describe", "main"]
