"""Which kind of test files a project has: pytest's, or exports (every public function is a test).

Runs in the agent and in `doctor`; reads files, imports nothing. The rule, first match wins:

1. What is configured.
2. pytest, where pytest is configured (pytest.ini, pyproject.toml, tox.ini, setup.cfg) or a conftest.py is there.
3. pytest, where a test file imports pytest or unittest or defines a class: exports has neither.
4. exports, where a test file imports testd.
5. exports, where there are test files and the environment has no pytest.
6. pytest.
"""

# Paths as text, not objects: thousands of paths may be looked at before a run

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final, Literal

import msgspec

from testd.workspace import pytest_configuration

__all__ = ["Detection", "Detector", "detect"]

#: Test files that are looked into before the rest is taken to be alike.
LOOKED_INTO: Final = 200
_SKIPPED = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist", "venv", "env"})
_TEST_FILE = re.compile(r"conftest\.py|test_.*\.py|.*_test\.py")
_PYTEST = re.compile(rb"^[ \t]*(?:import|from)[ \t]+(?:pytest|unittest|_pytest)\b|^class[ \t]+\w+", re.MULTILINE)
_EXPORTS = re.compile(rb"^[ \t]*(?:import|from)[ \t]+testd\b", re.MULTILINE)


class Detection(msgspec.Struct, frozen=True):
    """The kind and why."""

    kind: Literal["pytest", "exports"]
    reason: str


def detect(workspace: str, *, pytest: bool) -> Detection:
    """Return the kind of a workspace whose environment has (`pytest`) or lacks pytest."""
    return Detector().detect(workspace, pytest=pytest)


class Detector:
    """Detects once and again only when a folder that was looked at has changed."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._seen: dict[str, int] = {}
        self._files: dict[str, int] = {}
        self._known: tuple[str, dict[bool, Detection]] | None = None  # by whether there is a pytest

    def detect(self, workspace: str, *, pytest: bool) -> Detection:
        """Return the kind of a workspace whose environment has (`pytest`) or lacks pytest."""
        name = pytest_configuration(workspace)
        if name:
            return Detection("pytest", f"pytest is configured in {name}")
        if self._known is None or self._known[0] != workspace or not self._unchanged():
            self._seen, self._files = {}, {}
            self._known = (workspace, self._look(workspace))
        return self._known[1][pytest]

    def _look(self, workspace: str) -> dict[bool, Detection]:
        """Return the kind with (True) and without pytest."""
        exports = first = ""
        for path in self._test_files(workspace):
            place = os.path.relpath(path, workspace)
            if os.path.basename(path) == "conftest.py":
                return _either(Detection("pytest", f"{place} is pytest's"))
            if len(self._files) >= LOOKED_INTO:
                continue
            first = first or place
            text = self._read(path)
            if _PYTEST.search(text):
                return _either(Detection("pytest", f"{place} imports pytest or unittest, or defines a class"))
            if not exports and _EXPORTS.search(text):
                exports = place
        if exports:
            return _either(Detection("exports", f"{exports} imports testd, and nothing is pytest's"))
        found = _either(Detection("pytest", "nothing says otherwise"))
        if first:
            found[False] = Detection("exports", f"{first} is a test file, and the environment has no pytest")
        return found

    def _test_files(self, folder: str) -> Iterator[str]:
        """Yield conftest files and test files below a folder, a folder's own before those below it."""
        try:
            self._seen[folder] = os.stat(folder).st_mtime_ns
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            return
        folders = []
        for entry in entries:
            name = entry.name
            if _TEST_FILE.fullmatch(name):
                yield entry.path
            elif entry.is_dir(follow_symlinks=False) and not name.startswith(".") and name not in _SKIPPED:
                folders.append(entry.path)
        for path in folders:
            if not os.path.exists(os.path.join(path, "pyvenv.cfg")):
                yield from self._test_files(path)

    def _read(self, path: str) -> bytes:
        try:
            with open(path, "rb") as file:
                self._files[path] = os.fstat(file.fileno()).st_mtime_ns
                return file.read(256 * 1024)
        except OSError:
            return b""

    def _unchanged(self) -> bool:
        try:
            known = (*self._seen.items(), *self._files.items())
            return all(os.stat(path).st_mtime_ns == mtime for path, mtime in known)
        except OSError:
            return False


def _either(found: Detection) -> dict[bool, Detection]:
    return {True: found, False: found}
