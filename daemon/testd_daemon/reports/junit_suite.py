"""One target's part of a JUnit report: a `testsuite` with its properties, totals and cases.

Runs in the client, for `--junitxml`; imports the standard library. Cases are kept as text, and beyond a megabyte in a
file without a name that is gone with the process: a run of 62,000 tests on five targets is 100 MB of them.
"""

from __future__ import annotations

import tempfile
from typing import IO, TYPE_CHECKING, Any

from testd_daemon.reports import junit_case

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

#: Characters of cases that are kept in memory, for each suite.
_KEPT = 1024 * 1024
_COPIED = 256 * 1024


class Suite:
    """The cases of one target."""

    def __init__(self, folder: Path) -> None:
        """Start without cases. `folder`: where the report goes, and has its room."""
        self.totals = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
        self.seconds = 0.0  # of all tests together
        self._folder = folder
        self._cases: list[str] = []
        self._size = 0
        self._file: IO[str] | None = None

    def add(self, row: Sequence[Any], suffix: str) -> None:
        """Take an outcome. Raises OSError where there is no room for it."""
        self.totals["tests"] += 1
        kind = junit_case.counted_as(row[2])
        if kind:
            self.totals[kind] += 1
        self.seconds += row[3]
        self._keep(junit_case.case(row, suffix))

    def element(self, attributes: Mapping[str, str], properties: Mapping[str, str]) -> Iterator[str]:
        """Give the element in pieces. `attributes`: those beside the totals."""
        totals = {name: str(count) for name, count in self.totals.items()}
        yield f"<testsuite {listed({'name': attributes['name'], **totals, **attributes})}>"
        if properties:
            yield "<properties>"
            yield from (f"<property {listed({'name': name, 'value': text})}/>" for name, text in properties.items())
            yield "</properties>"
        yield "\n"
        if self._file is not None:
            self._file.seek(0)
            while piece := self._file.read(_COPIED):
                yield piece
        yield from self._cases
        yield "</testsuite>"

    def close(self) -> None:
        """Give the room back."""
        if self._file is not None:
            self._file.close()

    def _keep(self, case: str) -> None:
        self._cases.append(case)
        self._size += len(case)
        if self._size <= _KEPT:
            return
        if self._file is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile("w+", encoding="utf-8", newline="", dir=self._folder)  # noqa: SIM115 - close() does
        self._file.writelines(self._cases)
        self._cases, self._size = [], 0


def listed(attributes: Mapping[str, str]) -> str:
    """Write attributes down, in their order."""
    return " ".join(f'{name}="{junit_case.value(text)}"' for name, text in attributes.items())


__all__ = ["Suite", "listed"]
