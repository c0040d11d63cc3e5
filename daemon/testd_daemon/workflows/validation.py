"""What the schema of a workflow cannot say: names that refer to others, and what a graph must be. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from msgspec import UNSET

from testd_daemon.workflows.errors import Violation
from testd_daemon.workflows.graph import Edge, edges_of
from testd_daemon.workflows.truth import truth
from testd_protocol.workflows import Conditional, WorkflowFile

__all__ = ["violations"]

#: What a compute server of each type needs.
_NEEDED = {
    "GitHubActions": ("UserName", "ActionRepoName"),
    "Lambda": ("Region",),
    "OpenWhisk": ("Endpoint", "Namespace"),
    "GoogleCloud": ("Namespace", "ClientEmail", "TokenUri", "Region"),
    "SLURM": ("Endpoint", "UserName", "APIVersion", "Partition"),
    "Kubernetes": ("Endpoint",),
}
#: More ranks of one action than this are a slip of the pen.
_MOST_RANKS = 10_000


def violations(file: WorkflowFile, data: dict[str, Any], sound: Callable[[str], bool]) -> Iterator[Violation]:
    """Give what is wrong in a document whose schema is right, at least below the keys that are `sound`."""
    for keys, check in _CHECKS:
        if all(sound(key) for key in keys):
            yield from check(file, data)


def _conditionals(file: WorkflowFile, _: dict[str, Any]) -> Iterator[Violation]:
    for name, action in file.action_list.items():
        place = f"ActionList.{name}.InvokeNext"
        found = [number for number, item in enumerate(action.invoke_next) if isinstance(item, Conditional)]
        for number in found[1:]:
            yield Violation(f"{place}[{number}]", "a second conditional; an action has one at most")
        for number in found:
            item = action.invoke_next[number]
            if isinstance(item, Conditional) and item.true is UNSET and item.false is UNSET:
                yield Violation(f"{place}[{number}]", "an empty conditional; it needs True, False, or both")


def _references(file: WorkflowFile, _: dict[str, Any]) -> Iterator[Violation]:
    for name, action in file.action_list.items():
        place = f"ActionList.{name}.FaaSServer"
        yield from _refers(place, action.faas_server, file.compute_servers, "ComputeServers")


def _stores(file: WorkflowFile, _: dict[str, Any]) -> Iterator[Violation]:
    yield from _refers("DefaultDataStore", file.default_data_store, file.data_stores, "DataStores")
    if file.logging_data_store:
        yield from _refers("LoggingDataStore", file.logging_data_store, file.data_stores, "DataStores")


def _flags(file: WorkflowFile, _: dict[str, Any]) -> Iterator[Violation]:
    for name, store in file.data_stores.items():
        for key, value in (("Writable", store.writable), ("Anonymous", store.anonymous)):
            if truth(value) is None:
                yield Violation(f"DataStores.{name}.{key}", f'"{value}" is neither true nor false')


def _invocation(file: WorkflowFile, _: dict[str, Any]) -> Iterator[Violation]:
    given = file.invocation_id.strip()
    if "/" in given or not given.isprintable():
        text = f"{json.dumps(given)} is a part of keys: letters, digits, dashes and dots would be right"
        yield Violation("InvocationID", text)


def _servers(file: WorkflowFile, data: dict[str, Any]) -> Iterator[Violation]:
    for name, server in file.compute_servers.items():
        for key in _NEEDED.get(server.faas_type or "", ()):
            if key not in data["ComputeServers"][name]:
                yield Violation(f"ComputeServers.{name}.{key}", f"missing; {server.faas_type} needs it")


def _sources(file: WorkflowFile, _: dict[str, Any]) -> Iterator[Violation]:
    for name in file.function_local_file:
        if name in file.function_git_repo:
            text = "the function is in FunctionGitRepo too; its code comes from one place"
            yield Violation(f"FunctionLocalFile.{name}", text)


def _settings(file: WorkflowFile, _: dict[str, Any]) -> Iterator[Violation]:
    for key, table in (("Targets", file.testd.targets), ("Timeouts", file.testd.timeouts)):
        for name in table:
            yield from _refers(f"Testd.{key}.{name}", name, file.action_list, "ActionList")


def _entry(file: WorkflowFile, _: dict[str, Any]) -> Iterator[Violation]:
    if file.function_invoke not in file.action_list:
        known = _listed(file.action_list)
        text = f'FunctionInvoke does not refer to a valid function: "{file.function_invoke}" is no action; {known}'
        yield Violation("FunctionInvoke", text)


def _ghosts(file: WorkflowFile, _: dict[str, Any]) -> Iterator[Violation]:
    for edge in edges_of(file.action_list):
        if edge.target not in file.action_list:
            known = _listed(file.action_list)
            text = f'Function invokes an action that is not in ActionList: "{edge.target}"; {known}'
            yield Violation(edge.place, text)


def _loops(file: WorkflowFile, _: dict[str, Any]) -> Iterator[Violation]:
    """Walk each way once; what leads back into the way that is walked closes a loop."""
    edges = _known_edges(file)
    first = [file.function_invoke] if file.function_invoke in file.action_list else []
    through: set[str] = set()
    for root in (*first, *file.action_list):
        way, stack = {root}, [(root, iter(edges[root]))] if root not in through else []
        while stack:
            action, left = stack[-1]
            edge = next(left, None)
            if edge is None:
                stack.pop()
                way.discard(action)
                through.add(action)
            elif edge.target in way:
                yield _loop(edge, file.function_invoke)
            elif edge.target not in through:
                way.add(edge.target)
                stack.append((edge.target, iter(edges[edge.target])))


def _loop(edge: Edge, entry: str) -> Violation:
    if edge.target == entry:
        text = f"Function loop found: no initial action; {edge.source} invokes {entry}, with which the workflow begins"
    else:
        text = f"Function loop found from node {edge.source} to {edge.target}; a workflow goes one way"
    return Violation(edge.place, text)


def _unreachable(file: WorkflowFile, _: dict[str, Any]) -> Iterator[Violation]:
    if file.function_invoke not in file.action_list:
        return
    edges = _known_edges(file)
    reached, left = {file.function_invoke}, [file.function_invoke]
    while left:
        new = {edge.target for edge in edges[left.pop()]} - reached
        reached |= new
        left += new
    for name in file.action_list:
        if name not in reached:
            text = f"Unreachable state found: {name}; nothing that begins with {file.function_invoke} invokes it"
            yield Violation(f"ActionList.{name}", text)


def _ranks(file: WorkflowFile, _: dict[str, Any]) -> Iterator[Violation]:
    into = _into(file)
    ranks = {name: max((edge.ranks for edge in edges), default=1) for name, edges in into.items()}
    for name, edges in into.items():
        ranked = [edge for edge in edges if edge.ranks > 1]
        if not ranked:
            continue
        place, shown = ranked[0].place, f"{name}({ranks[name]})"
        if ranks[name] > _MOST_RANKS:
            yield Violation(place, f"{shown} is more than {_MOST_RANKS} ranks")
        sources = list(dict.fromkeys(edge.source for edge in edges))
        if len(sources) > 1:
            names = ", ".join(sources)
            text = f"Function with rank cannot have multiple predecessors; {shown} is invoked by {names}"
            yield Violation(place, text)
        elif len({edge.ranks for edge in edges}) > 1:
            names = " and ".join(sorted({f"{name}({edge.ranks})" for edge in edges}))
            yield Violation(place, f"Function with rank is invoked with different ranks: {names}")
        for source in sources:
            if ranks.get(source, 1) > 1:
                names = f"{shown} and {source}({ranks[source]})"
                text = f"Function with rank cannot have predecessor with rank - offending functions: {names}"
                yield Violation(place, text)


def _kinds(file: WorkflowFile, _: dict[str, Any]) -> Iterator[Violation]:
    for name, edges in _into(file).items():
        branched = [edge for edge in edges if edge.branch]
        plain = [edge for edge in edges if not edge.branch]
        if branched and plain:
            some, others = _listed_sources(branched), _listed_sources(plain)
            text = f"with a condition by {some}, without one by {others}; either all of them have one, or none has"
            yield Violation(plain[0].place, f"Mixed predecessor types detected for action '{name}': {text}")
        if len({edge.source for edge in branched}) > 1:
            text = f"Multiple conditional sources detected for action '{name}': {_listed_sources(branched)}"
            yield Violation(branched[-1].place, f"{text}; one action at most invokes it with a condition")


def _refers(place: str, name: str, names: Iterable[str], where: str) -> Iterator[Violation]:
    if name not in names:
        yield Violation(place, f'"{name}" is not in {where}; {_listed(names)}')


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    return "there are " + ", ".join(listed[:10]) + (f" and {len(listed) - 10} more" if len(listed) > 10 else "")


def _listed_sources(edges: Iterable[Edge]) -> str:
    return ", ".join(dict.fromkeys(edge.source for edge in edges))


def _known_edges(file: WorkflowFile) -> dict[str, list[Edge]]:
    found: dict[str, list[Edge]] = {name: [] for name in file.action_list}
    for edge in edges_of(file.action_list):
        if edge.target in found:
            found[edge.source].append(edge)
    return found


def _into(file: WorkflowFile) -> dict[str, list[Edge]]:
    found: dict[str, list[Edge]] = {}
    for edge in edges_of(file.action_list):
        if edge.target in file.action_list:
            found.setdefault(edge.target, []).append(edge)
    return found


#: Each check, and the keys that must be right for it.
_CHECKS: tuple[tuple[tuple[str, ...], Callable[[WorkflowFile, dict[str, Any]], Iterator[Violation]]], ...] = (
    (("FunctionInvoke", "ActionList"), _entry),
    (("ActionList",), _conditionals),
    (("ActionList",), _ghosts),
    (("FunctionInvoke", "ActionList"), _loops),
    (("FunctionInvoke", "ActionList"), _unreachable),
    (("ActionList",), _ranks),
    (("ActionList",), _kinds),
    (("ActionList", "ComputeServers"), _references),
    (("ComputeServers",), _servers),
    (("DefaultDataStore", "LoggingDataStore", "DataStores"), _stores),
    (("DataStores",), _flags),
    (("InvocationID",), _invocation),
    (("FunctionGitRepo", "FunctionLocalFile"), _sources),
    (("ActionList", "Testd"), _settings),
)
