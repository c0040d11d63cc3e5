"""`snapshot`: whether a value is still what it was when it was last accepted. Runs in the user's process.

A test file's snapshots are in `__snapshots__/FILE.json` beside it: test → index or name → the value's lines. Several
workers may update one file: each change is merged under a lock of the folder, and replaces the file in one step.
"""

from __future__ import annotations

import json
import os
import sys

from testd.assertions.rendering import render
from testd.assertions.report import TEXT_LINES, fail
from testd.context import state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

    from testd.context import Context

    Stored = dict[str, dict[str, Any]]

__all__ = ["Place", "drop_unused", "prune", "snapshot", "updating"]

FOLDER = "__snapshots__"
VERSION = 1
_OWN = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_parsed: dict[str, tuple[tuple[int, int, int], Stored]] = {}
_last: dict[str, Any] = {"key": None, "counters": {}}


def snapshot(value: Any, name: str | None = None, message: str = "") -> None:
    """Assert that a value is what was stored for this test: under `name`, or under the number of this call in it.

    When snapshots are updated (`testd run --update-snapshots`, or TESTD_UPDATE_SNAPSHOTS=1 in the environment), the
    value is stored instead. Raises AssertionError with the difference, or if nothing is stored yet.
    """
    __tracebackhide__ = True
    place = Place.here("snapshot", name)
    lines = render(value)
    if updating():
        place.store(lines)
        return
    stored = place.stored()
    if not isinstance(stored, list):
        fail(f"no snapshot is stored for {place}", [*lines[:TEXT_LINES], "", place.hint()], message)
    if stored != lines:
        fail(f"the value is not the one of {place}", [*_difference(stored, lines), "", place.hint()], message)


def updating() -> bool:
    """Whether this run stores what it sees instead of comparing."""
    if state.update_snapshots is not None:
        return state.update_snapshots
    return os.environ.get("TESTD_UPDATE_SNAPSHOTS", "").lower() in ("1", "true", "yes")


def prune(file: str, names: set[str]) -> None:
    """Remove the snapshots of tests that a test file no longer has; the file of snapshots too, when it is empty."""
    path = _path(file)
    if os.path.exists(path):
        _change(path, lambda stored: [stored.pop(test) for test in list(stored) if test not in names])


class Place:
    """Where one value of one test is kept."""

    def __init__(self, file: str, test: str, key: str) -> None:
        """Name the file, the test in it, and the value within the test."""
        self.file = file
        self.test = test
        self.key = key

    def __str__(self) -> str:
        """Name the place for a reader."""
        return f"{os.path.basename(self.file)}::{self.test}, {self.key}"

    @classmethod
    def here(cls, kind: str, name: str | None) -> Place:
        """Return the place of the value that the running test asserts now, the next one of its kind."""
        file, test, counters = _running_test()
        if name is None:
            counters[kind] = counters.get(kind, 0) + 1
            name = str(counters[kind])
        key = name if kind == "snapshot" else f"{kind} {name}"
        counters.setdefault("keys", set()).add(key)
        return cls(file, test, key)

    def stored(self) -> Any:
        """Return what is stored, None where nothing is."""
        return _read(_path(self.file)).get(self.test, {}).get(self.key)

    def store(self, value: Any) -> None:
        """Store a value, unless it is there already."""
        if self.stored() != value:
            _change(_path(self.file), lambda stored: stored.setdefault(self.test, {}).update({self.key: value}))

    def hint(self) -> str:
        """Say how to accept the new value."""
        return f"to accept it: testd run --update-snapshots {os.path.relpath(self.file)}::{self.test}"


