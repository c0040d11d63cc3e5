"""What every scenario is given: where things are, how often to measure, and the suites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import suites
from contenders import counts
from house import House
from measuring import Series
from table import Row

__all__ = ["Context", "race"]


@dataclass(frozen=True, kw_only=True)
class Context:
    """The settings of a benchmark run."""

    testd: Path
    root: Path  # the cache of suites
    rounds: int
    quick: bool

    def suite(self, name: str) -> suites.Prepared:
        """Return a suite, prepared. Raises SuiteError."""
        (suite,) = suites.choose([name])
        return suites.prepare(suite, self.root)

    def peers(self, name: str) -> suites.Prepared:
        """Return a suite in an environment that has the peers too. Raises SuiteError."""
        (suite,) = suites.choose([name])
        return suites.prepare(suite.with_peers(), self.root)

    def house(self, suite: suites.Prepared) -> House:
        """Return a daemon of its own for a suite."""
        return House(suite.environ(), self.testd)


def race(
    scenario: str, case: str, series: Mapping[str, Series], goals: Mapping[str, tuple[list[str], float]]
) -> list[Row]:
    """Return a row for each contender; `goals`: by whom one is measured, and the ratio allowed (0: any)."""
    rows = []
    for name, found in series.items():
        rivals, limit = goals.get(name, ([], 0.0))
        present = [rival for rival in rivals if rival in series]
        best = min(present, key=lambda rival: series[rival].median, default=None)
        ratio = found.median / series[best].median if best else None
        rows.append(
            Row(
                scenario=scenario,
                case=case,
                what=name,
                value=f"{found.median:.3f} s",
                p90=found.p90,
                cpu=found.cpu,
                ratio=ratio,
                against=best or "",
                goal=f"≤ {limit:g}" if limit else "",
                met=ratio <= limit if ratio is not None and limit else None,
                note=_said(found),
            )
        )
    return rows


def _said(found: Series) -> str:
    return ", ".join(f"{number} {verdict}" for verdict, number in counts(found.samples[-1]).most_common())
