"""What a store alone says of a run: the status of every function, from logs and completions. Pure.

Nothing is assumed about the platform. A log that exists has begun; an error in it outweighs a completion, which the
backend writes first; a completion counts once its log has settled. Who invoked whom is what a log says in the words of
any platform, else what follows from the result that it tells, else from who has begun. A status follows the evidence:
what appears later than expected corrects what was concluded before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from testd_daemon.workflows.graph import Graph, action_of
from testd_daemon.workflows.status import FunctionStatus

__all__ = ["NOTHING", "Deduced", "Seen", "deduce", "left_over", "told_all"]

#: What one predecessor says: it has invoked the function, will not, failed before it could, or may still.
Vote = Literal["invoked", "not", "lost", "open"]
_LOST = {FunctionStatus.FAILED, FunctionStatus.SKIPPED, FunctionStatus.TIMEOUT}


class Seen(NamedTuple):
    """What the store has of one function."""

    started: bool = False  # there is a log
    done: bool = False  # there is a completion
    failed: bool = False  # the log has an error
    settled: bool = False  # the log says no more
    invoked: frozenset[str] = frozenset()  # actions that the log says were invoked
    result: str = ""  # True, False or None, as the log tells it; empty: not told


class Deduced(NamedTuple):
    """A status, and what it follows from."""

    status: FunctionStatus
    why: str = ""


NOTHING = Seen()


def deduce(graph: Graph, seen: Mapping[str, Seen], *, static_joins: bool = False) -> dict[str, Deduced]:
    """Return the status of each function instance. `static_joins`: a join needs all that may invoke it."""
    found: dict[str, Deduced] = {}
    for name in graph.instances:
        own = seen.get(name, NOTHING)
        found[name] = _by_evidence(own) or _by_neighbours(graph, seen, found, action_of(name), static_joins)
    return found


def told_all(graph: Graph, action: str, own: Seen) -> bool:
    """Whether the log of an action that succeeded has said all there is to say: its result, and whom it invoked."""
    wanted = {edge.target for edge in graph.outgoing[action] if edge.branch in ("", own.result)}
    branches = any(edge.branch for edge in graph.outgoing[action])
    return bool(own.result) and wanted <= own.invoked and not (branches and own.result == "None")


def left_over(graph: Graph, known: Mapping[str, FunctionStatus], name: str, trouble: str = "") -> Deduced:
    """Return what becomes of a function that has not ended when nothing changes any more."""
    action = action_of(name)
    before = [each for source in graph.predecessors(action) for each in graph.instances_of(source)]
    lost = next((each for each in before if known[each] in _LOST), "")
    if lost and known[name] is not FunctionStatus.RUNNING:
        return Deduced(FunctionStatus.SKIPPED, f"{lost} {_word(known[lost])}")
    if known[name] is FunctionStatus.INVOKED:
        stuck = graph.stuck().get(action, "")
        return Deduced(FunctionStatus.TIMEOUT, f"it was invoked and has not begun{f'; {stuck}' if stuck else ''}")
    return Deduced(FunctionStatus.TIMEOUT, trouble or "nothing more was heard of it")


def _by_evidence(own: Seen) -> Deduced | None:
    if own.failed:
        return Deduced(FunctionStatus.FAILED, "there is an error in its log")
    if own.done and own.settled:
        return Deduced(FunctionStatus.COMPLETED)
    if own.started or own.done:
        return Deduced(FunctionStatus.RUNNING)
    return None


def _by_neighbours(
    graph: Graph, seen: Mapping[str, Seen], found: Mapping[str, Deduced], action: str, static_joins: bool
) -> Deduced:
    """Conclude from what comes before an action that has left no trace of its own."""
    if action == graph.entry:
        return Deduced(FunctionStatus.INVOKED, "the workflow was triggered")
    votes = list(_votes(graph, seen, found, action))
    by = {vote: source for source, vote in reversed(votes)}
    if "lost" in by and not _may_pass(votes, seen):
        return Deduced(FunctionStatus.SKIPPED, f"{by['lost']} {_word(found[by['lost']].status)}")
    if static_joins and "invoked" in by and "not" in by and "open" not in by:
        return Deduced(FunctionStatus.NOT_INVOKED, f"it waits for {by['not']}, which does not invoke it")
    if "invoked" in by:
        return Deduced(FunctionStatus.INVOKED, f"{by['invoked']} invoked it")
    if "open" in by:
        return Deduced(FunctionStatus.PENDING)
    return Deduced(FunctionStatus.NOT_INVOKED, f"{by['not']} {_declined(found[by['not']].status)}")


def _votes(
    graph: Graph, seen: Mapping[str, Seen], found: Mapping[str, Deduced], action: str
) -> Iterator[tuple[str, Vote]]:
    for source in graph.predecessors(action):
        for name in graph.instances_of(source):
            yield name, _vote(graph, seen, found[name].status, name, action)


def _vote(graph: Graph, seen: Mapping[str, Seen], status: FunctionStatus, source: str, action: str) -> Vote:
    own = seen.get(source, NOTHING)
    if action in own.invoked:
        return "invoked"
    if status in _LOST:
        return "lost"
    if status is FunctionStatus.NOT_INVOKED:
        return "not"
    if status is not FunctionStatus.COMPLETED:
        return "open"
    branches = {edge.branch for edge in graph.incoming[action] if edge.source == action_of(source)}
    if "" in branches or own.result in branches:
        return "invoked"
    # Its log may be silent about both; then whoever of the other branch has begun tells which one was taken.
    others = {edge.target for edge in graph.outgoing[action_of(source)] if edge.branch and edge.branch not in branches}
    begun = any(seen.get(name, NOTHING).started for other in others for name in graph.instances_of(other))
    return "not" if own.result in ("True", "False") or own.invoked or begun else "open"


def _may_pass(votes: list[tuple[str, Vote]], seen: Mapping[str, Seen]) -> bool:
    """Whether a join may run though a predecessor failed: the backend writes the completion of one that raises."""
    words = {vote for _, vote in votes}
    told = all(seen.get(source, NOTHING).done for source, vote in votes if vote == "lost")
    return told and "not" not in words and bool(words & {"invoked", "open"})


def _word(status: FunctionStatus) -> str:
    return {FunctionStatus.FAILED: "failed", FunctionStatus.SKIPPED: "was skipped"}.get(status, "timed out")


def _declined(status: FunctionStatus) -> str:
    return "was not invoked" if status is FunctionStatus.NOT_INVOKED else "did not invoke it"
