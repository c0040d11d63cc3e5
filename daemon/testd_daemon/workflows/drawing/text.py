"""The graph of a workflow as lines of a terminal: one line an action, in the order in which they can run. Pure.

1  create-input
2  test-py-api      < create-input
3  sync1            < test-py-api and test-r-api
4  test-rank (5)    < sync1
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from testd_daemon.reports import words
from testd_daemon.workflows.course import Course, Function
from testd_daemon.workflows.drawing.marks import STYLES, said, together
from testd_daemon.workflows.graph import Edge, Graph

__all__ = ["lines"]

Span = tuple[str, str]
#: Predecessors that are named.
_NAMED = 4


def lines(
    graph: Graph, course: Course | None = None, *, unicode: bool = True, now: float = 0.0
) -> Iterator[list[Span]]:
    """Give the graph's lines in spans of one style; `course` adds how each action stands in a run.

    `now`: wall clock, up to which what runs has been running; 0: the run's newest event.
    """
    functions: Mapping[str, Function] = course.functions if course else {}
    names = {action: _name(graph, action) for action in graph.actions}
    width = max(map(len, names.values()))
    numbers = len(str(max(graph.levels.values()) + 1))
    arrow = "←" if unicode else "<"
    before = -1
    for action in sorted(graph.order, key=graph.levels.__getitem__):
        level = graph.levels[action]
        number = str(level + 1) if level != before else ""
        before = level
        line: list[Span] = [(f"{number:>{numbers + 1}}  ", "dim"), (names[action], "bold")]
        padding = " " * (width - len(names[action]))
        line.append((padding, ""))
        if course is not None:
            known = [functions[name] for name in graph.instances_of(action) if name in functions]
            line += _status(known, now or course.ended)
        edges = graph.incoming[action]
        if edges:
            line.append((f"  {arrow} {_sources(graph, edges)}", "dim"))
        yield line


def _name(graph: Graph, action: str) -> str:
    return f"{action} ({graph.ranks[action]})" if graph.ranks[action] > 1 else action


def _status(functions: Sequence[Function], now: float) -> list[Span]:
    """Say how the instances of an action stand, and how long they have been at work, in columns of their own."""
    statuses = [function.status for function in functions]
    status = together(statuses)
    count = statuses.count(status) if len(statuses) > 1 and status != "running" else 0
    if status == "running" and len(statuses) > 1:
        count = sum(function.final for function in functions)
        word = f"running {count}/{len(statuses)}"
    else:
        word = f"{said(status)} {count}/{len(statuses)}" if 0 < count < len(statuses) else said(status)
    began = [function.began for function in functions if function.began]
    end = max(function.ended or now for function in functions) if began else 0.0
    took = words.clock(max(0.0, end - min(began))) if began else ""
    return [(f"  {word:<16}", STYLES.get(status, "")), (f"{took:>8}", "")]


def _sources(graph: Graph, edges: Sequence[Edge]) -> str:
    """Say what an action waits for: `a and b`, `c if it returns True`."""
    found: dict[str, list[str]] = {}
    for edge in edges:
        found.setdefault(edge.source, []).append(edge.branch)
    shown = [_source(graph, source, branches) for source, branches in found.items()]
    if len(shown) > _NAMED:
        return f"{', '.join(shown[: _NAMED - 1])} and {len(shown) - _NAMED + 1} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def _source(graph: Graph, source: str, branches: Sequence[str]) -> str:
    name = f"all {graph.ranks[source]} {source}" if graph.ranks[source] > 1 else source
    known = [branch for branch in branches if branch]
    return f"{name} if it returned {known[0]}" if len(known) == 1 else name
