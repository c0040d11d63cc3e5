"""The graph of a workflow: what follows what, how often, and when. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import NamedTuple

from msgspec import UNSET

from testd_protocol.workflows import Action, Conditional

__all__ = ["Edge", "Graph", "action_of", "edges_of", "instance", "rank_of"]

_NEXT = re.compile(r"(.*?)(?:\((\d+)\))?")


class Edge(NamedTuple):
    """That one action invokes another one."""

    source: str  # an action
    target: str  # an action, or a name that none has
    branch: str  # "": always; "True", "False": if the source returned that
    ranks: int  # how often, side by side; at least 1
    place: str  # where the document says so


def instance(action: str, rank: int, ranks: int) -> str:
    """Return the name of a function's instance: `sync`, or with ranks `sync(2)`."""
    return f"{action}({rank})" if ranks > 1 else action


def action_of(name: str) -> str:
    """Return the action that an instance belongs to."""
    return name.partition("(")[0]


def rank_of(name: str) -> int:
    """Return the rank of an instance, 1 where it has none."""
    inside = name.partition("(")[2].rstrip(")")
    return int(inside) if inside else 1


class Graph:
    """Which actions there are, what each invokes, and in how many instances each runs.

    Attributes:
        entry: the action with which a run begins.
        actions: all of them, in the document's order.
        edges: what invokes what, each pair and branch once, in the document's order.
        ranks: action → number of its instances.
        branches: action with a conditional → the branches that it has, also empty ones.
    """

    def __init__(
        self,
        entry: str,
        actions: Iterable[str],
        edges: Iterable[Edge],
        branches: Mapping[str, frozenset[str]] | None = None,
    ) -> None:
        """Take the parts of a graph that is right: `validation` says which is."""
        self.entry = entry
        self.actions = tuple(actions)
        self.edges = tuple({(edge.source, edge.target, edge.branch): edge for edge in edges}.values())
        self.branches = dict(branches or {})
        self.ranks = dict.fromkeys(self.actions, 1)
        for edge in self.edges:
            self.ranks[edge.target] = max(self.ranks[edge.target], edge.ranks)

    @classmethod
    def of(cls, entry: str, actions: Mapping[str, Action]) -> Graph:
        """Return the graph of a document's actions."""
        branches = {name: found for name, action in actions.items() if (found := _branches(action))}
        return cls(entry, actions, edges_of(actions), branches)

    @classmethod
    def told(cls, successors: Mapping[str, Iterable[str]], ranks: Mapping[str, int]) -> Graph:
        """Return the graph of a run as its events tell it: conditions are not known."""
        edges = [
            Edge(source, target, "", ranks.get(target, 1), "")
            for source, targets in successors.items()
            for target in targets
        ]
        invoked = {edge.target for edge in edges}
        return cls(next((action for action in successors if action not in invoked), ""), successors, edges)

    @cached_property
    def outgoing(self) -> dict[str, tuple[Edge, ...]]:
        """Action → what it invokes."""
        return {action: tuple(edge for edge in self.edges if edge.source == action) for action in self.actions}

    @cached_property
    def incoming(self) -> dict[str, tuple[Edge, ...]]:
        """Action → what invokes it."""
        return {action: tuple(edge for edge in self.edges if edge.target == action) for action in self.actions}

    @cached_property
    def instances(self) -> tuple[str, ...]:
        """The names of all instances, in the order of `order`."""
        return tuple(name for action in self.order for name in self.instances_of(action))

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All actions, each behind all that invoke it, else in the document's order."""
        waits = {action: len(self.incoming[action]) for action in self.actions}
        ready = [action for action in self.actions if not waits[action]]
        found: list[str] = []
        while ready:
            action = ready.pop(0)
            found.append(action)
            for edge in self.outgoing[action]:
                waits[edge.target] -= 1
                if not waits[edge.target]:
                    ready.append(edge.target)
        return tuple(found)

    @cached_property
    def levels(self) -> dict[str, int]:
        """Action → the number of actions on the longest way to it."""
        found: dict[str, int] = {}
        for action in self.order:
            found[action] = max((found[edge.source] + 1 for edge in self.incoming[action]), default=0)
        return found

    def instances_of(self, action: str) -> tuple[str, ...]:
        """Return the names of an action's instances."""
        ranks = self.ranks[action]
        return tuple(instance(action, rank, ranks) for rank in range(1, ranks + 1))

    def predecessors(self, action: str) -> tuple[str, ...]:
        """Return the actions that invoke an action, each once."""
        return tuple(dict.fromkeys(edge.source for edge in self.incoming[action]))

    def successors(self, action: str) -> tuple[str, ...]:
        """Return the actions that an action invokes or may invoke, each once."""
        return tuple(dict.fromkeys(edge.target for edge in self.outgoing[action]))

    def joins(self) -> tuple[str, ...]:
        """Return the actions that wait for more than one instance."""
        waiting = {action: sum(self.ranks[each] for each in self.predecessors(action)) for action in self.actions}
        return tuple(action for action in self.actions if waiting[action] > 1)

    def stuck(self) -> dict[str, str]:
        """Return the joins that a static join (`faasr`) may keep from running for ever, each with the reason.

        There an action runs only if all that invoke it have run. What an action needs of the conditionals above it is
        a set of branches; of one conditional action with one instance both cannot be taken.
        """
        needs: dict[str, frozenset[tuple[str, str]]] = {}
        found: dict[str, str] = {}
        for action in self.order:
            each = {source: self._needs(action, source, needs[source]) for source in self.predecessors(action)}
            needs[action] = frozenset[tuple[str, str]]().union(*each.values())
            sound = all(not self._clashes(branches) for branches in each.values())
            clash = self._clashes(needs[action])
            if clash and sound:
                found[action] = f"it waits for all that invoke it, and {clash} takes one branch only: it never runs"
            elif sound and len(set(each.values())) > 1:
                extra = sorted(needs[action] - frozenset.intersection(*each.values()))
                words = ", ".join(f"{source} returns {branch}" for source, branch in extra)
                found[action] = f"it waits for all that invoke it: it runs only if {words}"
        return found

    def _needs(self, action: str, source: str, before: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
        branches = {edge.branch for edge in self.incoming[action] if edge.source == source}
        return before if "" in branches or len(branches) > 1 else before | {(source, branches.pop())}

    def _clashes(self, needs: frozenset[tuple[str, str]]) -> str:
        """Return an action of which both branches are needed, though it takes one; empty where there is none."""
        both = (source for source, branch in sorted(needs) if branch == "True" and (source, "False") in needs)
        return next((source for source in both if self.ranks[source] == 1), "")


def edges_of(actions: Mapping[str, Action]) -> Iterator[Edge]:
    """Give what the document says of what invokes what, also twice, and also what cannot be."""
    for source, action in actions.items():
        for number, item in enumerate(action.invoke_next):
            place = f"ActionList.{source}.InvokeNext[{number}]"
            if isinstance(item, Conditional):
                for branch, targets in _conditional(item):
                    yield from _edges(source, targets, branch, f"{place}.{branch}")
            else:
                yield _edge(source, item, "", place)


def _branches(action: Action) -> frozenset[str]:
    items = (item for item in action.invoke_next if isinstance(item, Conditional))
    return frozenset(branch for item in items for branch, _ in _conditional(item))


def _conditional(item: Conditional) -> Iterator[tuple[str, list[str]]]:
    """Give each branch that a conditional has, with what it invokes."""
    for branch, targets in (("True", item.true), ("False", item.false)):
        if targets is not UNSET:
            yield branch, targets


def _edges(source: str, targets: Iterable[str], branch: str, place: str) -> Iterator[Edge]:
    for number, item in enumerate(targets):
        yield _edge(source, item, branch, f"{place}[{number}]")


def _edge(source: str, item: str, branch: str, place: str) -> Edge:
    match = _NEXT.fullmatch(item)
    assert match is not None, item
    return Edge(source, match[1], branch, max(int(match[2] or 1), 1), place)
