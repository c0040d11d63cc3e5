"""What the text report says in one line, or a few: of a test, of a leak, of why there is no result.

Runs in the client, on the quick path: imports our own helpers.
"""

from __future__ import annotations

from testd_daemon.reports import safe, words
from testd_daemon.reports.base import BAD, NOTICE_FROM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from testd_daemon.reports.terminal import Terminal

__all__ = ["LONGEST_LEAK", "difference", "indented", "leaks", "named", "notice", "outcome", "problem", "unavailable"]

#: Characters of the line that says what a test left behind: a child process has its whole command in it.
LONGEST_LEAK = 240
_NOTICE_STYLES = {"error": "bold red", "warning": "yellow"}


def outcome(terminal: Terminal, row: Sequence[Any], target: str) -> str:
    """Say a test's verdict, time and reason. `target`: empty where it is clear."""
    test, _, verdict, duration, _, _, detail = row[:7]
    verdict_said = terminal.paint(f"{verdict:<9}", words.style(verdict))
    where = f" [{safe.line(target)}]" if target else ""
    why = str(detail["message"]) if detail and verdict not in BAD and detail.get("message") else ""
    said = terminal.paint(f" ({safe.line(why)})", "dim") if why else ""
    return f"{verdict_said} {words.seconds(duration):>8}  {safe.line(test)}{where}{said}\n"


def leaks(terminal: Terminal, row: Sequence[Any], target: str, verbosity: int) -> str:
    """Say what a test that is no failure left behind; with `-q` nothing."""
    left = row[6].get("leaks") if row[6] else None
    if not left or verbosity < 0:
        return ""
    where = f" [{target}]" if target else ""
    said = safe.line(f"LEAK {row[0]}{where}: {'; '.join(map(str, left))}")
    said = said if verbosity > 0 or len(said) <= LONGEST_LEAK else said[: LONGEST_LEAK - 3] + "..."
    return terminal.paint(said, "dim") + "\n"


def named(terminal: Terminal, verdict: str, test: str, message: str, *, where: str = "", indent: int = 0) -> str:
    """Name a failed test in a list, with as much of its message as the line has room for."""
    name = safe.line(f"{test} [{where}]" if where else test)
    first = safe.line((message.splitlines() or [""])[0])
    room = terminal.width - indent - len(verdict) - len(name) - 4
    cut = first if len(first) <= room else first[: room - 3] + "..." if room > 10 else ""
    said = f"{terminal.paint(verdict.upper(), 'red')} {terminal.paint(name, 'bold')}{' - ' + cut if cut else ''}"
    return " " * indent + said


def problem(terminal: Terminal, body: Mapping[str, Any], message: str) -> str:
    """Say why something could not be done, what would be right, and more."""
    text = f"testd: {safe.block(message, colour=False)}\n"
    if body.get("hint"):
        text += safe.block(str(body["hint"]), colour=False) + "\n"
    if body.get("detail"):
        text += indented(safe.block(str(body["detail"]), colour=terminal.colour))
    return text


def notice(terminal: Terminal, body: Mapping[str, Any], verbosity: int, *, target: str = "") -> str:
    """Return what the user should know; of a target where one is named. Nothing for what needs more `-v`."""
    level = str(body["level"])
    if verbosity < NOTICE_FROM.get(level, 1):
        return ""
    label = terminal.paint(f"{level}:", _NOTICE_STYLES.get(level, "dim"))
    where = f"{safe.line(target)}: " if target else ""
    text = f"{label} {where}{safe.block(str(body['text']), colour=False)}\n"
    detail = str(body.get("detail") or "")
    if detail and (verbosity > 0 or level == "error"):
        text += indented(safe.block(detail, colour=terminal.colour))
    return text


def unavailable(terminal: Terminal, body: Mapping[str, Any], verbosity: int) -> str:
    """Say that a target is not usable, and why. With `-q` in one line."""
    required = bool(body.get("required"))
    label = terminal.paint("unavailable:", "bold red" if required else "yellow")
    needed = " (required)" if required else ""
    text = f"{label} {safe.line(str(body['target']))}{needed}: {safe.line(str(body['message']))}\n"
    if verbosity < 0 and not required:
        return text
    more = "\n".join(str(body[key]).rstrip() for key in ("hint", "detail") if body.get(key))
    return text + (indented(safe.block(more, colour=terminal.colour)) if more else "")


def difference(terminal: Terminal, body: Mapping[str, Any]) -> str:
    """Say what a test came to warm and what in new processes, with the first line of each message."""
    label = terminal.paint("FLAKY" if body["flaky"] else "DIFFERS", "yellow" if body["flaky"] else "bold red")
    text = f"{label} {terminal.paint(safe.line(str(body['test'])), 'bold')} [{safe.line(str(body['target']))}]\n"
    for way in ("warm", "fresh"):
        verdict = body[way]
        said = terminal.paint(verdict, words.style(verdict)) if verdict else "no such test"
        message = safe.line((str(body[f"{way}_message"]).splitlines() or [""])[0])
        text += f"    {way:<5}  {said}{': ' + message if message else ''}\n"
    return text


def indented(text: str) -> str:
    """Set lines apart from what is said around them."""
    return "".join(f"    {line}\n" for line in text.rstrip("\n").split("\n"))