def _running_test() -> tuple[str, str, dict[str, Any]]:
    """Return the file, the name and the counters of the test that runs: exported, pytest's, or a plain function."""
    test = state.test
    if test is not None:
        return test.file, test.name, test.counters
    frames = _frames(sys._getframe(1))
    current = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    path, separator, name = current.partition("::")
    if separator:
        matching = (frame for frame in frames if frame.f_code.co_filename.replace(os.sep, "/").endswith(path))
        frame = next(matching, frames[0])
        return frame.f_code.co_filename, name, _counters((current, None))
    here = frames[0].f_code.co_filename
    outer = [frame for frame in frames if frame.f_code.co_filename == here and frame.f_code.co_name != "<module>"]
    frame = outer[-1] if outer else frames[0]
    return here, frame.f_code.co_name, _counters((here, frame))


def _counters(key: Any) -> dict[str, Any]:
    """Return the counters that go on while the same test runs."""
    if _last["key"] != key:
        _last.update(key=key, counters={})
    counters: dict[str, Any] = _last["counters"]
    return counters


def _frames(frame: FrameType | None) -> list[FrameType]:
    """Return the frames of user code around a call, innermost first."""
    found = []
    while frame is not None:
        if not frame.f_code.co_filename.startswith((_OWN, "<frozen ")):
            found.append(frame)
        frame = frame.f_back
    return found


def drop_unused(test: Context) -> None:
    """Remove what is stored for a test that has passed while snapshots are updated, and was not asserted in it."""
    used: set[str] = test.counters.get("keys", set())
    path = _path(test.file)
    if any(key not in used for key in _read(path).get(test.name, {})):
        _change(path, lambda stored: stored.update({test.name: _only(used, stored.get(test.name, {}))}))


def _only(used: set[str], values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key in used}


def _path(file: str) -> str:
    folder, base = os.path.split(os.path.abspath(file))
    return os.path.join(folder, FOLDER, os.path.splitext(base)[0] + ".json")


def _read(path: str) -> Stored:
    """Return the stored values of a file, {} where there is none. Read again only when the file has changed."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return {}
    stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
    known = _parsed.get(path)
    if known is None or known[0] != stamp:
        with open(path, encoding="utf-8") as file:
            known = _parsed[path] = (stamp, _decode(file.read(), path))
    return known[1]


def _decode(text: str, path: str) -> Stored:
    try:
        document = json.loads(text)
        version, stored = document["version"], document["snapshots"]
    except (ValueError, KeyError, TypeError) as exc:
        hint = "restore it, or delete it and update the snapshots"
        raise ValueError(f"{path} holds no snapshots ({exc}): {hint}") from exc
    if version != VERSION or not isinstance(stored, dict):
        raise ValueError(f"{path} holds snapshots of version {version!r}, this testd reads version {VERSION}")
    return stored


def _change(path: str, change: Callable[[Stored], Any]) -> None:
    """Apply a change to what is stored now, alone, and put the result in place in one step."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    lock = os.open(folder, os.O_RDONLY)
    try:
        _lock(lock)
        stored = {test: dict(values) for test, values in _read(path).items()}
        change(stored)
        _write(path, {test: values for test, values in stored.items() if values})
    finally:
        os.close(lock)


def _lock(folder: int) -> None:
    """Wait until no other process changes the folder's files. The lock ends with its descriptor."""
    try:
        import fcntl

        fcntl.flock(folder, fcntl.LOCK_EX)
    except (ImportError, OSError):  # a file system without locks: the file itself is still whole at any moment
        return


def _write(path: str, stored: Stored) -> None:
    _parsed.pop(path, None)
    if not stored:
        if os.path.exists(path):
            os.unlink(path)
        return
    document = {"version": VERSION, "snapshots": stored}
    temporary = f"{path}.{os.getpid()}.new"
    try:
        with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as file:
            json.dump(document, file, indent=1, sort_keys=True, ensure_ascii=False)
            file.write("\n")
        os.replace(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise


def _difference(stored: list[str], lines: list[str]) -> list[str]:
    import difflib

    found = list(difflib.unified_diff(stored, lines, "stored", "now", n=3, lineterm=""))
    if len(found) > TEXT_LINES:
        found = [*found[:TEXT_LINES], f"... {len(found) - TEXT_LINES} more lines of difference"]
    return found
