"""How a run is cut into jobs. Pure; runs in the agent.

A job is a group of tests of one file, in the order in which they were collected. With one worker everything runs in
the order of collection, as plain pytest does. With several, whole files are handed out, the longest first; only a file
that would hold up the end of the run is cut, and then at the highest boundary that does: between its classes and
functions, then inside a class, and inside one function's parameters only where that function alone is too long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Final

__all__ = ["Durations", "cut", "expected", "useful_workers"]

#: Seconds that a test is thought to take where nothing is known of any.
UNKNOWN: Final = 0.005
#: Seconds of work that make another worker worth its start (fork, session fixtures, end).
WORTH_A_WORKER: Final = 0.05
#: A piece of a file that was cut is not shorter than this: a job costs a message and module fixtures.
SHORTEST_PIECE: Final = 0.02
#: A file that is longer than this part of an even share of the run is cut.
LONGEST_SHARE: Final = 0.5


class Durations:
    """What each test is expected to take, in seconds."""

    __slots__ = ("_known", "_typical")

    def __init__(self, known: Mapping[str, float]) -> None:
        """Use these; a test that is not among them takes what a typical one does."""
        self._known = known
        self._typical = min(sum(known.values()) / len(known), 1.0) if known else UNKNOWN

    def of(self, test: str) -> float:
        """Return the seconds for one test."""
        return self._known.get(test, self._typical)

    def total(self, tests: Sequence[str]) -> float:
        """Return the seconds for all of these."""
        known, typical = self._known, self._typical
        return sum([known.get(test, typical) for test in tests])


def useful_workers(limit: int, ids: Sequence[str], durations: Durations) -> int:
    """Return how many workers are worth starting, at most `limit`, at least one."""
    return max(1, min(limit, len(ids), math.ceil(durations.total(ids) / WORTH_A_WORKER)))


def expected(jobs: Sequence[Sequence[int]], ids: Sequence[str], workers: int, durations: Durations) -> float:
    """Return how many seconds the jobs will take on so many workers, each taking the next as it is free."""
    free = [0.0] * workers
    for job in jobs:
        earliest = free.index(min(free))
        free[earliest] += sum(durations.of(ids[position]) for position in job)
    return max(free)


def cut(
    ids: Sequence[str], positions: Sequence[int], workers: int, durations: Durations, *, split: bool = True,
    longest_first: bool = True,
) -> list[list[int]]:
    """Return the jobs for these positions of `ids`, in the order in which they are to be handed out.

    With one worker that is the order of `positions`. With several, the longest first: what is handed out last decides
    how far apart the workers end.
    """
    if workers <= 1:
        return [list(group) for _, group in groupby(positions, key=lambda position: file_of(ids[position]))]
    files = _grouped(positions, lambda position: file_of(ids[position]))
    weighed = [(sum(durations.of(ids[position]) for position in group), group) for group in files]
    share = sum(weight for weight, _ in weighed) / workers
    jobs: list[tuple[float, list[int]]] = []
    for weight, group in weighed:
        if split and weight > max(share * LONGEST_SHARE, SHORTEST_PIECE):
            jobs += _pieces(ids, group, weight, workers, durations)
        else:
            jobs.append((weight, group))
    if longest_first:
        jobs.sort(key=lambda pair: -pair[0])  # stable: equal ones stay in the order of collection
    return [job for _, job in jobs]


def file_of(test: str) -> str:
    """Return the file part of a node id."""
    return test.partition("::")[0]


def _grouped(positions: Sequence[int], key: Callable[[int], str]) -> list[list[int]]:
    """Group positions by key, keeping the order of first appearance and the order inside each group."""
    groups: dict[str, list[int]] = {}
    for position in positions:
        groups.setdefault(key(position), []).append(position)
    return list(groups.values())


def _pieces(
    ids: Sequence[str], group: list[int], weight: float, workers: int, durations: Durations
) -> list[tuple[float, list[int]]]:
    """Cut one file into pieces, with weights: each is a fair share, halved, of what is left of the file."""
    blocks = _blocks(ids, group, max(weight / workers / 2, SHORTEST_PIECE), durations)
    pieces: list[tuple[float, list[int]]] = []
    piece: list[int] = []
    filled, rest = 0.0, weight
    for block_weight, block in blocks:
        piece += block
        filled += block_weight
        if filled >= max(rest / (2 * workers), SHORTEST_PIECE):
            pieces.append((filled, piece))
            rest -= filled
            piece, filled = [], 0.0
    if piece:
        pieces.append((filled, piece))
    return pieces


def _blocks(
    ids: Sequence[str], group: Sequence[int], longest: float, durations: Durations, depth: int = 1
) -> list[tuple[float, list[int]]]:
    """Return what a file may be cut between, with weights. Only what is longer than `longest` is looked into."""
    found: list[tuple[float, list[int]]] = []
    for name, members in groupby(group, key=lambda position: _part(ids[position], depth)):
        block = list(members)
        weight = sum(durations.of(ids[position]) for position in block)
        if weight <= longest or len(block) == 1:
            found.append((weight, block))
        elif name:
            found += _blocks(ids, block, longest, durations, depth + 1)
        else:
            found += [(durations.of(ids[position]), [position]) for position in block]
    return found


def _part(test: str, depth: int) -> str:
    """Return the node id down to its `depth`-th name, without parameters; empty where it has no more names."""
    path, _, _ = test.partition("[")
    names = path.split("::")
    return "::".join(names[: depth + 1]) if depth < len(names) else ""
