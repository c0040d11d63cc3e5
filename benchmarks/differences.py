"""Rows for goals that are told in seconds more than something else takes."""

from __future__ import annotations

import statistics

from measuring import Series
from table import Row

__all__ = ["excess", "over"]


def over(scenario: str, case: str, what: str, pair: tuple[Series, Series], goal: float) -> Row:
    """Return what the first of two interleaved contenders takes more than the second: the median over the rounds."""
    found, base = pair
    costs = [sample.wall - other.wall for sample, other in zip(found.samples, base.samples, strict=True)]
    return excess(scenario, case, what, statistics.median(costs), goal)


def excess(scenario: str, case: str, what: str, seconds: float, goal: float, note: str = "") -> Row:
    """Return a row for these seconds."""
    return Row(
        scenario=scenario, case=case, what=what, value=f"{seconds * 1000:.0f} ms", goal=f"≤ {goal * 1000:.0f} ms",
        met=seconds <= goal, note=note,
    )  # fmt: skip
