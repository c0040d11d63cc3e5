"""`testd suite VERB`: what `testd run`, `testd watch` and `testd list` do, for suites of cases, and what makes suites.

Runs in the client, on the quick path: each of the three is the verb's own module, with filters and results beside.
"""

from __future__ import annotations

import os
import sys

from testd_daemon.cli import group
from testd_daemon.cli.arguments import Operands
from testd_daemon.cli.here import here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser

#: What follows is parsed by the verb that it names.
VERBATIM = True
#: Verb below this one, the module that does the work, and what it does.
VERBS = {
    "run": ("testd_daemon.cli.run", "run suites of cases"),
    "watch": ("testd_daemon.cli.watch", "run suites of cases, and what each change of a file affects from then on"),
    "list": ("testd_daemon.cli.list", "list cases without running them"),
    "record": ("testd_daemon.cli.suite_record", "make a suite of recorded calls"),
    "update": ("testd_daemon.cli.suite_update", "have cases expect what comes now, after a look at each difference"),
    "import": ("testd_daemon.cli.suite_import", "write suites of another system as suites of cases"),
    "export": ("testd_daemon.cli.suite_export", "write suites of cases as tests of a framework"),
}
#: Those that make suites of something else than cases, or something else of suites.
_MAKING = {"export", "import", "record"}
OPERANDS = Operands("PATH", 0, None, "folders, files (*.suite.json), FILE:LINE or FILE::CASE; none: `suites` of the "
                                     "configuration, or the whole workspace")  # fmt: skip
_FILTERS = {
    "id": "only the suite or the case of this id",
    "name": "only suites or cases whose name has this in it",
    "module": "only cases of functions in modules whose name has this in it",
    "function": "only cases of functions whose name has this in it",
    "file": "only cases in, or of functions in, files whose path has this in it",
}


def main(words: list[str]) -> int:
    """Carry out what the first word says. Returns the exit status."""
    from testd_daemon.cli.arguments import Parser
    from testd_daemon.cli.entry import parse

    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(help_text())
        return 0
    verb = words[0]
    module = group.module_of("suite", VERBS, verb)
    summary = VERBS[verb][1]
    parser = Parser(f"suite {verb}", summary, module.OPERANDS if verb in _MAKING else OPERANDS, module.EPILOG)
    module.arguments(parser)
    if verb in _MAKING:
        return int(module.main(parse(parser, words[1:])))
    _add(parser, results=verb in ("run", "watch"))
    options = parse(parser, words[1:])
    options.verb = "suite run"  # what a report says runs a case again
    return int(module.carry_out(options, _request(options)))


def help_text() -> str:
    """Give what `testd suite` alone prints."""
    note = "`testd suite VERB --help` lists what each takes: run, watch and list what `testd VERB` takes, and filters."
    return group.help_text("suite", "PATH …", VERBS, note)


def _add(parser: Parser, *, results: bool) -> None:
    """Declare what suites have beside what the verb takes anyway."""
    which = parser.add_argument_group("which cases")
    for name, summary in _FILTERS.items():
        which.add_argument(f"--{name}", metavar=name.upper(), help=summary)
    if results:
        report = parser.add_argument_group("results")
        report.add_argument("--results", metavar="FILE|FOLDER/", help="write what came of each suite as JSON")
        report.add_argument("--report-url", metavar="URL", help="post what came of each suite as it is through")


def _request(options: Options) -> dict[str, Any]:
    """Return what the request has beside that of the verb."""
    filters = {name: getattr(options, name) for name in _FILTERS if getattr(options, name)}
    place = getattr(options, "results", None) or ""
    if place:
        place = os.path.join(here(), place)  # noqa: PTH118  pathlib costs more than this command
    url = getattr(options, "report_url", None) or ""
    return {"kind": "cases", "filters": filters, "results": place, "report_url": url}


__all__ = ["OPERANDS", "VERBATIM", "VERBS", "help_text", "main"]
