"""Where the boxes of a graph stand: in rows by their level, ordered so that few lines cross. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from testd_daemon.workflows.graph import Edge, Graph

__all__ = ["Placed", "Point", "placed"]

#: Between two boxes of a row, between two rows, and around all.
GAP, BETWEEN, MARGIN = 26.0, 46.0, 24.0
#: A line on its way through a row takes so much of it.
_THREAD = 12.0
_SWEEPS = 8

#: An action, or the piece of an edge that passes a row: `(source, target, row)`.
Node = str | tuple[str, str, int]


class Point(NamedTuple):
    """A place in the picture."""

    x: float
    y: float


class Placed(NamedTuple):
    """A picture's size, the middle of each action's box, and the points that each edge passes between its ends."""

    width: float
    height: float
    boxes: dict[str, Point]
    ways: dict[tuple[str, str], list[Point]]


def placed(graph: Graph, widths: Mapping[str, float], height: float) -> Placed:
    """Place a graph's actions, whose boxes are as wide as `widths` says and all equally high."""
    rows, links = _rows(graph)
    for sweep in range(_SWEEPS):
        _sort(rows, links, down=sweep % 2 == 0)
    wide = {node: widths[node] if isinstance(node, str) else _THREAD for row in rows for node in row}
    across = _across(rows, links, wide)
    down = [MARGIN + height / 2 + number * (height + BETWEEN) for number in range(len(rows))]
    points = {node: Point(across[node], down[number]) for number, row in enumerate(rows) for node in row}
    ways: dict[tuple[str, str], list[Point]] = {(edge.source, edge.target): [] for edge in graph.edges}
    for node, point in points.items():
        if not isinstance(node, str):
            ways[node[0], node[1]].append(point)
    right = max(across[node] + wide[node] / 2 for node in across)
    boxes = {node: point for node, point in points.items() if isinstance(node, str)}
    return Placed(right + MARGIN, down[-1] + height / 2 + MARGIN, boxes, ways)


def _rows(graph: Graph) -> tuple[list[list[Node]], list[tuple[Node, Node]]]:
    """Return the rows of nodes, and what is linked from each row to the next."""
    rows: list[list[Node]] = [[] for _ in range(max(graph.levels.values()) + 1)]
    links: list[tuple[Node, Node]] = []
    for action in graph.order:
        rows[graph.levels[action]].append(action)
    for edge in {(edge.source, edge.target): edge for edge in graph.edges}.values():
        links += _thread(graph, edge, rows)
    return rows, links


def _thread(graph: Graph, edge: Edge, rows: list[list[Node]]) -> list[tuple[Node, Node]]:
    """Put a node into each row that an edge passes; return the links that it is made of."""
    first, last = graph.levels[edge.source], graph.levels[edge.target]
    between: list[Node] = [(edge.source, edge.target, row) for row in range(first + 1, last)]
    for row, node in zip(range(first + 1, last), between, strict=True):
        rows[row].append(node)
    chain: list[Node] = [edge.source, *between, edge.target]
    return list(pairwise(chain))


def _sort(rows: list[list[Node]], links: Sequence[tuple[Node, Node]], *, down: bool) -> None:
    """Order each row by where the neighbours in the row before it stand."""
    near: dict[Node, list[Node]] = {}
    for upper, lower in links:
        near.setdefault(*((lower, []) if down else (upper, []))).append(upper if down else lower)
    for row in rows if down else reversed(rows):
        place = {node: index / max(1, len(other) - 1) for other in rows for index, node in enumerate(other)}
        means = {node: _mean([place[each] for each in near.get(node, [])], place[node]) for node in row}
        row.sort(key=means.__getitem__)


def _across(
    rows: Sequence[Sequence[Node]], links: Sequence[tuple[Node, Node]], wide: Mapping[Node, float]
) -> dict[Node, float]:
    """Return the middle of each node: near the middle of its neighbours, in its row's order, without touching."""
    near: dict[Node, list[Node]] = {}
    for upper, lower in links:
        near.setdefault(upper, []).append(lower)
        near.setdefault(lower, []).append(upper)
    found: dict[Node, float] = {}
    for row in rows:
        total = sum(wide[node] for node in row) + GAP * (len(row) - 1)
        _spread(row, dict.fromkeys(row, 0.0), wide, found, -total / 2)
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            wanted = {node: _mean([found[each] for each in near.get(node, [])], found[node]) for node in row}
            _spread(row, wanted, wide, found, None)
    left = min(found[node] - wide[node] / 2 for node in found)
    return {node: middle - left + MARGIN for node, middle in found.items()}


def _spread(
    row: Sequence[Node], wanted: Mapping[Node, float], wide: Mapping[Node, float], found: dict[Node, float],
    begin: float | None,
) -> None:  # fmt: skip
    """Put a row's nodes as near to where they are wanted as the ones beside them allow.

    Once from the left and once from the right, and the mean of both: neither side is pushed more than the other.
    """
    rightward: dict[Node, float] = {}
    edge = begin if begin is not None else float("-inf")
    for node in row:
        middle = max(wanted[node] if begin is None else edge, edge + wide[node] / 2)
        rightward[node], edge = middle, middle + wide[node] / 2 + GAP
    if begin is not None:
        found.update(rightward)
        return
    edge = float("inf")
    for node in reversed(row):
        middle = min(wanted[node], edge - wide[node] / 2)
        found[node], edge = (middle + rightward[node]) / 2, middle - wide[node] / 2 - GAP


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
