"""A trace as a tree of calls, one a line: how long it took, what went in, what came out. Runs in the client.

Calls come in the order in which they began, callers first, and each line is made as its call comes: a trace of any size
takes no memory.
"""

from __future__ import annotations

from testd_daemon.reports import recorded, safe, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from testd_daemon.reports.terminal import Terminal

    Call = Mapping[str, Any]

__all__ = ["Limits", "head", "tree"]

_TIME = 11  # columns of a duration
_LEAST = 20  # columns that a call has, however deep it is


class Limits:
    """How much of a trace is shown. None: all of it."""

    def __init__(self, depth: int | None, calls: int | None, width: int | None) -> None:
        """Show calls so deep, so many of one caller, and so many columns of a line."""
        self.depth = depth
        self.calls = calls
        self.width = width


class _Open:
    """A call whose own calls may follow."""

    def __init__(self, call: str, depth: int, shown: bool, above: _Open | None) -> None:
        self.call = call
        self.depth = depth
        self.seen: _Open = self if shown or above is None else above.seen  # the nearest one that is shown
        self.children = 0
        self.hidden = 0
        self.unrecorded = 0


def head(terminal: Terminal, entry: Call, now: float) -> Iterator[str]:
    """Give the lines above a tree: which trace it is."""
    facts = [words.ago(entry["at"], now), words.number(entry["calls"], "call")]
    facts += [f"{entry['failures']} of them failed"] if entry["failures"] else []
    facts += [f"process {entry['pid']}"] if entry["pid"] else []
    yield f"{terminal.paint('trace ' + entry['trace'], 'bold')}  {', '.join(facts)}"
    yield f"{safe.line(entry['module'])}:{safe.line(entry['name'])}  {safe.line(entry['file'])}:{entry['line']}"


def tree(terminal: Terminal, calls: Iterable[Call], limits: Limits) -> Iterator[str]:
    """Give the lines of a tree."""
    trail: list[_Open] = []
    for call in calls:
        while trail and trail[-1].call != call["parent_id"]:
            yield from _left_out(terminal, trail.pop())
        above = trail[-1] if trail else None
        shown = above is None or _has_room(above, limits)
        opened = _Open(call["id"], above.depth + 1 if above else 0, shown, above)
        trail.append(opened)
        if shown:
            opened.unrecorded = call["execution_context"].get("children_cut", 0)
            yield _line(terminal, call, opened.depth, limits.width)
        else:
            opened.seen.hidden += 1
    while trail:
        yield from _left_out(terminal, trail.pop())


def _has_room(above: _Open, limits: Limits) -> bool:
    above.children += 1
    deep = limits.depth is not None and above.depth >= limits.depth
    many = limits.calls is not None and above.children > limits.calls
    return above.seen is above and not deep and not many


def _left_out(terminal: Terminal, ended: _Open) -> Iterator[str]:
    room = " " * (_TIME + 2 + 2 * (ended.depth + 1))
    if ended.hidden:
        yield terminal.paint(f"{room}… {words.number(ended.hidden, 'more call')}, not shown", "dim")
    if ended.unrecorded:
        yield terminal.paint(f"{room}… {words.number(ended.unrecorded, 'more call')}, not recorded", "dim")


def _line(terminal: Terminal, call: Call, depth: int, width: int | None) -> str:
    context = call["execution_context"]
    took = "unfinished" if call["total_time"] is None else f"{call['total_time']:,.2f} ms"
    before = f"{took:>{_TIME}}  {'  ' * depth}"
    text = f"{call['name']}({recorded.arguments(call['input']) if context['copy_input'] else '…'})"
    if call["thrown_error"] is not None:
        said = f"{call['error_type']}: {call['thrown_error']}".splitlines()[0]
    elif context["copy_output"]:
        said = recorded.shown(call["output"])
    else:
        said = "…"
    marks = _marks(context)
    arrow = ("→" if terminal.unicode else "->") if call["thrown_error"] is None else "raised"
    line = safe.line(f"{text} {arrow} {said}{marks}")
    if width is not None:
        room = max(_LEAST, width - len(before))
        if len(line) > room:  # what came out is kept in sight
            least = max(8, room - len(text) - len(arrow) - 2)
            said = recorded.cut(said, max(least, room // 2 - len(arrow) - len(marks)))
            text = recorded.cut(text, max(8, room - len(said) - len(arrow) - len(marks) - 2))
            line = recorded.cut(safe.line(f"{text} {arrow} {said}{marks}"), room)
    return terminal.paint(before, "dim") + (terminal.paint(line, "red") if call["thrown_error"] is not None else line)


def _marks(context: Call) -> str:
    marks = ["mocked"] if context.get("is_mocked") else []
    for part in ("input", "output"):
        marks += [f"{part} not recorded: {context[f'copy_{part}_error']}"] if f"copy_{part}_error" in context else []
    return f"  ({'; '.join(marks)})" if marks else ""
