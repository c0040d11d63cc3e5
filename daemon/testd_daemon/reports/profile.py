"""Where the time of a run went, as a table.

Runs in the client, when asked for: imports nothing but our own helpers.
"""

from __future__ import annotations

from testd_daemon.reports import safe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from testd_daemon.reports.terminal import Terminal

#: What a span is, for people who have not read the documentation.
_MEANINGS = {
    "start": "the command, until it knows what to do",
    "reach": "connect to the daemon, or start it",
    "accept": "the run is in the journal",
    "hand over": "from the journal to the workspace's agent",
    "target": "configuration, interpreter, environment",
    "history": "what is known of earlier runs",
    "affected": "look at files, and choose what a change may affect",
    "runner": "find a warm runner, or start one",
    "files": "bring the target's copy of the workspace up to date",
    "notice": "ask every loaded file whether it has changed",
    "collect": "import and collect",
    "collect: import": "of it, importing test modules",
    "select": "match the arguments, -k",
    "plan": "cut the tests into jobs",
    "fork": "from the order for workers to the first test",
    "tests": "from the first test's start to the last one's end",
    "tests: bodies": "of all workers, in tests with their fixtures",
    "tests: idle": "of all workers, between tests",
    "end": "session teardown, until the last worker is gone",
    "report": "from the agent to this line",
}


def table(terminal: Terminal, body: Mapping[str, Any], client: Mapping[str, float], now: float) -> str:
    """Give the lines. `client`: what this command has measured, and `accepted`: when its run was, by the wall clock."""
    spans = dict(client)
    accepted = spans.pop("accepted", 0.0)
    if accepted:
        spans["hand over"] = max(0.0, float(body["began"]) - accepted)
    lines = [_line(terminal, "client", name, seconds) for name, seconds in spans.items()]
    for target, told in body["targets"].items():
        lines += [_line(terminal, safe.line(str(target)), str(name), float(told[name])) for name in told]
    lines.append(_line(terminal, "client", "report", max(0.0, now - float(body["ended"]))))
    return "where the time went, in ms\n" + "".join(lines)


def _line(terminal: Terminal, where: str, name: str, seconds: float) -> str:
    indent = "  " if ":" in name else ""
    said = f"  {where:<10} {indent}{name.rpartition(': ')[2]:<{14 - len(indent)}} {seconds * 1000:>9.1f}"
    return f"{said}  {terminal.paint(_MEANINGS.get(name, ''), 'dim')}".rstrip() + "\n"


__all__ = ["table"]
