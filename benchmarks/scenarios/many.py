"""B8: packaging's 62,000 tests. The daemon only passes them on: how much CPU and memory does the handler take?"""

from __future__ import annotations

from collections.abc import Iterator

from contenders import counts, handler_of, plain, same, warm
from context import Context, race
from measuring import interleave, run
from table import Row

__all__ = ["measure"]

GOAL = 0.4
HANDLER_CPU = 0.05  # of the run's wall time
HANDLER_MEMORY = 150 * 1024 * 1024


def measure(context: Context) -> Iterator[Row]:
    """Yield the race, then the handler's share."""
    suite = context.suite("packaging")
    with context.house(suite) as house:
        reference, ours = plain(suite), warm(house, context.testd, suite)
        samples = {"pytest": run(reference), "testd": run(ours)}
        differing = same(samples)
        if differing:
            yield Row(scenario="B8", case="packaging", what="testd", value="-", met=False, note=str(differing))
            return
        handler = handler_of(house)
        before = handler.cpu_times()
        sample = run(ours)
        after = handler.cpu_times()
        share = (after.user + after.system - before.user - before.system) / sample.wall
        memory = handler.memory_info().rss
        series = interleave([reference, ours], rounds=1 if context.quick else max(2, context.rounds // 3), warm_up=0)
    tests = sum(counts(samples["pytest"]).values())
    yield from race("B8", f"packaging, {tests:,} tests", series, {"testd": (["pytest"], GOAL)})
    yield Row(
        scenario="B8",
        case="packaging",
        what="handler: CPU",
        value=f"{share:.1%}",
        goal=f"≤ {HANDLER_CPU:.0%}",
        met=share <= HANDLER_CPU,
    )
    yield Row(
        scenario="B8",
        case="packaging",
        what="handler: memory",
        value=f"{memory / 1024**2:.0f} MiB",
        goal="≤ 150 MiB",
        met=memory <= HANDLER_MEMORY,
    )
