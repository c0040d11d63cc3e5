"""The figures of one run: of each function, of the whole, of the way that decided how long it took. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from testd_daemon.workflows.course import Course, Function
from testd_daemon.workflows.graph import Graph, action_of

__all__ = ["FunctionFigures", "RunFigures", "Skew", "Step", "figures_of", "summed"]


class FunctionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One function of a run. Times are seconds; `triggered`, `started` and `ended` count from the run's beginning."""

    function: str  # the instance
    status: str  # how it ended
    target: str = ""  # where it ran
    triggered: float  # when it was invoked
    started: float  # when its process was asked for
    ended: float  # when its completion was in the store, or it was over
    queued: float = 0.0  # from its trigger until its process was asked for
    install: float = 0.0  # until its packages were there
    start: float = 0.0  # until its code ran
    user: float = 0.0  # its own time, with what it waited for the store
    store_seconds: float = 0.0  # in which it waited for the store
    store_calls: int = 0  # that it made
    bytes_in: int = 0  # that it got
    bytes_out: int = 0  # that it put
    cpu: float = 0.0  # processor time
    memory: int = 0  # KiB, the peak of its process

    @property
    def elapsed(self) -> float:
        """Seconds from its trigger to its end."""
        return self.ended - self.triggered


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A function of the critical path: how long the run waited for it alone."""

    function: str  # the instance
    seconds: float  # from the end of the one before it on the path to its own
    share: float  # of the makespan, 0 to 1


class Skew(msgspec.Struct, frozen=True, kw_only=True):
    """How unequal the ranks of an action were, by the seconds from start to end."""

    ranks: int  # that ended by themselves
    shortest: float
    median: float
    longest: float
    slowest: str  # the instance that took longest

    @property
    def factor(self) -> float:
        """The longest as a multiple of the median."""
        return self.longest / self.median if self.median else 1.0


class RunFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    run: str  # its id; of a cloud run the invocation's
    workflow: str  # its name
    at: float  # wall clock, when it began
    makespan: float  # seconds from the first trigger to the last end
    functions: list[FunctionFigures]  # those that were invoked, in the graph's order
    critical: list[Step]  # the path that the run waited for, in its order
    skew: dict[str, Skew]  # of each action with ranks
    complete: bool = True  # the run is over


def figures_of(course: Course, run: str) -> RunFigures | None:
    """Return the figures of a run as its events tell it; None where nothing has been invoked."""
    graph = Graph.told(course.planned["graph"], course.planned["ranks"])
    began = [_began(function) for function in course.functions.values() if _began(function)]
    if not began:
        return None
    zero = min(began)
    functions = [
        _function(course.functions[name], zero, course.ended)
        for name in graph.instances
        if name in course.functions and _began(course.functions[name])
    ]
    complete = bool(course.completed)
    return summed(graph, functions, run=run, workflow=course.planned["name"], at=zero, complete=complete)


def summed(
    graph: Graph, functions: Sequence[FunctionFigures], *, run: str, workflow: str, at: float, complete: bool = True
) -> RunFigures:
    """Return the figures of a run whose functions are known, with what follows from them."""
    makespan = max(function.ended for function in functions)
    return RunFigures(
        run=run, workflow=workflow, at=at, makespan=makespan, functions=list(functions),
        critical=_critical(graph, functions, makespan), skew=_skew(functions), complete=complete,
    )  # fmt: skip


def _began(function: Function) -> float:
    return float(function.measured.get("triggered") or function.invoked or function.began)


def _function(function: Function, zero: float, now: float) -> FunctionFigures:
    """Return what is known of a function: what was measured, else what its changes tell."""
    measured: Mapping[str, Any] = function.measured
    triggered = _began(function)
    started = float(measured.get("started") or function.began or triggered)
    ended = float(measured.get("done") or measured.get("ended") or function.ended or now)
    known = {name: measured[name] for name in _MEASURED if name in measured}
    return FunctionFigures(
        function=function.name, status=function.status, target=function.target, triggered=triggered - zero,
        started=started - zero, ended=max(triggered, ended) - zero, **known,
    )  # fmt: skip


#: The fields that a `FunctionMeasured` has under the same name.
_MEASURED = (
    "queued", "install", "start", "user", "store_seconds", "store_calls", "bytes_in", "bytes_out", "cpu", "memory",
)  # fmt: skip


def _critical(graph: Graph, functions: Sequence[FunctionFigures], makespan: float) -> list[Step]:
    """Go back from the function that ended last to the one that it waited for, and so on."""
    by_action: dict[str, list[FunctionFigures]] = {}
    for function in functions:
        by_action.setdefault(action_of(function.function), []).append(function)
    path: list[FunctionFigures] = []
    found: FunctionFigures | None = max(functions, key=lambda function: function.ended)
    while found is not None:
        path.append(found)
        actions = graph.predecessors(action_of(found.function))
        before = [each for action in actions for each in by_action.get(action, ())]
        found = max(before, key=lambda function: function.ended, default=None)
    steps, end = [], 0.0
    for function in reversed(path):
        seconds = max(0.0, function.ended - end)
        share = seconds / makespan if makespan else 0.0
        steps.append(Step(function=function.function, seconds=seconds, share=share))
        end = max(end, function.ended)
    return steps


def _skew(functions: Sequence[FunctionFigures]) -> dict[str, Skew]:
    ranked: dict[str, list[FunctionFigures]] = {}
    for function in functions:
        if "(" in function.function and function.status in ("completed", "failed"):
            ranked.setdefault(action_of(function.function), []).append(function)
    return {action: _skew_of(found) for action, found in ranked.items() if len(found) > 1}


def _skew_of(functions: Sequence[FunctionFigures]) -> Skew:
    took = {function.function: function.ended - function.started for function in functions}
    slowest = max(took, key=took.__getitem__)
    return Skew(
        ranks=len(took), shortest=min(took.values()), median=statistics.median(took.values()), longest=took[slowest],
        slowest=slowest,
    )  # fmt: skip
