"""The figures of a run that others executed, from what it left in the store: times of objects, and its logs. Pure.

Each line of a log has the seconds since its function's process began; a completion's time says when the line about it
was written. An object's time is often a whole second, so what spans functions is only that exact.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from testd_daemon.workflows import layout
from testd_daemon.workflows.graph import Graph, action_of
from testd_daemon.workflows.measures.figures import FunctionFigures, RunFigures, summed

__all__ = ["Stored", "figures_from"]

_STARTED = re.compile(r"\[executor\.py\] Starting function: ")
_DONE = re.compile(r"\[executor\.py\] Put function_completions/\S+\.done ")


class Stored(NamedTuple):
    """An object of the store."""

    modified: datetime
    size: int


class _Traces(NamedTuple):
    """What a function left: when its process began and its completion was there (wall clock), and offsets into it."""

    began: float
    done: float
    user: float  # when its code began
    put: float  # when its completion was written
    invoked: dict[str, float]  # action → when it was invoked first
    failed: bool


def figures_from(
    graph: Graph, folder: str, objects: Mapping[str, Stored], logs: Mapping[str, str], workflow: str
) -> RunFigures | None:
    """Return what can be told of a run; None where no function has left anything.

    `folder`: of its logs and completions; `objects`: by key, at least those below the folder; `logs`: instance → text.
    """
    found = {name: trace for name in graph.instances if (trace := _trace(folder, name, objects, logs, workflow))}
    if not found:
        return None
    zero = min(trace.began for trace in found.values())
    functions = [_function(name, trace, _triggered(graph, name, found), zero) for name, trace in found.items()]
    return summed(graph, functions, run=folder.rpartition("/")[2], workflow=workflow, at=zero)


def _trace(
    folder: str, name: str, objects: Mapping[str, Stored], logs: Mapping[str, str], workflow: str
) -> _Traces | None:
    """Return what an instance left; None where that does not say when it ran."""
    text = logs.get(name, "")
    offsets = {"user": 0.0, "put": 0.0, "last": 0.0}
    invoked: dict[str, float] = {}
    for entry in layout.entries(text):
        at = layout.seconds_of(entry)
        if at is None:
            continue
        offsets["last"] = max(offsets["last"], at)
        if _STARTED.search(entry) and not offsets["user"]:
            offsets["user"] = at
        elif _DONE.search(entry):
            offsets["put"] = at
        for action in layout.invocations(entry, workflow):
            invoked.setdefault(action, at)
    done, log = objects.get(layout.done_key(folder, name)), objects.get(layout.log_key(folder, name))
    if done is not None and offsets["put"]:
        began = done.modified.timestamp() - offsets["put"]
    elif log is not None and offsets["last"]:
        began = log.modified.timestamp() - offsets["last"]
    else:
        return None
    put = offsets["put"] or offsets["last"]
    return _Traces(began, began + put, offsets["user"], put, invoked, layout.failed(text))


def _triggered(graph: Graph, name: str, found: Mapping[str, _Traces]) -> float:
    """Return when a function was invoked, as the log of the last that invoked it says; else when it began."""
    action = action_of(name)
    times = [
        found[each].began + found[each].invoked[action]
        for source in graph.predecessors(action)
        for each in graph.instances_of(source)
        if each in found and action in found[each].invoked
    ]
    return min(found[name].began, max(times)) if times else found[name].began


def _function(name: str, trace: _Traces, triggered: float, zero: float) -> FunctionFigures:
    return FunctionFigures(
        function=name,
        status="failed" if trace.failed else "completed",
        triggered=max(0.0, triggered - zero),
        started=trace.began - zero,
        ended=trace.done - zero,
        queued=trace.began - triggered,
        start=trace.user,
        user=max(0.0, trace.put - trace.user),
    )
