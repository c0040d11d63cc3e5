"""The matrix at the end of a run on several targets: a column for each target, a line for each way to differ.

Runs in the client; loaded at such a run's end. Imports our own helpers.

Tests that fail on the same targets share a line with a mark for each target, and are named below it. The marks are
letters, so that they can be read without colours; where the targets' names have no room above their columns, the
columns are numbered and the names told above them.
"""

from __future__ import annotations

from testd_daemon.reports import lines, safe, words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testd_daemon.reports.alike import Failures
    from testd_daemon.reports.matrix import Pattern
    from testd_daemon.reports.terminal import Terminal

#: So many tests are named, and so many ways to differ told; the rest is counted.
NAMED = 100
WAYS = 30
#: Of a line so many columns are kept for what is said behind the marks.
_ROOM = 34
_INDENT = 4
_MARKS = {
    "failed": "F", "error": "E", "crashed": "C", "timed out": "T", "skipped": "s", "xfailed": "x", "xpassed": "X",
    "cancelled": "c", "other": "?", "": "-",
}  # fmt: skip


def render(
    terminal: Terminal,
    targets: Sequence[str],
    bad: Sequence[Pattern],
    unequal: Sequence[Pattern],
    failures: Failures | None,
    *,
    everything: bool = False,
) -> str:
    """Give the matrix as lines: of the tests that did badly, and of those that did well and not the same everywhere.

    `everything`: name also the latter, which are skipped or missing on some targets only; otherwise they are counted.
    """
    shown = [*bad, *unequal] if everything else bad
    said = []
    if shown:
        columns = Columns(terminal, targets)
        rows = list(_rows(columns, shown, failures))
        said = ["", *columns.head(), *rows, terminal.paint(columns.legend(shown), "dim"), ""]
    count = sum(len(pattern.tests) for pattern in unequal)
    if count and not everything:
        are = "is" if count == 1 else "are"
        said.append(terminal.paint(f"{words.number(count, 'test')} {are} skipped or missing on some targets only "
                                   "(-v names them)", "dim"))  # fmt: skip
    return "".join(f"{line}\n" for line in said)


class Columns:
    """The columns of the targets: under their names where there is room, else under numbers."""

    def __init__(self, terminal: Terminal, targets: Sequence[str]) -> None:
        """Lay out the columns for a terminal."""
        self.terminal = terminal
        self._names = [safe.line(target) for target in targets]
        self._numbered = sum(len(name) + 2 for name in self._names) + _ROOM > terminal.width
        heads = [str(number) for number in range(1, len(targets) + 1)] if self._numbered else self._names
        self._heads = heads
        self._passed = "·" if terminal.unicode else "."

    def head(self) -> Iterator[str]:
        """Give the lines above the marks."""
        if self._numbered:
            yield from self._told([f"{n} {name}" for n, name in zip(self._heads, self._names, strict=True)])
        yield self.terminal.paint("  ".join(self._heads), "bold")

    def marks(self, pattern: Pattern) -> str:
        """Give a mark for each target, under the middle of its head."""
        cells = []
        for head, verdict in zip(self._heads, pattern.verdicts, strict=True):
            before = " " * ((len(head) - 1) // 2)
            mark = self.terminal.paint(self.mark(verdict), words.style(verdict) if verdict else "dim")
            cells.append(before + mark + " " * (len(head) - 1 - len(before)))
        return "  ".join(cells)

    def mark(self, verdict: str) -> str:
        """Give the mark of a verdict."""
        return self._passed if verdict == "passed" else _MARKS.get(verdict, "?")

    def legend(self, patterns: Sequence[Pattern]) -> str:
        """Say what the marks mean that were used."""
        used = {verdict for pattern in patterns for verdict in pattern.verdicts}
        known = [verdict for verdict in ("passed", *_MARKS) if verdict in used]
        return "  ".join(f"{self.mark(verdict)} {verdict or 'not run'}" for verdict in known)

    def _told(self, parts: Sequence[str]) -> Iterator[str]:
        """Lay parts out side by side in the width of the terminal."""
        width = max(map(len, parts)) + 2
        on_a_line = max(1, self.terminal.width // width)
        for begin in range(0, len(parts), on_a_line):
            yield "".join(f"{part:<{width}}" for part in parts[begin : begin + on_a_line]).rstrip()


def _rows(columns: Columns, patterns: Sequence[Pattern], failures: Failures | None) -> Iterator[str]:
    left = NAMED
    for pattern in patterns[:WAYS]:
        count = len(pattern.tests)
        what = f"{pattern.verb(count)} {pattern.where()}" if pattern.bad else "differ" if count > 1 else "differs"
        yield f"{columns.marks(pattern)}  {words.number(count, 'test')} {what}"
        for test in pattern.tests[:left]:
            yield from _named(columns, pattern, test, failures)
        if count > left:
            again = "; `testd run --last-failed` runs all of them again" if pattern.bad else ""
            yield f"{' ' * _INDENT}and {count - left} more{again}"
        left = max(0, left - count)
    if len(patterns) > WAYS:
        count = sum(len(pattern.tests) for pattern in patterns[WAYS:])
        yield f"and {words.number(count, 'test')} more, in {len(patterns) - WAYS} other ways"


def _named(columns: Columns, pattern: Pattern, test: str, failures: Failures | None) -> Iterator[str]:
    """Name a test, once for each different failure of it."""
    terminal = columns.terminal
    if not pattern.bad or failures is None:
        yield " " * _INDENT + safe.line(test)
        return
    different = failures.of(test)
    for failure in different:
        where = "" if len(different) == 1 else ", ".join(failure.targets)
        yield lines.named(terminal, failure.verdict, test, failure.message, where=where, indent=_INDENT)


__all__ = ["NAMED", "WAYS", "Columns", "render"]
