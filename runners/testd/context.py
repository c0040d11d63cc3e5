"""The test that runs now: what it may ask about itself, and what the assertions keep on its behalf.

Runs in the user's process; imports nothing at load. A worker runs one test at a time, so "the current test" is one
value for the whole process, threads and tasks included.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from testd.folders import Folder

__all__ = ["Context", "NoTest", "Skip", "current_test"]


class Skip(Exception):
    """Raised by a test, or by a test file at import, that does not apply here: `raise Skip("no database")`."""


class NoTest(RuntimeError):
    """Something that only a running test may ask for was asked for outside of one."""


class Context:
    """One test while it runs; what a test function gets as its parameter `t`."""

    __slots__ = ("_ends", "_folder", "_lines", "counters", "file", "id", "name", "unawaited")

    def __init__(self, id: str, name: str, file: str) -> None:  # noqa: A002 (the protocol's word)
        """Make the context of the test `id`, which is the function `name` in `file` (an absolute path)."""
        self.id = id
        self.name = name
        self.file = file
        #: What assertions keep per test: how many snapshots were taken, and which.
        self.counters: dict[str, Any] = {}
        #: Descriptions of assertions that return an awaitable and are still waiting for their `await`.
        self.unawaited: dict[int, str] = {}
        self._lines: list[str] = []
        self._folder: Folder | None = None
        self._ends: list[Callable[[], None]] = []

    def __repr__(self) -> str:
        """Name the test."""
        return f"<test {self.id}>"

    def log(self, *values: object) -> None:
        """Keep a line for the report of this test. It is shown when the test does not pass."""
        self._lines.append(" ".join(map(str, values)))

    @property
    def logged(self) -> str:
        """Everything that was logged, one line for each call."""
        return "".join(line + "\n" for line in self._lines)

    @property
    def tmp_path(self) -> Path:
        """A new empty folder of this test's own. Made when first asked for, removed when the test has ended."""
        if self._folder is None:
            from testd.folders import Folder

            self._folder = Folder()
        return self._folder.path

    def at_end(self, action: Callable[[], None]) -> None:
        """Call `action` when the test has ended, the last one first."""
        self._ends.append(action)

    def close(self) -> None:
        """End the test: run what was asked for with `at_end`, remove the folder."""
        try:
            while self._ends:
                self._ends.pop()()
        finally:
            if self._folder is not None:
                self._folder.remove()
                self._folder = None


class _State:
    """The current test, and what the run was asked for."""

    test: Context | None = None
    update_snapshots: bool | None = None  # None: as the environment variable TESTD_UPDATE_SNAPSHOTS says


state = _State()


def current_test() -> Context:
    """Return the test that runs now.

    Raises:
        NoTest: none does, or it is not run as an exported function.

    """
    if state.test is None:
        raise NoTest("no test is running: current_test() answers while an exported test function runs")
    return state.test
