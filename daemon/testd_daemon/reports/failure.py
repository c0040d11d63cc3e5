"""One test that did not pass, as the text report tells it: verdict, traceback, what it printed.

Runs in the client; loaded with a run's first failure. Imports our own helpers and the standard library.
"""

from __future__ import annotations

from testd_daemon.reports import cut, safe, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from testd_daemon.reports.terminal import Terminal

#: Where the frames come from that are the same below every test.
_FRAMEWORK = ("/_pytest/", "/pluggy/", "/testd/runner/", 'File "<string>"', 'File "<frozen runpy>"')


def header(terminal: Terminal, row: Sequence[Any], target: str) -> str:
    """Give the line above a failure: a rule with the verdict, the test, and what it took. `target`: empty if clear."""
    test, _, verdict, duration, memory, _, detail = row[:7]
    phase = str(detail.get("phase") or "") if detail else ""
    left = f"{verdict.upper()} {safe.line(test)}"
    left += f", in {phase}" if phase in ("setup", "teardown") else ""
    left += f" [{safe.line(target)}]" if target else ""
    facts = words.seconds(duration)
    if memory and verdict in ("crashed", "timed out"):
        facts += f", {words.memory(memory)}"
    dash = "──" if terminal.unicode else "--"
    rule = terminal.rule(len(dash) + len(left) + len(facts) + 3)
    return (
        f"{terminal.paint(dash, 'red')} {terminal.paint(left, 'bold red')} {terminal.paint(rule, 'red')} "
        f"{terminal.paint(facts, 'dim')}\n"
    )


def describe(terminal: Terminal, detail: Mapping[str, Any] | None, *, everything: bool = False) -> str:
    """Give what is known about a failure, below its header.

    `everything`: the framework's own frames too, and uncut what is long.
    """
    if not detail:
        return "no detail was reported\n"
    long_lines, printed = (str, str) if everything else (cut.long_lines, cut.section)
    text = safe.block(str(detail.get("text") or ""), colour=terminal.colour).rstrip("\n")
    message = safe.block(str(detail.get("message") or ""), colour=False).strip()
    stacks = safe.block(str(detail.get("stacks") or ""), colour=False).rstrip("\n")
    parts = []
    if message and not _says(text, message):
        parts.append(terminal.paint(long_lines(message), "bold red"))
    if text:
        parts.append(_traceback(terminal, text if everything else long_lines(fold(text))))
    for section in detail.get("sections") or ():
        body = safe.block(printed(str(section["text"]).rstrip("\n")), colour=terminal.colour)
        if body:
            parts += [_subheader(terminal, safe.line(str(section["name"]))), body]
    if detail.get("leaks"):
        parts.append(_subheader(terminal, "Left behind"))
        parts += [safe.line(str(leak)) for leak in detail["leaks"]]
    if stacks and stacks not in text:
        parts += [_subheader(terminal, "Stack of every thread"), stacks if everything else fold(stacks)]
    return "\n".join(parts) + "\n"


def fold(stacks: str) -> str:
    """Take the frames of the test framework and of testd out of stacks as faulthandler writes them, and say so."""
    if "\n  File " not in stacks:
        return stacks
    lines: list[str] = []
    folded = 0
    for line in [*stacks.split("\n"), ""]:
        if line.startswith("  File ") and any(part in line for part in _FRAMEWORK):
            folded += 1
            continue
        if folded:
            lines.append(f"  ... {words.number(folded, 'frame')} of the test framework (-v shows them)")
            folded = 0
        lines.append(line)
    return "\n".join(lines[:-1])


def _says(text: str, message: str) -> bool:
    """Tell whether a traceback says the message, with or without the name of the exception: twice is noise."""
    first = message.split("\n", 1)[0]
    return first in text or (": " in first and first.partition(": ")[2] in text)


def _subheader(terminal: Terminal, name: str) -> str:
    dash = "─" if terminal.unicode else "-"
    return terminal.paint(f"{dash * 2} {name} {dash * 2}", "dim")


def _traceback(terminal: Terminal, text: str) -> str:
    """Paint a traceback as pytest does, unless it came painted: `E` lines red, the failing line bold."""
    if not terminal.colour or "\x1b" in text:
        return text
    lines = []
    for line in text.split("\n"):
        if line.startswith("E ") or line == "E":
            lines.append(terminal.paint(line, "bold red"))
        elif line.startswith(">"):
            lines.append(terminal.paint(line, "bold"))
        else:
            lines.append(line)
    return "\n".join(lines)


__all__ = ["describe", "fold", "header"]
