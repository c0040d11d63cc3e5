"""How far a run of a workflow is, and what each event makes of it: which functions run now, and which never will. Pure.

An action is decided once all that may invoke it is known. Until then its functions are PENDING. Then they are

- SKIPPED if one that may invoke it has failed or was skipped: a join without all of its input is no join;
- NOT_INVOKED if nothing invoked it: conditions went the other way, or who invokes it was not invoked itself;
- INVOKED, all of them at once, if something did. So a join runs once, and who completes last is who won it.

An action with ranks invokes what any of its functions chose, once all of them are through. With a join that is `faasr`,
as the backend of that name does it, an action needs *all* that may invoke it to have run, those behind conditions too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from testd_daemon.errors import Bug
from testd_daemon.workflows.graph import Graph, action_of
from testd_daemon.workflows.status import FunctionEvent, FunctionStatus, function_machine

__all__ = ["Change", "Finished", "Join", "Progress", "Step"]

Join = Literal["documented", "faasr"]
_ENDED = {FunctionStatus.FAILED, FunctionStatus.SKIPPED, FunctionStatus.TIMEOUT}
_FAILURES = {FunctionStatus.FAILED: FunctionEvent.FAIL, FunctionStatus.TIMEOUT: FunctionEvent.EXPIRE}


class Change(NamedTuple):
    """That a function has another status now, and why where that is not plain."""

    function: str  # an instance
    status: FunctionStatus
    why: str = ""


class Step(NamedTuple):
    """What an event led to.

    `start` has the instances that are to run from now on. `invoked` has the actions that the function invokes which
    completed, in the document's order, one with ranks as often as it has ranks: what its log says. A join is among
    them for each that invokes it, and in `start` once.
    """

    changes: tuple[Change, ...] = ()
    start: tuple[str, ...] = ()
    invoked: tuple[str, ...] = ()


class Finished(NamedTuple):
    """How a function ended that ran before this process was there."""

    status: FunctionStatus  # COMPLETED, FAILED or TIMEOUT
    value: bool | None = None  # what it returned
    why: str = ""


class Progress:
    """One run of a workflow, function by function."""

    def __init__(self, graph: Graph, join: Join = "documented") -> None:
        """Begin with nothing invoked."""
        self._graph = graph
        self._join = join
        self._machines = {name: function_machine(name) for name in graph.instances}
        self._open = {action: graph.ranks[action] for action in graph.actions}  # instances that have not ended
        self._bad: dict[str, str] = {}  # action → the first of its instances that failed or was skipped
        self._why: dict[str, str] = {}
        self._values: dict[str, bool | None] = {}

    @property
    def statuses(self) -> dict[str, FunctionStatus]:
        """The status of each instance."""
        return {name: machine.state for name, machine in self._machines.items()}

    @property
    def finished(self) -> bool:
        """Whether every instance has its final status."""
        return all(machine.final for machine in self._machines.values())

    def why(self, function: str) -> str:
        """Return why a function has the status that it has, empty where that is plain."""
        return self._why.get(function, "")

    def begin(self) -> Step:
        """Invoke the entry."""
        return self._invoke(self._graph.entry)

    def resume(self, finished: Mapping[str, Finished]) -> Step:
        """Begin a run of which some functions have ended already. `start` has what is to run now."""
        step = self.begin()
        changes = [*step.changes]
        for name in self._graph.instances:
            end = finished.get(name)
            if end is None or self._machines[name].state is not FunctionStatus.INVOKED:
                continue
            changes += self.started(name).changes
            done = end.status is FunctionStatus.COMPLETED
            step = self.completed(name, end.value) if done else self.failed(name, end.why, end.status)
            changes += step.changes
        waiting = [name for name, machine in self._machines.items() if machine.state is FunctionStatus.INVOKED]
        return Step(tuple(changes), tuple(waiting))

    def started(self, function: str) -> Step:
        """Note that a function runs."""
        return Step((self._change(function, FunctionEvent.START),))

    def again(self, function: str, why: str) -> Step:
        """Note that a function is to run once more: its process was lost without its fault."""
        return Step((self._change(function, FunctionEvent.AGAIN, why),), (function,))

    def objection(self, function: str, value: bool | None) -> str:
        """Return why a function may not return `value`, empty where it may."""
        action = action_of(function)
        if action not in self._graph.branches:
            return ""
        if value is None:
            return "InvokeNext contains conditionals but function did not return a value"
        if str(value) not in self._graph.branches[action]:
            return f"InvokeNext has a conditional without {value}, which the function returned; add {value}: []"
        return ""

    def completed(self, function: str, value: bool | None) -> Step:
        """Take what a function returned. It has failed if the graph has an objection to that."""
        objection = self.objection(function, value)
        if objection:
            return self.failed(function, objection)
        self._values[function] = value
        change = self._change(function, FunctionEvent.COMPLETE)
        step = self._settle([action_of(function)])
        return Step((change, *step.changes), step.start, tuple(self._invoked(function, value)))

    def failed(self, function: str, why: str, status: FunctionStatus = FunctionStatus.FAILED) -> Step:
        """Take the end of a function that did not return: FAILED or TIMEOUT."""
        change = self._change(function, _FAILURES[status], why)
        step = self._settle([action_of(function)])
        return Step((change, *step.changes), step.start)

    def cancel(self, why: str = "cancelled") -> Step:
        """End the run: whatever has no final status is skipped, what runs too."""
        open_ = [name for name, machine in self._machines.items() if not machine.final]
        return Step(tuple(self._change(name, FunctionEvent.SKIP, why) for name in open_))

    def _invoked(self, function: str, value: bool | None) -> Iterator[str]:
        for edge in self._graph.outgoing[action_of(function)]:
            if edge.branch in ("", str(value)):
                yield from [edge.target] * self._graph.ranks[edge.target]

    def _settle(self, sources: list[str]) -> Step:
        """Decide what can be decided now that `sources` have changed, and what follows from that."""
        changes: list[Change] = []
        start: list[str] = []
        while sources:
            for target in self._graph.successors(sources.pop(0)):
                if not self._undecided(target):
                    continue
                step = self._decide(target)
                changes += step.changes
                start += step.start
                if step.changes and not step.start:
                    sources.append(target)
        return Step(tuple(changes), tuple(start))

    def _undecided(self, action: str) -> bool:
        """Whether an action is not decided; the instances of one are decided together."""
        return self._machines[self._graph.instances_of(action)[0]].state is FunctionStatus.PENDING

    def _decide(self, action: str) -> Step:
        sources = self._graph.predecessors(action)
        bad = next((self._bad[source] for source in sources if source in self._bad), None)
        if bad is not None:
            return self._end(action, FunctionEvent.SKIP, self._blame(bad))
        if any(self._open[source] for source in sources):
            return Step()
        before = [name for source in sources for name in self._graph.instances_of(source)]
        away = [name for name in before if self._machines[name].state is FunctionStatus.NOT_INVOKED]
        if len(away) == len(before):
            return self._end(action, FunctionEvent.DROP, f"{_several(away)} not invoked")
        if away and self._join == "faasr":
            why = f"it waits for {', '.join(away)}, which {'is' if len(away) == 1 else 'are'} not invoked"
            return self._end(action, FunctionEvent.DROP, why)
        ran = [name for name in before if name not in away]
        if not any(self._chose(name, action) for name in ran):
            values = ", ".join(f"{name} returned {self._values[name]}" for name in ran[:3])
            return self._end(action, FunctionEvent.DROP, values + (" …" if len(ran) > 3 else ""))
        return self._invoke(action)

    def _chose(self, function: str, target: str) -> bool:
        branches = ("", str(self._values[function]))
        edges = self._graph.outgoing[action_of(function)]
        return any(edge.target == target and edge.branch in branches for edge in edges)

    def _invoke(self, action: str) -> Step:
        names = self._graph.instances_of(action)
        return Step(tuple(self._change(name, FunctionEvent.INVOKE) for name in names), names)

    def _end(self, action: str, event: FunctionEvent, why: str) -> Step:
        names = self._graph.instances_of(action)
        return Step(tuple(self._change(name, event, why) for name in names))

    def _blame(self, function: str) -> str:
        """Name what failed: of a function that was skipped, what it was skipped for."""
        state = self._machines[function].state
        if state is FunctionStatus.SKIPPED:
            return self._why[function]
        return f"{function} {'timed out' if state is FunctionStatus.TIMEOUT else 'failed'}"

    def _change(self, function: str, event: FunctionEvent, why: str = "") -> Change:
        machine = self._machines.get(function)
        if machine is None:
            raise Bug(f"the workflow has no function {function}")
        state = machine.advance(event)
        self._why[function] = why
        if machine.final:
            action = action_of(function)
            self._open[action] -= 1
            if state in _ENDED:
                self._bad.setdefault(action, function)
        return Change(function, state, why)


def _several(names: list[str]) -> str:
    return f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''} {'is' if len(names) == 1 else 'are'}"
