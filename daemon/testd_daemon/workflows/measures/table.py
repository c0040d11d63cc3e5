"""The figures of a run as lines of a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from testd_daemon.reports import words
from testd_daemon.workflows.graph import action_of
from testd_daemon.workflows.measures.comparison import Comparison, Delta
from testd_daemon.workflows.measures.figures import FunctionFigures, RunFigures, Step

__all__ = ["table"]

#: A critical path of more steps is told with those together that take less than this part of it.
_STEPS, _SMALL = 12, 0.05
#: Less than so many seconds is as good as nothing.
_NOTHING = 0.00005
Span = tuple[str, str]
_HEAD = (
    "function", "took", "queue", "start", "install", "user", "store", "calls", "in", "out", "cpu", "memory", "earlier",
)  # fmt: skip


def table(run: RunFigures, beside: Comparison | None, *, every: bool = False) -> Iterator[list[Span]]:
    """Give the lines in spans of one style. `every`: each rank by itself, not only the slowest of each action."""
    yield from _head(run, beside)
    rows = [_row(name, functions, beside) for name, functions in _grouped(run.functions, every=every)]
    columns = [column for column in range(len(_HEAD)) if column == 0 or any(row[column][0] for row in rows)]
    width = {column: max(len(_HEAD[column]), *(len(row[column][0]) for row in rows)) for column in columns}
    yield []
    yield [(_aligned(_HEAD[column], width[column], column), "dim") for column in columns]
    for row in rows:
        yield [(_aligned(row[column][0], width[column], column), row[column][1]) for column in columns]
    yield []
    yield from _critical(run)
    for action, skew in run.skew.items():
        spread = f"{words.seconds(skew.shortest)} to {words.seconds(skew.longest)}, median {words.seconds(skew.median)}"
        factor = f"; {skew.slowest} took {skew.factor:.1f} times the median" if skew.factor >= 1.5 else ""
        yield [("ranks of ", "dim"), (action, ""), (f": {spread}{factor}", "" if not factor else "yellow")]


def _head(run: RunFigures, beside: Comparison | None) -> Iterator[list[Span]]:
    line: list[Span] = [(run.workflow, "bold"), (f"  run {run.run}: {words.seconds(run.makespan)}", "")]
    if not run.complete:
        line.append((" so far", "yellow"))
    if beside is not None:
        runs = "the earlier run" if len(beside.runs) == 1 else f"the median of {len(beside.runs)} earlier runs"
        said, style = _change(beside.makespan)
        line.append((f", {runs} {words.seconds(beside.makespan.before)} (", "dim"))
        line += [(said, style or "dim"), (")", "dim")]
    yield line
    if beside is not None:
        for word, names in (("new", beside.new), ("gone", beside.gone)):
            if names:
                more = f" and {len(names) - 5} more" if len(names) > 5 else ""
                yield [(f"{word}: {', '.join(names[:5])}{more}", "dim")]


def _grouped(functions: Sequence[FunctionFigures], *, every: bool) -> Iterator[tuple[str, list[FunctionFigures]]]:
    groups: dict[str, list[FunctionFigures]] = {}
    for function in functions:
        groups.setdefault(function.function if every else action_of(function.function), []).append(function)
    for name, found in groups.items():
        yield (f"{name} ({len(found)})" if len(found) > 1 else name if every else found[0].function), found


def _row(name: str, functions: Sequence[FunctionFigures], beside: Comparison | None) -> list[tuple[str, str]]:
    """Say it of one function; of several the times of the slowest, and the sums of what they moved."""
    slow = max(functions, key=lambda function: function.elapsed)
    bad = any(function.status in ("failed", "timeout") for function in functions)
    delta = beside.functions.get(slow.function) if beside is not None else None
    cells = [
        words.seconds(slow.elapsed), _seconds(slow.queued), _seconds(slow.start), _seconds(slow.install),
        _seconds(slow.user), _seconds(slow.store_seconds), _count(sum(function.store_calls for function in functions)),
        _bytes(sum(function.bytes_in for function in functions)),
        _bytes(sum(function.bytes_out for function in functions)), _seconds(sum(each.cpu for each in functions)),
        words.memory(peak) if (peak := max(function.memory for function in functions)) else "",
    ]  # fmt: skip
    return [(name, "red" if bad else ""), *((cell, "") for cell in cells), _change(delta) if delta else ("", "")]


def _critical(run: RunFigures) -> Iterator[list[Span]]:
    yield [("critical path", "bold"), (f", {words.seconds(run.makespan)}", "dim")]
    most = max((step.share for step in run.critical), default=0.0)
    for steps in _joined(run.critical):
        share, seconds = sum(step.share for step in steps), sum(step.seconds for step in steps)
        first, last = steps[0].function, steps[-1].function
        name = first if len(steps) == 1 else f"{first} to {last}, {len(steps)} functions"
        style = "bold" if len(steps) == 1 < len(run.critical) and share == most else ""
        yield [(f"  {share:>4.0%} {words.seconds(seconds):>9}  ", "dim"), (name, style)]


def _joined(path: Sequence[Step]) -> Iterator[list[Step]]:
    """Give the steps of a path; of a long one those together that follow each other and are small."""
    if len(path) <= _STEPS:
        yield from ([step] for step in path)
        return
    for small, steps in groupby(path, lambda step: step.share < _SMALL):
        if small:
            yield list(steps)
        else:
            yield from ([step] for step in steps)


def _change(delta: Delta) -> tuple[str, str]:
    style = "" if not delta.notable else "red" if delta.change > 0 else "green"
    return f"{delta.change:+.0%}", style


def _aligned(text: str, width: int, column: int) -> str:
    return f"{text:<{width}}" if column == 0 else f"  {text:>{width}}"


def _seconds(value: float) -> str:
    if value < _NOTHING:
        return ""
    return words.brief(value) if value < 0.0995 else words.seconds(value)


def _count(value: int) -> str:
    return f"{value:,}" if value else ""


def _bytes(value: int) -> str:
    if not value:
        return ""
    return f"{value} B" if value < 1024 else words.memory(value // 1024)
