"""The graph of a workflow as SVG, with a run's statuses in colour. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from testd_daemon.workflows.course import Course, Function
from testd_daemon.workflows.drawing.marks import COLOURS, counted, said, together
from testd_daemon.workflows.drawing.placing import Placed, Point, placed
from testd_daemon.workflows.drawing.svg import CHARACTER, document, element, text, titled
from testd_daemon.workflows.graph import Graph

__all__ = ["picture"]

_HEIGHT = 46.0
_LEAST = 84.0
#: Of a rank's mark below its action's name, and how many are drawn.
_MARK, _MARKS = 8.0, 12
_LINE, _PALE = "#6b7280", "#d1d5db"


def picture(name: str, graph: Graph, course: Course | None = None) -> str:
    """Return the picture of a workflow; `course` colours it by how a run goes."""
    widths = {action: max(_LEAST, len(_label(graph, action)) * CHARACTER + 28) for action in graph.actions}
    where = placed(graph, widths, _HEIGHT)
    body = [_arrow(), *_edges(graph, where, course)]
    for action in graph.actions:
        body += _box(graph, action, where.boxes[action], widths[action], course)
    return document(where.width, where.height, f"workflow {name}", body)


def _arrow() -> str:
    path = element("path", d="M0,0 L8,4 L0,8 z", fill=_LINE)
    marker = element("marker", path, id="arrow", markerWidth=8, markerHeight=8, refX=7, refY=4, orient="auto",
                     markerUnits="userSpaceOnUse")  # fmt: skip
    return element("defs", marker)


def _label(graph: Graph, action: str) -> str:
    return f"{action} \u00d7 {graph.ranks[action]}" if graph.ranks[action] > 1 else action


def _edges(graph: Graph, where: Placed, course: Course | None) -> Iterator[str]:
    """Draw each line; one that depends on a value is dashed and says on which, one that was not taken is pale."""
    branches: dict[tuple[str, str], list[str]] = {}
    for edge in graph.edges:
        branches.setdefault((edge.source, edge.target), []).append(edge.branch)
    for (source, target), taken in branches.items():
        start, end = where.boxes[source], where.boxes[target]
        points = [
            Point(start.x, start.y + _HEIGHT / 2),
            *where.ways[source, target],
            Point(end.x, end.y - _HEIGHT / 2 - 1),
        ]
        known = [branch for branch in taken if branch]
        pale = course is not None and any(_passed_by(graph, action, course) for action in (source, target))
        style = {"stroke_dasharray": "5 4"} if known else {}
        yield element("path", d=_curve(points), fill="none", stroke=_PALE if pale else _LINE, stroke_width=1.4,
                      marker_end="url(#arrow)", **style)  # fmt: skip
        if known:
            side, anchor = (-8, "end") if end.x < start.x else (8, "start")  # away from the line
            yield text(end.x + side, points[-1].y - 9, " or ".join(known), fill=_LINE, font_size="11px",
                       text_anchor=anchor)  # fmt: skip


def _curve(points: Sequence[Point]) -> str:
    """Return a path through points, upright at each of them."""
    path = f"M{points[0].x:.1f},{points[0].y:.1f}"
    for before, point in pairwise(points):
        bend = (point.y - before.y) / 2
        path += f" C{before.x:.1f},{before.y + bend:.1f} {point.x:.1f},{point.y - bend:.1f} {point.x:.1f},{point.y:.1f}"
    return path


def _passed_by(graph: Graph, action: str, course: Course) -> bool:
    """Whether an action was not invoked."""
    statuses = {function.status for function in _functions(graph, action, course)}
    return statuses == {"not_invoked"}


def _functions(graph: Graph, action: str, course: Course | None) -> list[Function]:
    found = course.functions if course else {}
    return [found[name] for name in graph.instances_of(action) if name in found]


def _box(graph: Graph, action: str, at: Point, width: float, course: Course | None) -> Iterator[str]:
    functions = _functions(graph, action, course)
    status = together([function.status for function in functions])
    fill, border = COLOURS[status]
    left, top = at.x - width / 2, at.y - _HEIGHT / 2
    shape: dict[str, Any] = {
        "rx": 8,
        "fill": fill,
        "stroke": border,
        "stroke_width": 1.5,
        "width": width,
        "height": _HEIGHT,
    }
    if status == "not_invoked":
        shape["stroke_dasharray"] = "4 3"
    pieces = [titled(_about(action, functions))]
    if graph.ranks[action] > 1:  # a second sheet behind the first
        pieces.append(element("rect", x=left + 5, y=top + 5, **shape))
    pieces.append(element("rect", x=left, y=top, **shape))
    below = 6.0 if functions or graph.ranks[action] > 1 else -4.0
    pieces.append(text(at.x, at.y - below + 1, _label(graph, action), text_anchor="middle", fill="#111827"))
    if 1 < len(functions) <= _MARKS:
        pieces += _marks(functions, at)
    elif functions:
        counts: dict[str, int] = {}
        for function in functions:
            counts[function.status] = counts.get(function.status, 0) + 1
        word = said(status) if len(counts) == 1 else counted(counts)
        pieces.append(text(at.x, at.y + 13, word, text_anchor="middle", fill=border, font_size="11px"))
    yield element("g", "".join(pieces))


def _marks(functions: Sequence[Function], at: Point) -> Iterator[str]:
    """Draw a mark for each rank."""
    begin = at.x - (len(functions) * (_MARK + 3) - 3) / 2
    for number, function in enumerate(functions):
        fill, border = COLOURS[function.status]
        said_of = titled(_about(function.name, [function]))
        yield element("rect", said_of, x=begin + number * (_MARK + 3), y=at.y + 6, width=_MARK, height=_MARK, rx=2,
                      fill=fill, stroke=border)  # fmt: skip


def _about(name: str, functions: Sequence[Function]) -> str:
    whys = sorted({function.why for function in functions if function.why})
    states = ", ".join(sorted({said(function.status) for function in functions}))
    return f"{name}: {states}{' (' + '; '.join(whys[:3]) + ')' if whys else ''}" if states else name
