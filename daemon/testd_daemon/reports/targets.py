"""What is known of each target of a run: where it stands, its counts, what it said last.

Runs in the client; loaded when a run turns out to have several targets. Imports our own helpers.
"""

from __future__ import annotations

from testd_daemon.reports import safe, words
from testd_daemon.reports.base import BAD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    Body = Mapping[str, Any]


class Target:
    """One target of a run. What it has is what it is: there is no second record of its state."""

    def __init__(self, name: str) -> None:
        """Start with nothing but the name."""
        self.name = name
        self.ready: Body | None = None
        self.planned: int | None = None
        self.done = 0
        self.counts: dict[str, int] = {}
        self.said = ""  # what it does before it is ready: making its environment
        self.unavailable = ""  # why it is not usable

    @property
    def finished(self) -> bool:
        """Whether every test of it that is planned has its outcome."""
        return self.planned is not None and self.done >= self.planned

    @property
    def bad(self) -> bool:
        """Whether a test did not do what it should."""
        return not BAD.isdisjoint(self.counts)

    def percent(self) -> int:
        """Give the share that is done, 0 to 100."""
        return 100 * min(self.done, self.planned) // self.planned if self.planned else 0

    def state(self) -> str:
        """Say where it stands in a few words: `waiting`, `installing pytest`, `854/1,203`, `1,203 done`."""
        if self.unavailable:
            return f"unavailable: {self.unavailable}"
        if self.finished:
            return f"{self.done:,} done" if self.done else "no tests"
        if self.planned is not None:
            return f"{self.done:,}/{self.planned:,}"
        if self.ready is None:
            return self.said or "waiting"
        return f"{self.done:,} done" if self.done else "collecting"


class Targets:
    """All targets of a run, in its order."""

    def __init__(self) -> None:
        """Start with none."""
        self._by_name: dict[str, Target] = {}

    def __iter__(self) -> Iterator[Target]:
        """Go through them in order."""
        return iter(self._by_name.values())

    def __len__(self) -> int:
        """Count them."""
        return len(self._by_name)

    def __getitem__(self, name: str) -> Target:
        """Give a target; one that nobody has named before comes last."""
        known = self._by_name.get(name)
        if known is None:
            known = self._by_name[name] = Target(name)
        return known

    @property
    def names(self) -> list[str]:
        """Their names."""
        return list(self._by_name)

    def plan(self, tests: Mapping[str, int | None]) -> None:
        """Take the newest plan: it has the targets in order, and what each is to do."""
        for name, planned in tests.items():
            self[name].planned = planned
        self._by_name = {name: self[name] for name in [*tests, *self._by_name]}

    def ready(self, body: Body) -> None:
        """Take `TargetReady`. One that had become unusable and comes again is usable."""
        target = self[str(body["target"])]
        target.ready = target.ready or body
        target.unavailable = ""

    def unavailable(self, body: Body) -> None:
        """Take `TargetUnavailable`."""
        self[str(body["target"])].unavailable = safe.line(str(body["message"]))

    def preparing(self, body: Body) -> None:
        """Keep what a target says that it does while it gets ready."""
        target = self[str(body["target"])]
        if target.ready is None:
            target.said = safe.line(str(body["text"])).removeprefix(f"{target.name}: ")

    def outcomes(self, name: str, verdict: str, count: int) -> None:
        """Count outcomes of a target."""
        target = self[name]
        target.done += count
        target.counts[verdict] = target.counts.get(verdict, 0) + count

    def sentence(self) -> str:
        """Say where those stand that are not done, in one plain line for a log."""
        return ", ".join(f"{target.name}: {target.state()}" for target in self if not target.finished)

    def later(self) -> int:
        """Count those of which it is not known yet how much they have to do."""
        return sum(target.planned is None and not target.unavailable for target in self)

    def cold(self) -> list[str]:
        """List those that were ready and not warm."""
        return [target.name for target in self if target.ready and not target.ready["warm"]]


def counted(counts: Mapping[str, int]) -> str:
    """Say counts by verdict in one plain line."""
    return ", ".join(said for _, said in words.counts(counts)) or "no tests ran"


__all__ = ["Target", "Targets", "counted"]
