"""Which runs of a workflow there are, and how each went: what the journal has, as the daemon tells it.

Runs in the client.
"""

from __future__ import annotations

import time
from pathlib import Path

from testd import workspace
from testd_daemon.cli.arguments import nearest
from testd_daemon.cli.here import here
from testd_daemon.client.sync import Client
from testd_daemon.errors import UsageError
from testd_daemon.workflows.course import Course
from testd_daemon.workflows.document import load
from testd_daemon.workflows.errors import WorkflowError
from testd_daemon.workflows.graph import Graph
from testd_daemon.workflows.measures.figures import RunFigures
from testd_daemon.workflows.measures.kept import file_of, kept

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    Run = Mapping[str, Any]

#: What a run of a workflow does not tell before it says what it is.
_LATER = ("Planned", "Outcomes", "RunCompleted")
#: Runs that are looked at for the newest of a workflow.
_LOOKED_AT = 50
#: Seconds for a run that was accepted to say what it is, and between two looks at the time meanwhile.
_BEGIN_DEADLINE = 20.0
_TICK = 0.5
_HINT = "`testd workflow status` names the newest one, `testd status` lists all."


def course_of(run: str, workflow: str = "") -> Course:
    """Return how a run stands now; an empty id is the newest, of the workflow if one is named. Raises UsageError."""
    found, _ = find(run, workflow)
    return read(found)


def find(run: str = "", workflow: str = "") -> tuple[Run, Course]:
    """Return a run's status, and of its course the beginning. Raises UsageError."""
    with Client.connect(start=True) as client:
        runs = sorted(client.status()["runs"], key=lambda each: -float(each["accepted_at"]))
    if run:
        chosen = [each for each in runs if str(each["run"]).startswith(run)]
        if len(chosen) != 1:
            near = nearest(run, [str(each["run"]) for each in runs])
            hint = f"Did you mean {near}? " if near else ""
            raise UsageError(f"{'unknown' if not chosen else 'ambiguous'} run: {run}", hint=hint + _HINT)
    else:
        root = workspace.find(here())[0]
        chosen = [each for each in runs if each["workspace"] == root][:_LOOKED_AT]
    for each in chosen:
        course = _begun(each)
        if course.planned and (run or not workflow or course.planned["name"] == workflow):
            return each, course
    if run:
        raise UsageError(f"run {run} is no run of a workflow", hint=_HINT)
    named = f"the workflow {workflow}" if workflow else "a workflow"
    raise UsageError(f"there is no run of {named} here", hint="`testd workflow run FILE` starts one.")


def read(run: Run) -> Course:
    """Return a run's course as far as it has come."""
    course = Course()
    for body in _events(run):
        course.take(body)
    return course


def graph_of(course: Course) -> Graph:
    """Return the graph of a run: of the document as it was accepted, else as its events tell it."""
    kept = Path(course.planned.get("state") or "nowhere", "workflow.json")
    try:
        return load(kept).graph
    except WorkflowError:  # it is not kept any more
        return Graph.told(course.planned["graph"], course.planned["ranks"])


def earlier(course: Course, before: float) -> list[RunFigures]:
    """Return the figures that are kept of runs of the same workflow that began before a moment, the newest first."""
    state = course.planned.get("state")
    if not state:
        return []
    known = kept(file_of(Path(state).parents[1], course.planned["name"]))
    return [figures for figures in known if figures.at < before]


def _begun(run: Run) -> Course:
    """Return a run's course up to what it is; one that goes on is waited for: another would be taken for the newest."""
    course = Course()
    for body in _events(run, wait=run["exit_code"] is None and not run["watch"]):
        course.take(body)
        if course.planned or body["type"] in _LATER:
            break
    return course


def _events(run: Run, *, wait: bool = False) -> Iterator[Mapping[str, Any]]:
    """Give the bodies of a run's events that there are. A connection of its own: it may be left at any time.

    `wait`: those that come as well, for a while.
    """
    if not run["events"] and not wait:
        return
    give_up = time.monotonic() + _BEGIN_DEADLINE
    with Client.connect(start=True) as client:
        for event in client.events(str(run["run"]), tick=_TICK if wait else None):
            if event is not None:
                yield event["body"]
            last = event is not None and event["seq"] >= run["events"]
            if (time.monotonic() > give_up) if wait else last:
                return


__all__ = ["course_of", "earlier", "find", "graph_of", "read"]
