"""What the text report says of a run on several targets: each failure once, each target's result, the matrix.

Runs in the client; loaded when a run turns out to have several targets. Imports our own helpers; what only failures
need is imported with the first of them.
"""

from __future__ import annotations

from testd_daemon.reports import safe, words
from testd_daemon.reports.base import BAD
from testd_daemon.reports.matrix import Matrix, listed
from testd_daemon.reports.targets import Targets, counted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from testd_daemon.reports.alike import Failure, Failures
    from testd_daemon.reports.progress import Progress
    from testd_daemon.reports.targets import Target
    from testd_daemon.reports.terminal import Terminal

#: So many ways to differ are told in the last line.
_WAYS = 4


class Several:
    """The outcomes of several targets, as text."""

    def __init__(
        self, terminal: Terminal, progress: Progress, targets: Targets, verbosity: int, again: Callable[[str, str], str]
    ) -> None:
        """`again`: gives the command that runs a test on a target again."""
        self._terminal = terminal
        self._progress = progress
        self._targets = targets
        self._verbosity = verbosity
        self._again = again
        self._matrix = Matrix()
        self._whole = True  # the matrix has every outcome
        self._failures: Failures | None = None
        self._leaks: set[str] = set()
        self._told: set[str] = set()
        self._repeated: dict[str, int] = {}  # by target: failures that were told in full before, on another one

    def seed(self, bad: Sequence[tuple[str, str, str, str]]) -> None:
        """Take what came before the run was known to have several targets; of failures verdict, test, message, target.

        That happens to those who follow a run from a later event on. What passed before is only counted, and so there
        is no matrix to be made.
        """
        self._whole = not self._progress.done
        for verdict, test, message, target in bad:
            self._known_failures().add([test, target, verdict, 0.0, 0, 0, {"message": message}])

    def outcomes(self, rows: Sequence[Sequence[Any]]) -> str:
        """Take a batch. A failure is told in full once, with every target that has it by now.

        Where it comes again from another target that target's result says so, and `-v` in a line at once; `-vv` tells
        each in full.
        """
        self._progress.outcomes(rows)
        self._matrix.add(rows)
        every = self._verbosity > 0
        told = [row for row in rows if every or row[6] or row[2] in BAD]
        return "".join([*(self._tell(told) if told else ()), *self._results()])

    def planned(self) -> str:
        """Take note of a new plan: a target may be at its end with it."""
        return "".join(self._results())

    def ending(self) -> str:
        """Give what comes before the last line: the targets that had no end, and the matrix."""
        names, left = self._targets.names, "".join(self._results(all_of_them=True))
        if not self._whole:
            return left + self._list()
        bad, unequal = self._matrix.bad(names), self._matrix.unequal(names)
        if not bad and not unequal:
            return left
        from testd_daemon.reports import table

        return left + table.render(self._terminal, names, bad, unequal, self._failures, everything=self._verbosity > 0)

    def whole(self) -> str:
        """Say how much there was: `1,203 tests x 5 targets`, and where not all targets ran, of how many."""
        if not self._whole:
            return words.number(len(self._targets), "target")
        ran = len(self._matrix.ran())
        cross = "\N{MULTIPLICATION SIGN}" if self._terminal.unicode else "x"
        of = f"{ran} of {len(self._targets)}" if ran < len(self._targets) else str(ran)
        return f"{words.number(len(self._matrix), 'test')} {cross} {of} target{'' if of == '1' else 's'}"

    def clause(self) -> str:
        """Say in short what fails where: `fails only on py3.9: tests/test_a.py::test_x`."""
        patterns = sorted(self._matrix.bad(self._targets.names), key=lambda pattern: -len(pattern.tests))
        if not patterns or not self._whole:
            return ""
        first = patterns[0]
        if len(patterns) == len(first.tests) == 1:
            return f"{first.verb(1)} {first.where()}: {safe.line(first.tests[0])}"
        said = [f"{len(first.tests)} {first.verb(len(first.tests))} {first.where()}"]
        said += [f"{len(pattern.tests)} {pattern.where()}" for pattern in patterns[1:_WAYS]]
        elsewhere = sum(len(pattern.tests) for pattern in patterns[_WAYS:])
        return ", ".join([*said, f"{elsewhere} elsewhere"] if elsewhere else said)

    def warmth(self) -> str:
        """Say `warm`, `cold`, or which were cold; each target's own line says why."""
        started, cold = [target for target in self._targets if target.ready], self._targets.cold()
        if not started:
            return ""
        return "warm" if not cold else "cold" if len(cold) == len(started) else f"cold on {listed(cold)}"

    def _list(self) -> str:
        """Name the failures where there is no matrix."""
        from testd_daemon.reports import lines, table

        known = list(self._failures or ())
        said = [
            lines.named(self._terminal, each.verdict, each.test, each.message, where=", ".join(each.targets))
            for each in known[: table.NAMED]
        ]
        said += [f"and {len(known) - table.NAMED} more"] if len(known) > table.NAMED else []
        return "".join(f"{line}\n" for line in said)

    def _tell(self, rows: Sequence[Sequence[Any]]) -> Iterator[str]:
        failures = self._known_failures() if any(row[2] in BAD for row in rows) else None
        before = {id(known) for row in rows for known in failures.of(row[0])} if failures is not None else set()
        found = [failures.add(row) if failures is not None and row[2] in BAD else None for row in rows]
        told = set()
        for row, known in zip(rows, found, strict=True):
            if known is None:
                yield from self._quiet(row)
            elif id(known) in before and self._verbosity < 2:
                yield from self._known(row, known)
            elif id(known) not in told:
                told.add(id(known))
                yield self._failure(row, row[1] if id(known) in before else self._where(known))

    def _known_failures(self) -> Failures:
        if self._failures is None:
            from testd_daemon.reports.alike import Failures

            self._failures = Failures()
        return self._failures

    def _quiet(self, row: Sequence[Any]) -> list[str]:
        if self._verbosity < 1 and not row[6].get("leaks"):
            return []
        from testd_daemon.reports import lines

        said = [lines.outcome(self._terminal, row, row[1])] if self._verbosity > 0 else []
        if row[6] and row[6].get("leaks") and (self._verbosity > 0 or row[0] not in self._leaks):
            self._leaks.add(row[0])
            said.append(lines.leaks(self._terminal, row, row[1], self._verbosity))
        return said

    def _failure(self, row: Sequence[Any], where: str) -> str:
        from testd_daemon.reports import failure

        return (
            failure.header(self._terminal, row, where)
            + failure.describe(self._terminal, row[6], everything=self._verbosity > 0)
            + self._again(row[0], row[1])
        )

    def _known(self, row: Sequence[Any], known: Failure) -> list[str]:
        self._repeated[row[1]] = self._repeated.get(row[1], 0) + 1
        if self._verbosity < 1:
            return []
        from testd_daemon.reports import lines

        same = f"the same as on {known.targets[0]} ({len(known.targets)} of {len(self._targets)} targets)"
        return [f"{lines.named(self._terminal, known.verdict, known.test, '', where=row[1])}: {same}\n"]

    def _where(self, known: Failure) -> str:
        """Say which targets have a failure by now: `py3.9 and py3.13 (2 of 5 targets)`."""
        count, of = len(known.targets), len(self._targets)
        if count == 1:
            return known.targets[0]
        said = f"{count} of {of} targets" if count < of else f"all {of} targets"
        return f"{listed(known.targets)} ({said})" if count < min(of, 6) else said

    def _results(self, *, all_of_them: bool = False) -> Iterator[str]:
        """Say how a target did, once, when it is done; in the end of those that are left too."""
        for target in self._targets:
            if target.name in self._told or not (target.finished or all_of_them):
                continue
            self._told.add(target.name)
            if self._verbosity >= 0:
                yield self._result(target)

    def _result(self, target: Target) -> str:
        paint, width = self._terminal.paint, max(map(len, self._targets.names))
        said = ", ".join(paint(text, words.style(verdict)) for verdict, text in words.counts(target.counts))
        if target.unavailable:
            said = (said + ", then " if said else "") + paint("unavailable", "yellow")
        elif not target.finished and target.planned is not None:
            said = f"{said or 'nothing'} of {target.planned:,}"
        repeated = self._repeated.get(target.name, 0)
        reason = ""
        if target.ready:
            from testd_daemon.reports.progress import bare_reason

            state, why = ("warm", "") if target.ready["warm"] else ("cold", bare_reason(target.ready))
            reason = paint(f" ({state}{': ' + why if why else ''})", "dim")
        if repeated:
            reason += paint(f" - {words.number(repeated, 'failure')} as above", "dim")
        name = paint(f"{safe.line(target.name):<{width}}", "bold")
        return f"{name}  {said or counted(target.counts)}{reason}\n"


__all__ = ["Several"]
