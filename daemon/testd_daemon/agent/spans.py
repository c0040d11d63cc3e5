"""Where the time of a run went, for `testd run --profile`. Pure; runs in the agent.

A name with a colon is a part of the one before it: `collect: import`. What the workers do side by side is told as the
time from the first to the last, and in its parts as the sum over all of them.
"""

from __future__ import annotations

import time

__all__ = ["Spans", "WorkerClock"]


class WorkerClock:
    """What a run's workers did when. Times are of the monotonic clock; a test's start follows from its duration."""

    __slots__ = ("bodies", "first_start", "first_test", "last_exit", "last_outcome", "workers")

    def __init__(self) -> None:
        """Begin before anything has started."""
        self.workers = 0
        self.bodies = 0.0
        self.first_start = self.first_test = self.last_outcome = self.last_exit = 0.0

    def started(self) -> None:
        """A worker is ordered."""
        self.workers += 1
        self.first_start = self.first_start or time.monotonic()

    def outcome(self, duration: float) -> None:
        """A worker has told of a test."""
        self.last_outcome = time.monotonic()
        self.first_test = min(self.first_test or self.last_outcome, self.last_outcome - duration)
        self.bodies += duration

    def exited(self) -> None:
        """A worker is gone."""
        self.last_exit = time.monotonic()


class Spans:
    """The spans of one target in the order in which they came; each is what has passed since the one before."""

    __slots__ = ("_last", "seconds")

    def __init__(self) -> None:
        """Begin now."""
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def mark(self, name: str) -> None:
        """End a span here. One that comes again is added to."""
        now = time.monotonic()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now

    def part(self, name: str, of: str, seconds: float) -> None:
        """Make a span of its own of a part of the one that ended last."""
        seconds = min(seconds, self.seconds[of])
        self.seconds[of] -= seconds
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def inform(self, name: str, seconds: float) -> None:
        """Say how much of the span before was something in it, where that is known."""
        if seconds:
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def take(self, other: Spans) -> None:
        """Add the spans that others have measured meanwhile."""
        for name, seconds in other.seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds
        self._last = time.monotonic()

    def work(self, clock: WorkerClock, *, most: int) -> None:
        """Add what workers did, of which at most so many were at work side by side."""
        if not clock.first_start:
            return
        first_test = clock.first_test or clock.last_exit or clock.first_start
        last_outcome = clock.last_outcome or first_test
        ran = last_outcome - first_test
        self.seconds["fork"] = max(0.0, first_test - clock.first_start)
        self.seconds["tests"] = ran
        self.seconds["tests: bodies"] = clock.bodies
        self.seconds["tests: idle"] = max(0.0, ran * min(most, clock.workers) - clock.bodies)
        self.seconds["end"] = max(0.0, clock.last_exit - last_outcome)
        self._last = time.monotonic()
