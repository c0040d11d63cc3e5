"""`testd record`: run a program, and keep what its traced functions do.

Runs in the client. The program's own processes are told by their environment: those of Python (see
`testd.tracing.start`) and those of Node.js (`record.js`).
"""

from __future__ import annotations

import json
import os
import sys
import time

from testd import workspace
from testd_daemon.cli.arguments import Operands, Parser
from testd_daemon.cli.here import here
from testd_daemon.cli.program import Program, end_like
from testd_daemon.client import traces
from testd_daemon.client.sync import Client
from testd_daemon.errors import TestdError
from testd_daemon.reports import words
from testd_daemon.runtime import folders

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

#: What follows its own options is the program's.
VERBATIM = True
OPERANDS = Operands("PROGRAM ARGUMENT", 1, None, "what to run; it has stdin, stdout and all signals as without testd")
EPILOG = "Exit status: the program's."
#: Seconds that the program may take at its end for what is on its way.
_WAIT = 60.0
#: Traces that are named at the end.
_NAMED = 10
_NOTHING = (
    "testd: no traced function was called. Decorate some with @traced, name modules in [tool.testd.trace], or: "
    "testd record --module NAME …"
)


def main(words: list[str]) -> int:
    """Run the program, and say at its end what there is of it."""
    from testd_daemon.cli.entry import parse

    parser = Parser("record", "run a program, and keep what its traced functions do", OPERANDS, EPILOG)
    parser.add_argument("--module", action="append", default=[], dest="modules", metavar="NAME",
                        help="trace this module as well; a pattern such as shop.* for several")  # fmt: skip
    own, command = _divided(words, parser)
    options = parse(parser, [*own, *(["--", *command] if command else [])])
    root, _ = workspace.find(here())
    recording = os.urandom(8).hex()
    environment = _environment(root, recording, options.modules)
    with Client.connect(start=True) as client:  # so that it is there when the program begins
        traces.find(client, root, recording=recording, limit=1)
    status = Program(command, environment).run()
    try:
        with Client.connect(start=True) as client:
            report = traces.find(client, root, recording=recording, limit=_NAMED)
        sys.stderr.write("".join(f"{line}\n" for line in _told(report)))
    except TestdError as error:  # the status of the program counts
        sys.stderr.write(f"testd: what was recorded cannot be told: {error.message}\n")
    sys.stderr.flush()
    return end_like(status)


def _divided(words: list[str], parser: Parser) -> tuple[list[str], list[str]]:
    """Divide a command line into the options of this verb and the program with its arguments."""
    flags = parser.flags()
    at = 0
    while at < len(words) and words[at].startswith("-"):
        if words[at] == "--":
            return words[:at], words[at + 1 :]
        option = flags.get(words[at])
        at += 2 if option is not None and option.takes_value else 1
    return words[:at], words[at:]


def _environment(root: str, recording: str, modules: list[str]) -> dict[str, str]:
    """Return the environment of the program: this one's, with what makes its processes connect: Python and Node.js."""
    from testd_daemon.config import resolve
    from testd_runners.bundle import unpack

    environment = dict(os.environ)
    table = _with(dict(resolve(root, environment).settings.trace), modules)
    settings = {"trace": table, "workspace": root, "recording": recording, "wait": _WAIT}
    bundle = unpack(folders().cache)
    start = os.path.join(bundle, "testd", "tracing", "start")  # noqa: PTH118
    node = os.path.join(bundle, "node", "record.js").replace("\\", "\\\\").replace('"', '\\"')  # noqa: PTH118
    environment["TESTD_TRACE"] = json.dumps(settings)
    environment["NODE_OPTIONS"] = " ".join(filter(None, (environment.get("NODE_OPTIONS"), f'--require "{node}"')))
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (start, environment.get("PYTHONPATH", ""))))
    return environment


def _with(table: dict[str, Any], modules: list[str]) -> dict[str, Any]:
    """Add modules to what is configured."""
    if not modules:
        return table
    configured = table.get("modules", {})
    named = dict.fromkeys(configured, True) if isinstance(configured, list) else configured
    return {**table, "modules": {**named, **dict.fromkeys(modules, True)}}


def _told(report: Mapping[str, Any]) -> Iterator[str]:
    """Give the lines that say what was caught."""
    from testd_daemon.cli.traces import describe
    from testd_daemon.reports.terminal import describe as terminal_of

    entries, dropped = report["entries"], report["dropped"]
    if not entries and not dropped:
        yield _NOTHING
        return
    lost = f"; {words.number(dropped, 'more trace')} came too fast, and did not get here" if dropped else ""
    yield f"testd: recorded {words.number(len(entries) + report['more'], 'trace')}{lost}"
    yield from (f"  {line}" for line in describe(terminal_of(sys.stderr, os.environ), entries, time.time()))
    if report["more"]:
        yield f"  … and {report['more']} more: testd traces --recording {entries[0]['recording']}"
    if entries:
        yield "testd trace ID shows one of them"


__all__ = ["EPILOG", "OPERANDS", "VERBATIM", "main"]
