"""How all tests of a watch stand: what each said last, whether or not it ran just now. Pure; runs in the agent."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from testd_daemon.agent.plan import BAD
from testd_protocol.messages import Failing, Row, Standing, Verdict

__all__ = ["Standings"]

#: Failing tests that are named.
MOST_FAILING: Final = 100
_Test = tuple[str, str]  # target, id


class Standings:
    """The last verdict of each test on each target."""

    def __init__(self) -> None:
        """Know of no test."""
        self._verdicts: dict[_Test, Verdict] = {}
        self._messages: dict[_Test, str] = {}

    def learn(self, row: Row) -> None:
        """Take an outcome. A test that was cancelled stands as it stood."""
        test = row.target, row.test
        if row.verdict == "cancelled":
            return
        self._verdicts[test] = row.verdict
        if row.verdict in BAD:
            self._messages[test] = row.detail.message if row.detail is not None else ""
        else:
            self._messages.pop(test, None)

    def keep(self, target: str, there: Iterable[str], covered: Callable[[str], bool]) -> None:
        """Forget the tests of a target that are no longer there, in files that were `covered` by a collection."""
        known = set(there)
        decided: dict[str, bool] = {}
        for test in [test for test in self._verdicts if test[0] == target and test[1] not in known]:
            file = test[1].partition("::")[0]
            if file not in decided:
                decided[file] = covered(file)
            if decided[file]:
                del self._verdicts[test]
                self._messages.pop(test, None)

    def without(self, files: Iterable[str]) -> None:
        """Forget the tests in files that are gone: where nothing else is affected, no collection says so."""
        gone = set(files)
        for test in [test for test in self._verdicts if test[1].partition("::")[0] in gone]:
            del self._verdicts[test]
            self._messages.pop(test, None)

    @property
    def failing(self) -> bool:
        """Whether any test fails."""
        return bool(self._messages)

    def __len__(self) -> int:
        """How many tests there are, on all targets."""
        return len(self._verdicts)

    def report(self, generation: int) -> Standing:
        """Return what clients are told."""
        counts: dict[str, int] = {}
        for verdict in self._verdicts.values():
            counts[verdict] = counts.get(verdict, 0) + 1
        failing = [
            Failing(test[1], test[0], self._verdicts[test], message)
            for test, message in list(self._messages.items())[:MOST_FAILING]
        ]
        return Standing(
            generation=generation, tests=len(self._verdicts), counts=counts, failing=failing,
            more=len(self._messages) - len(failing),
        )  # fmt: skip
