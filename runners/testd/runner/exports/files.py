"""Which files a path means. Runs in the stem, at collection; imports nothing of the user's."""

from __future__ import annotations

import os

from testd.runner.settings import SuiteFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Request", "find", "is_test_file", "test_id"]

#: Folders that hold no tests of the project, beside hidden ones and virtual environments.
_SKIPPED = frozenset(("__pycache__", "__snapshots__", "build", "dist", "node_modules", "site-packages"))


class Request:
    """A file to collect, and what of it: all tests, or the named ones and those at certain lines."""

    __slots__ = ("file", "lines", "names", "whole")

    def __init__(self, file: str) -> None:
        """Ask for nothing yet of the file at an absolute path."""
        self.file = file
        self.whole = False
        self.names: list[str] = []
        self.lines: list[int] = []

    def add(self, name: str, line: int) -> None:
        """Ask for a test by name, by line, or for all of them."""
        if name:
            self.names.append(name)
        elif line:
            self.lines.append(line)
        else:
            self.whole = True


def find(paths: Iterable[str], cwd: str, wanted: Callable[[str], bool] | None = None) -> list[Request]:
    """Return the test files that `paths` mean, each once, in the order of the paths and sorted within a folder.

    A path is a file, a folder, `FILE::NAME` or `FILE:LINE`, absolute or relative to `cwd`. None at all means `cwd`.
    `wanted` tells which names of files in a folder count; without it those of exported tests.

    Raises:
        SuiteFault: a path does not exist, or names a test in a folder.

    """
    requests: dict[str, Request] = {}
    for path in list(paths) or [cwd]:
        place, name, line = _split(path, cwd)
        if os.path.isdir(place):
            if name or line:
                raise SuiteFault("usage", f"{path}: {place} is a folder, and only a file has tests", "name the file")
            for file in _walk(place, set(), wanted or is_test_file):
                requests.setdefault(file, Request(file)).add("", 0)
        elif os.path.isfile(place):
            requests.setdefault(place, Request(place)).add(name, line)
        else:
            raise SuiteFault("usage", f"no such file or folder: {path}", f"paths are relative to {cwd}")
    return list(requests.values())


def is_test_file(name: str) -> bool:
    """Whether a file of this name holds tests: `*_test.py` or `test_*.py`."""
    return name.endswith("_test.py") or (name.startswith("test_") and name.endswith(".py"))


def test_id(file: str, root: str) -> str:
    """Return the part of a test's identity that its file gives: the path relative to `root`, with forward slashes."""
    inside = os.path.join(root, "")
    path = file[len(inside):] if file.startswith(inside) else os.path.relpath(file, root)
    return path.replace(os.sep, "/")


def _split(path: str, cwd: str) -> tuple[str, str, int]:
    """Split `FILE::NAME` and `FILE:LINE`. A file whose own name looks like that is taken as it is."""
    whole = os.path.normpath(os.path.join(cwd, path))
    if os.path.exists(whole):
        return whole, "", 0
    file, separator, name = path.partition("::")
    line = 0
    if not separator:
        head, _, tail = path.rpartition(":")
        if head and tail.isdigit():
            file, line = head, int(tail)
    return os.path.normpath(os.path.join(cwd, file)), name, line


def _walk(folder: str, seen: set[tuple[int, int]], wanted: Callable[[str], bool]) -> Iterator[str]:
    """Yield the test files below a folder: its own files first, then folder by folder, sorted."""
    status = os.stat(folder)
    if (status.st_dev, status.st_ino) in seen:
        return  # a symbolic link that leads back
    seen.add((status.st_dev, status.st_ino))
    folders = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as exc:
        raise SuiteFault("usage", f"cannot read the folder {folder}: {exc.strerror}", "check its permissions") from exc
    for entry in entries:
        if entry.is_dir():
            if not _is_skipped(entry.name, entry.path):
                folders.append(entry.path)
        elif wanted(entry.name) and entry.is_file():
            yield entry.path
    for inner in folders:
        yield from _walk(inner, seen, wanted)


def _is_skipped(name: str, path: str) -> bool:
    return (
        name.startswith(".")
        or name in _SKIPPED
        or name.endswith(".egg")
        or os.path.exists(os.path.join(path, "pyvenv.cfg"))
    )
