"""One run beside earlier runs of the same workflow. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec

from testd_daemon.workflows.measures.figures import RunFigures

__all__ = ["Comparison", "Delta", "comparable", "compared"]

#: A difference of less, as a part of what it was and in seconds, is noise.
_NOISE, _LEAST = 0.1, 0.02


class Delta(msgspec.Struct, frozen=True, kw_only=True):
    """What something took, and what it took before."""

    now: float  # seconds
    before: float  # seconds, the median of the earlier runs

    @property
    def change(self) -> float:
        """The difference as a part of what it was: 0.1 is a tenth more."""
        return (self.now - self.before) / self.before if self.before else 0.0

    @property
    def notable(self) -> bool:
        """Whether the difference is more than noise."""
        return abs(self.change) >= _NOISE and abs(self.now - self.before) >= _LEAST


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A run beside others."""

    runs: list[str]  # the earlier ones, the newest first
    makespan: Delta
    functions: dict[str, Delta]  # by instance: of those that completed in it and in an earlier run, trigger to end
    new: list[str]  # functions of this run alone
    gone: list[str]  # functions of earlier runs alone


def comparable(now: RunFigures, before: Sequence[RunFigures]) -> list[RunFigures]:
    """Return those of earlier runs of the workflow that say what `now` should take.

    They went to their end without a failure; and with the same functions, unless there is none of these.
    """
    good = [run for run in before if run.complete and all(each.status == "completed" for each in run.functions)]
    mine = {function.function for function in now.functions}
    return [run for run in good if {function.function for function in run.functions} == mine] or good


def compared(now: RunFigures, before: Sequence[RunFigures]) -> Comparison | None:
    """Compare a run with earlier ones, newest first; None where there are none."""
    if not before:
        return None
    took: dict[str, list[float]] = {}
    for run in before:
        for function in run.functions:
            if function.status == "completed":
                took.setdefault(function.function, []).append(function.elapsed)
    mine = {function.function: function.elapsed for function in now.functions if function.status == "completed"}
    return Comparison(
        runs=[run.run for run in before],
        makespan=Delta(now=now.makespan, before=statistics.median(run.makespan for run in before)),
        functions={
            name: Delta(now=elapsed, before=statistics.median(took[name]))
            for name, elapsed in mine.items()
            if name in took
        },
        new=[name for name in mine if name not in took],
        gone=[name for name in took if name not in mine],
    )
