"""`testd status`: the daemon, its agents with their runners, its runs.

Runs in the client.
"""

from __future__ import annotations

import os
import sys
import time

from testd_daemon.cli.arguments import one_of
from testd_daemon.cli.running import running_daemon
from testd_daemon.reports import safe, words
from testd_daemon.reports.terminal import standard_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser
    from testd_daemon.reports.terminal import Terminal

    Part = Mapping[str, Any]

OPERANDS = None
EPILOG = "Exit status: 0, whether a daemon runs or not; --format json says which in `running`."


def arguments(parser: Parser) -> None:
    """Add what `testd status` takes."""
    parser.add_argument("--format", type=one_of("text", "json"), default="text", metavar="text|json",
                        help="json: one object, as in docs/json-events.md")  # fmt: skip


def main(options: Options) -> int:
    """Show the status; that no daemon runs is an answer, not an error."""
    report: dict[str, Any] | None = None
    client = running_daemon()
    if client is not None:
        with client:
            report = client.status()
    terminal = standard_output(os.environ)
    if options.format == "json":
        import json

        facts = {key: value for key, value in (report or {}).items() if key != "type"}
        sys.stdout.write(json.dumps({"running": report is not None, **facts}) + "\n")
    elif report is None:
        terminal.write("no daemon is running; `testd run` starts one\n")
    else:
        terminal.write("".join(f"{line}\n" for line in describe(terminal, report, time.time())))
    return 0


def describe(terminal: Terminal, report: Part, now: float) -> Iterable[str]:
    """Give the lines that show a `StatusReport`."""
    ends = f", ends when idle for {words.seconds(report['idle_exit'])}" if report["idle_exit"] else ""
    memory = f", {words.memory(report['memory'])}" if report["memory"] else ""
    started = words.ago(report["started_at"], now)
    yield terminal.paint(f"testd {report['version']}", "bold") + (
        f"  pid {report['pid']}, started {started}{memory}, {words.number(report['clients'], 'client')}{ends}"
    )
    for key in ("socket", "journal", "log"):
        yield f"  {key:<8} {safe.line(str(report[key]))}"
    for agent in report["agents"]:
        yield ""
        yield from _agent(terminal, agent)
    if report["runs"]:
        yield ""
        yield terminal.paint("runs", "bold")
        for run in sorted(report["runs"], key=lambda each: -float(each["accepted_at"])):
            yield _run(terminal, run, now)


def _agent(terminal: Terminal, agent: Part) -> Iterable[str]:
    facts = [agent["state"]]
    facts += [f"pid {agent['pid']}"] if agent["pid"] else []
    facts += [words.memory(agent["memory"])] if agent["memory"] else []
    facts += [f"restarted {words.number(agent['restarts'], 'time')}"] if agent["restarts"] else []
    yield f"{terminal.paint(safe.line(str(agent['workspace'])), 'bold')}  {', '.join(facts)}"
    for runner in agent["runners"]:
        facts = [runner["state"]]
        facts += [f"Python {runner['python']}"] if runner["python"] else []
        facts += [f"{words.number(runner['tests'], 'test')} warm"] if runner["tests"] else []
        facts += [words.memory(runner["memory"])] if runner["memory"] else []
        facts += [f"pid {runner['pid']}"] if runner["pid"] else []
        facts += [f"for {words.seconds(runner['age'])}"]
        yield f"  {safe.line(str(runner['target'])):<8} {', '.join(facts)}"


def _run(terminal: Terminal, run: Part, now: float) -> str:
    said = ", ".join(text for _, text in words.counts(run["counts"]))
    if run["exit_code"] is None:
        done = sum(run["counts"].values())
        of = f"{done:,} of {words.number(run['tests'], 'test')}" if run["tests"] >= done else f"{done:,} done"
        said = f"{of}{', ' + said if said else ''}"
    word = "watching" if run.get("watch") and run["exit_code"] is None else run["state"]
    state = terminal.paint(f"{word:<9}", "red" if run["exit_code"] not in (None, 0, 5) else "green")
    when = words.ago(run["accepted_at"], now)
    return f"  {run['run']}  {state}  {when:>10}  {said or 'no tests ran'}  {safe.line(str(run['workspace']))}"


__all__ = ["EPILOG", "OPERANDS", "arguments", "describe", "main"]
