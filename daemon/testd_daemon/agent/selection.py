"""Which tests the arguments mean. Runs in the agent; asks the file system only whether a path is there.

An argument is a file, a folder, `FILE::NAME…` (a node id or the beginning of one) or `FILE:LINE` (the nearest test at
or above the line). What is not there is told in pytest's words, with the nearest name that is.
"""

# Paths as text, not objects: paths are compared as text with those of thousands of tests

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Sequence

import msgspec

from testd.workspace import existing
from testd_daemon.errors import UsageError

__all__ = ["Argument", "FileIndex", "concerns", "covers", "parse", "select"]


class Argument(msgspec.Struct, frozen=True):
    """One argument: an absolute path, and what is meant in it."""

    given: str
    path: str
    folder: bool
    name: str = ""  # what follows the first `::`
    line: int = 0


class FileIndex:
    """The tests of a collection by file, made once for each collection."""

    def __init__(self, root: str, ids: Sequence[str]) -> None:
        """Index these node ids, whose files are relative to `root`."""
        self.root = root
        self._files: dict[str, list[int]] = {}
        last_name: str | None = None
        last: list[int] = []
        for index, test in enumerate(ids):
            name = test.partition("::")[0]
            if name != last_name:
                last_name, last = name, self._files.setdefault(os.path.normpath(os.path.join(root, name)), [])
            last.append(index)

    def __contains__(self, path: str) -> bool:
        """Tell whether a file has tests."""
        return path in self._files

    @property
    def files(self) -> int:
        """How many files have tests."""
        return len(self._files)

    def of_file(self, path: str) -> list[int]:
        """Return a file's tests in order."""
        return self._files.get(path, [])

    def below(self, folder: str) -> list[int]:
        """Return the tests of all files below a folder, in the order of collection."""
        prefix = folder.rstrip(os.sep) + os.sep
        return sorted(index for path, tests in self._files.items() if path.startswith(prefix) for index in tests)


def parse(arguments: Iterable[str], cwd: str, workspace: str, *, outside: bool = False) -> list[Argument]:
    """Return what the arguments mean.

    Raises UsageError for a path that is not there or not in the workspace, unless files may be `outside`.
    """
    return [_parse(argument, cwd, workspace, outside=outside) for argument in arguments]


def _parse(argument: str, cwd: str, workspace: str, *, outside: bool) -> Argument:
    written, rest = existing(argument, cwd)
    path = os.path.normpath(os.path.join(cwd, written))
    if not os.path.exists(path):
        raise UsageError(f"file or directory not found: {argument}", hint=_nearest_path(path))
    path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
    if not outside and os.path.commonpath([path, workspace]) != workspace:
        raise UsageError(f"not in the workspace {workspace}: {argument}", hint="run testd in that folder")
    folder = os.path.isdir(path)
    if rest and folder:
        raise UsageError(f"not a file: {written} (in {argument})", hint="a name or a line needs a file")
    if rest.startswith("::"):
        return Argument(argument, path, folder, name=rest[2:])
    return Argument(argument, path, folder, line=int(rest[1:]) if rest else 0)


def concerns(path: str, arguments: Sequence[Argument]) -> bool:
    """Tell whether a file is among what was asked for."""
    return not arguments or any(
        path == argument.path or (argument.folder and path.startswith(argument.path.rstrip(os.sep) + os.sep))
        for argument in arguments
    )


def covers(collected: Sequence[str], index: FileIndex, broken: Iterable[str], arguments: Sequence[Argument]) -> bool:
    """Tell whether a collection of these absolute paths (none: the framework's default) has all that is asked for.

    What was collected by its own name is covered, tests or none. A file is covered by its tests being there, a folder
    by the collection of one above it, if that found tests below: else it may have been passed over there.
    """
    if not arguments:
        return not collected
    broken = set(broken)
    return all(
        argument.path in collected
        or (
            any(argument.path.startswith(part.rstrip(os.sep) + os.sep) for part in collected)
            and index.below(argument.path)
            if argument.folder
            else argument.path in index or argument.path in broken
        )
        for argument in arguments
    )


def select(
    arguments: Sequence[Argument],
    index: FileIndex,
    ids: Sequence[str],
    lines: Sequence[int],
    broken: Iterable[str] = (),
) -> list[int]:
    """Return the indexes of the tests that are meant, in the order of the arguments, each once.

    Raises UsageError for a name that no test has, and for a line with no test at or above it.
    """
    chosen: dict[int, None] = {}
    broken = set(broken)
    for argument in arguments:
        if argument.folder:
            found = index.below(argument.path)
        elif argument.path in broken:
            found = index.of_file(argument.path)
        elif argument.name:
            found = _named(argument, index, ids)
        elif argument.line:
            found = _at_line(argument, index, lines)
        else:
            found = index.of_file(argument.path)
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def _named(argument: Argument, index: FileIndex, ids: Sequence[str]) -> list[int]:
    wanted = argument.name
    inside = (wanted + "::", wanted + "[")
    tests = index.of_file(argument.path)
    names = {test: ids[test].partition("::")[2] for test in tests}
    found = [test for test in tests if names[test] == wanted or names[test].startswith(inside)]
    if not found:
        close = difflib.get_close_matches(wanted, dict.fromkeys(names.values()), n=3, cutoff=0.5)
        file = argument.given.partition("::")[0]
        hint = "did you mean " + " or ".join(f"{file}::{name}" for name in close) + "?" if close else ""
        raise UsageError(f"not found: {argument.given}", hint=hint or f"{file} has {_plural(len(tests), 'test')}")
    return found


def _at_line(argument: Argument, index: FileIndex, lines: Sequence[int]) -> list[int]:
    tests = index.of_file(argument.path)
    known = [lines[test] for test in tests if lines[test]]
    above = [line for line in known if line <= argument.line]
    if not above:
        hint = f"the first test is at line {min(known)}" if known else "the file has no tests"
        raise UsageError(f"no test at or above the line: {argument.given}", hint=hint)
    nearest = max(above)
    return [test for test in tests if lines[test] == nearest]


def _nearest_path(path: str) -> str:
    """Suggest what is there in place of what is not."""
    folder, name = os.path.split(path)
    while folder != os.path.dirname(folder) and not os.path.isdir(folder):
        folder, name = os.path.split(folder)
    try:
        names = [entry for entry in os.listdir(folder) if not entry.startswith(".")]
    except OSError:
        return ""
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    return "did you mean " + " or ".join(os.path.join(folder, found) for found in close) + "?" if close else ""


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number or 'no'} {noun}s"
