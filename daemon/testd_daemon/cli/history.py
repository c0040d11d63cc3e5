"""`testd history`: the runs of this workspace, or how a test has fared: its state now, and when its verdict changed.

Runs in the client.
"""

from __future__ import annotations

import os
import time

from testd import workspace
from testd_daemon.cli.arguments import Operands
from testd_daemon.cli.entries import add_arguments, write_json
from testd_daemon.cli.here import here
from testd_daemon.client.sync import Client
from testd_daemon.reports import safe, words
from testd_daemon.reports.terminal import standard_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser
    from testd_daemon.reports.terminal import Terminal

    Entry = Mapping[str, Any]

OPERANDS = Operands("TEST", 0, 1, "a node id or a part of one; none: the runs")


def arguments(parser: Parser) -> None:
    """Add what `testd history` takes."""
    add_arguments(parser, shown="entries", line="entry")


def main(options: Options) -> int:
    """Show the history. Starts the daemon where none runs: the workspace's agent keeps it."""
    root, _ = workspace.find(here())
    test = options.operands[0] if options.operands else ""
    with Client.connect(start=True) as client:
        found = client.history(root, test, options.limit)["entries"]
    if options.format == "json":
        write_json(found)
        return 0
    terminal = standard_output(os.environ)
    if not found:
        terminal.write(f"no test with {safe.line(test)!r} has run here yet\n" if test else "nothing has run here yet\n")
    terminal.write("".join(f"{line}\n" for line in describe(terminal, found, time.time())))
    return 0


def describe(terminal: Terminal, entries: Sequence[Entry], now: float) -> Iterable[str]:
    """Give the lines that show history's entries."""
    several = len({entry["target"] for entry in entries if entry["target"]}) > 1
    for entry in entries:
        target = f" [{safe.line(str(entry['target']))}]" if several else ""
        if not entry["test"]:
            yield _run(terminal, entry, now) + target
            continue
        verdict = terminal.paint(f"{entry['verdict']:<9}", words.style(entry["verdict"]))
        if entry["run"]:  # a change
            message = safe.line((str(entry["message"]).splitlines() or [""])[0])
            yield f"    became {verdict} {words.ago(entry['at'], now):>10}  in run {entry['run']}  {message}".rstrip()
            if since := _since(entry):
                yield terminal.paint(f"        {since}", "dim")
        else:
            often = f"{entry['failures']} of {words.number(entry['runs'], 'run')} not passed"
            took = words.seconds(entry["duration"])
            yield f"{verdict} {terminal.paint(safe.line(str(entry['test'])), 'bold')}{target}  {took}, {often}"


def _since(entry: Entry) -> str:
    """Say what had changed in the workspace since the test's outcome before, as far as that is known."""
    if not entry.get("generation"):
        return ""
    commit = f", at commit {entry['commit'][:12]}" if entry["commit"] else ""
    where = f"generation {entry['generation']}{commit}"
    if not entry["previous"]:
        return where
    if not entry["changed"]:
        return f"{where}: nothing had changed in the workspace"
    more = f" and {entry['more']} more" if entry["more"] else ""
    return f"{where}: changed since then {', '.join(safe.line(path) for path in entry['changed'])}{more}"


def _run(terminal: Terminal, entry: Entry, now: float) -> str:
    said = ", ".join(terminal.paint(text, words.style(verdict)) for verdict, text in words.counts(entry["counts"]))
    when = words.ago(entry["at"], now)
    return f"{entry['run']}  {when:>10}  {words.seconds(entry['duration']):>8}  {said or entry['verdict']}"


__all__ = ["OPERANDS", "arguments", "describe", "main"]
