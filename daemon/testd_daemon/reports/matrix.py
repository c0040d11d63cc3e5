"""Which test has which verdict on which target, kept small: one whole number for each test.

Runs in the client, where a run has several targets; imports our own constants only. A test's number holds four bits for
each target, 0 where the test has no verdict there. Tests with the same verdicts share one number object, so that 62,000
tests on five targets cost their names and a dictionary.
"""

from __future__ import annotations

from testd_daemon.reports.base import BAD, VERDICTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

_BITS = 4
_MASK = (1 << _BITS) - 1
#: The worst first: of two verdicts on one test the smaller code stays.
_CODES = {verdict: code for code, verdict in enumerate(VERDICTS, 1)}
#: Where a test was run and did what it should.
_GOOD = frozenset({"passed", "xfailed", "xpassed"})


class Pattern:
    """What some tests have in common: their verdict on each target, and which tests they are."""

    def __init__(self, verdicts: Sequence[str], targets: Sequence[str]) -> None:
        """Take the verdict on each target, empty where there is none."""
        self.verdicts = tuple(verdicts)
        self.tests: list[str] = []
        self._targets = targets

    def on(self, wanted: frozenset[str]) -> list[str]:
        """List the targets where the verdict is one of these."""
        return [target for target, verdict in zip(self._targets, self.verdicts, strict=True) if verdict in wanted]

    @property
    def bad(self) -> list[str]:
        """Where the tests did not do what they should."""
        return self.on(BAD)

    def where(self) -> str:
        """Say where: `only on py3.9 and box`, `on all 5 targets`, `everywhere but on box`, `on all 4 that ran it`."""
        bad, good = self.bad, self.on(_GOOD)
        if len(bad) == len(self._targets):
            return f"on all {len(bad)} targets"
        if not good:
            it = "it" if len(self.tests) == 1 else "them"
            return f"on all {len(bad)} that ran {it}" if len(bad) > 1 else f"on {bad[0]}, the only one that ran {it}"
        if len(bad) > len(good) and len(bad) + len(good) == len(self._targets):
            return f"everywhere but on {listed(good)}"
        return f"only on {listed(bad)}"

    def verb(self, count: int) -> str:
        """Say what they do there: `fails`, `crash`, `time out`."""
        verdicts = {verdict for verdict in self.verdicts if verdict in BAD}
        one, more = {"crashed": ("crashes", "crash"), "timed out": ("times out", "time out")}.get(
            next(iter(verdicts)) if len(verdicts) == 1 else "", ("fails", "fail")
        )
        return one if count == 1 else more


class Matrix:
    """The verdicts of a run on several targets."""

    def __init__(self) -> None:
        """Begin without tests; a target is known from its first outcome on."""
        self._shifts: dict[str, int] = {}
        self._tests: dict[str, int] = {}
        self._shared: dict[int, int] = {}

    def __len__(self) -> int:
        """Count the tests, each once."""
        return len(self._tests)

    def add(self, outcomes: Iterable[Sequence[Any]]) -> None:
        """Take outcomes: test, target, verdict, and what does not matter here.

        Where a test has two on a target, the worse one stays.
        """
        tests, shared = self._tests, self._shared
        for row in outcomes:
            test, target, verdict = row[0], row[1], row[2]
            shift = self._shifts.get(target)
            if shift is None:
                shift = self._shifts[target] = _BITS * len(self._shifts)
            code = _CODES.get(verdict, _MASK)
            number = tests.get(test, 0)
            before = number >> shift & _MASK
            if before:
                if before <= code:
                    continue
                number ^= before << shift
            number |= code << shift
            tests[test] = shared.setdefault(number, number)

    def ran(self) -> list[str]:
        """List the targets that had outcomes, in the order of their first."""
        return list(self._shifts)

    def bad(self, targets: Sequence[str]) -> list[Pattern]:
        """Group the tests that did badly anywhere: what fails on the fewest targets first, what fails on all last."""
        found = self._patterns(targets, lambda verdicts: any(verdict in BAD for verdict in verdicts))
        return sorted(found, key=lambda pattern: len(pattern.bad))

    def unequal(self, targets: Sequence[str]) -> list[Pattern]:
        """Group the tests that did well and yet not the same on all targets that ran: skipped or missing on some."""

        def wanted(verdicts: Iterable[str]) -> bool:
            here = [verdict for verdict, target in zip(verdicts, targets, strict=True) if target in self._shifts]
            return len(set(here)) > 1 and not BAD.intersection(here) and "cancelled" not in here

        return self._patterns(targets, wanted)

    def _patterns(self, targets: Sequence[str], wanted: Callable[[Iterable[str]], bool]) -> list[Pattern]:
        found: dict[int, Pattern] = {}
        for number in set(self._tests.values()):
            verdicts = self._verdicts(number, targets)
            if wanted(verdicts):
                found[number] = Pattern(verdicts, targets)
        if found:
            for test, number in self._tests.items():
                if number in found:
                    found[number].tests.append(test)
        return sorted(found.values(), key=lambda pattern: pattern.verdicts)

    def _verdicts(self, number: int, targets: Sequence[str]) -> list[str]:
        codes = (number >> self._shifts[target] & _MASK if target in self._shifts else 0 for target in targets)
        return ["" if not code else VERDICTS[code - 1] if code <= len(VERDICTS) else "other" for code in codes]


def listed(names: Sequence[str]) -> str:
    """Say names as a sentence does: `a`, `a and b`, `a, b and c`; many are counted."""
    if len(names) > 5:
        return f"{len(names)} targets"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


__all__ = ["Matrix", "Pattern", "listed"]
