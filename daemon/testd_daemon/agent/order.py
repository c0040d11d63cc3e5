"""Tests in a random order that a seed repeats. Pure; runs in the agent.

What belongs together stays together: files are shuffled, in each file its classes and functions, in these what they
hold, down to the parameters of a function. Fixtures of a module or a class are so set up about as often as before.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

__all__ = ["shuffled"]


def shuffled(ids: Sequence[str], positions: Sequence[int], seed: int) -> list[int]:
    """Return these positions of `ids` in the order that the seed makes of them."""
    return _shuffled([(_parts(ids[position]), position) for position in positions], 0, Random(seed))  # noqa: S311


def _shuffled(tests: list[tuple[tuple[str, ...], int]], depth: int, random: Random) -> list[int]:
    groups: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    for test in tests:
        groups.setdefault(test[0][depth] if depth < len(test[0]) else "", []).append(test)
    order = list(groups.items())
    random.shuffle(order)
    found: list[int] = []
    for name, group in order:
        if name and len(group) > 1:
            found += _shuffled(group, depth + 1, random)
        else:
            random.shuffle(group)
            found += [position for _, position in group]
    return found


def _parts(test: str) -> tuple[str, ...]:
    """Return a node id from its file to its function, without parameters: these may have colons of their own."""
    return tuple(test.partition("[")[0].split("::"))
