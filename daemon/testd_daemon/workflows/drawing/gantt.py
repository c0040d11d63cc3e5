"""A run of a workflow as SVG: a bar for each function over time, joined as the graph joins them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from testd_daemon.reports import words
from testd_daemon.workflows.drawing.marks import COLOURS, said
from testd_daemon.workflows.drawing.svg import CHARACTER, document, element, text, titled
from testd_daemon.workflows.graph import Graph, action_of
from testd_daemon.workflows.measures.figures import FunctionFigures, RunFigures

__all__ = ["gantt"]

_ROW, _BAR = 24.0, 14.0
_TOP, _MARGIN, _WIDTH = 74.0, 20.0, 860.0
_LINE, _CRITICAL, _WAIT, _START = "#c4c8cf", "#dc2626", "#9ca3af", "#d1d5db"


class _Scale:
    """Where seconds and rows are in the picture."""

    def __init__(self, run: RunFigures) -> None:
        longest = max(len(function.function) for function in run.functions)
        self.left = _MARGIN + longest * CHARACTER + 14
        self.pixels = _WIDTH / (run.makespan or 1.0)
        self.rows = {function.function: number for number, function in enumerate(run.functions)}

    def x(self, seconds: float) -> float:
        return self.left + max(0.0, seconds) * self.pixels

    def y(self, function: str) -> float:
        """Return the middle of a function's row."""
        return _TOP + self.rows[function] * _ROW + _ROW / 2


def gantt(run: RunFigures, graph: Graph) -> str:
    """Return the picture of a run that has figures."""
    scale = _Scale(run)
    height = _TOP + len(run.functions) * _ROW + 44
    critical = {step.function for step in run.critical}
    body = [*_title(run), *_axis(run, scale, height - 40)]
    body += _edges(run, graph, scale)
    for function in run.functions:
        body += _bar(function, scale, critical=function.function in critical)
    body += _legend(scale, height - 16)
    return document(scale.left + _WIDTH + _MARGIN + 60, height, f"run {run.run} of {run.workflow}", body)


def _title(run: RunFigures) -> Iterator[str]:
    yield text(_MARGIN, 26, run.workflow, font_size="16px", font_weight="bold", fill="#111827")
    about = f"run {run.run}, {words.seconds(run.makespan)}{'' if run.complete else ' so far'}"
    yield text(_MARGIN, 44, about, fill="#6b7280")


def _axis(run: RunFigures, scale: _Scale, bottom: float) -> Iterator[str]:
    step = _step(run.makespan or 1.0)
    digits = max(0, -math.floor(math.log10(step)))
    for number in range(math.floor((run.makespan or 1.0) / step + 1e-9) + 1):
        x = scale.x(number * step)
        yield element("line", x1=x, y1=_TOP - 6, x2=x, y2=bottom, stroke="#eef0f3")
        label = f"{number * step:.{digits}f} s"
        yield text(x, _TOP - 12, label, text_anchor="middle", fill="#6b7280", font_size="11px")


def _step(seconds: float) -> float:
    """Return a round number of seconds of which some eight fit."""
    size = 10.0 ** math.floor(math.log10(seconds / 8))
    return next((size * factor for factor in (1, 2, 5) if size * factor * 8 >= seconds), size * 10)


def _edges(run: RunFigures, graph: Graph, scale: _Scale) -> Iterator[str]:
    """Join each function with the one of each action before it that ended last; the critical path is on top."""
    by_action: dict[str, list[FunctionFigures]] = {}
    for function in run.functions:
        by_action.setdefault(action_of(function.function), []).append(function)
    path = [step.function for step in run.critical]
    steps = set(pairwise(path))
    plain: list[str] = []
    bold: list[str] = []
    for function in run.functions:
        for action in graph.predecessors(action_of(function.function)):
            before = max(by_action.get(action, ()), key=lambda each: each.ended, default=None)
            if before is not None:
                on_path = (before.function, function.function) in steps
                (bold if on_path else plain).append(_edge(before, function, scale, critical=on_path))
    yield from plain
    yield from bold


def _edge(before: FunctionFigures, after: FunctionFigures, scale: _Scale, *, critical: bool) -> str:
    x1, y1 = scale.x(before.ended), scale.y(before.function)
    x2, y2 = scale.x(after.triggered), scale.y(after.function)
    middle = max(x1, x2) + 4
    path = f"M{x1:.1f},{y1:.1f} H{middle:.1f} V{y2:.1f} H{x2:.1f}"
    colour, width = (_CRITICAL, 1.6) if critical else (_LINE, 1.0)
    return element("path", d=path, fill="none", stroke=colour, stroke_width=width)


def _bar(function: FunctionFigures, scale: _Scale, *, critical: bool) -> Iterator[str]:
    """Draw a function: a line while it waits, a pale bar until its code runs, then itself."""
    y = scale.y(function.function)
    fill, border = COLOURS.get(function.status, COLOURS[""])
    code = min(function.ended, function.started + function.install + function.start)
    parts = [titled(_about(function))]
    parts.append(element("line", x1=scale.x(function.triggered), y1=y, x2=scale.x(function.started), y2=y,
                         stroke=_WAIT, stroke_width=2, stroke_dasharray="2 2"))  # fmt: skip
    parts.append(_block(scale, function.started, code, y, fill=_START))
    border, width = (_CRITICAL, 1.8) if critical else (border, 1.0)
    parts.append(_block(scale, code, function.ended, y, fill=fill, stroke=border, stroke_width=width, rx=2))
    stored = min(function.store_seconds, function.ended - code)
    parts.append(_block(scale, code, code + stored, y, fill="#64748b", below=True))
    end = scale.x(function.ended) + 6
    parts.append(text(end, y + 4, words.seconds(function.elapsed), fill="#6b7280", font_size="11px", stroke="#ffffff",
                      stroke_width=3, paint_order="stroke"))  # fmt: skip
    name = text(scale.left - 10, y + 4, function.function, text_anchor="end", fill="#111827")
    yield name
    yield element("g", "".join(parts))


def _block(scale: _Scale, begin: float, end: float, y: float, *, below: bool = False, **style: Any) -> str:
    top, height = (y + _BAR / 2 - 3, 3.0) if below else (y - _BAR / 2, _BAR)
    return element("rect", x=scale.x(begin), y=top, width=max(0.5, scale.x(end) - scale.x(begin)), height=height,
                   **style) if end > begin else ""  # fmt: skip


def _about(function: FunctionFigures) -> str:
    facts: Mapping[str, float] = {
        "queue": function.queued, "start": function.start, "install": function.install, "user": function.user,
        "store": function.store_seconds, "cpu": function.cpu,
    }  # fmt: skip
    times = ", ".join(f"{name} {words.seconds(value)}" for name, value in facts.items() if value)
    memory = f", memory {words.memory(function.memory)}" if function.memory else ""
    return f"{function.function}: {said(function.status)}, {words.seconds(function.elapsed)} ({times}{memory})"


def _legend(scale: _Scale, y: float) -> Iterator[str]:
    x = scale.left
    for fill, stroke, label in (
        (_START, "none", "start, install"),
        (COLOURS["completed"][0], COLOURS["completed"][1], "its own time"),
        ("#64748b", "none", "of that: the store"),
        ("#ffffff", _CRITICAL, "critical path"),
    ):
        yield element("rect", x=x, y=y - 9, width=14, height=9, fill=fill, stroke=stroke)
        yield text(x + 20, y, label, fill="#6b7280", font_size="11px")
        x += 34 + len(label) * 6.4
