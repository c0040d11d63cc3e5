"""What a checkpoint has loaded or read: files, and directories that were listed. Runs in stems.

An audit hook sees every file that is opened and every directory that is listed, by Python code and by the interpreter
itself, so a test table read from a data file at import time counts like a module. The hook cannot be removed; when
recording is off it returns at once.
"""

import os
import stat
import sys
import time
from types import FrameType
from typing import Any, Dict, List, Optional, Tuple

__all__ = ["Dependencies", "listing"]

_CACHES = {"__pycache__"}
_SOURCES = (".py", ".pth", ".so", ".pyd", ".ini", ".cfg", ".toml")
_IGNORED_ROOTS = ("/proc/", "/dev/", "/sys/")
#: What tools keep for themselves: it changes with every run, and no verdict may depend on it.
_IGNORED_PARTS = ("/.pytest_cache/", "/.hypothesis/", "/__pycache__/", "/.git/")
#: Modules of the standard library that list directories for whoever calls them.
_LISTERS = ("/pathlib.py", "/pathlib/_local.py", "/pathlib/__init__.py", "/glob.py", "/os.py", "<frozen os>")
#: Never equal to a real modification time: a file that changed while it was being loaded.
_CHANGED_WHILE_LOADING = -2


def listing(path: str, everything: bool) -> List[str]:
    """Return the names in a directory that matter: folders and source files, or all but caches and hidden ones.

    A directory that cannot be read has no names.
    """
    names = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                name = entry.name
                if name in _CACHES or name.endswith(".pyc") or (name.startswith(".") and name != ".pytest.ini"):
                    continue
                if everything or name.endswith(_SOURCES) or entry.is_dir():
                    names.append(name)
    except OSError:
        return []
    return sorted(names)


class Dependencies:
    """Files and directories since the last `drain`."""

    def __init__(self) -> None:
        """Start with nothing recorded and the hook not installed."""
        self._files: Dict[str, None] = {}
        self._directories: Dict[str, bool] = {}
        self._told: Dict[str, None] = {}
        self._recording = False
        self._since = 0

    def install(self) -> None:
        """Begin to record."""
        self._since = time.time_ns()
        self._recording = True
        sys.addaudithook(self._hook)

    def resume(self) -> None:
        """Record again, in a process forked from one that had stopped."""
        self._since = time.time_ns()
        self._recording = True

    def stop(self) -> None:
        """Record nothing more; the hook stays and costs next to nothing."""
        self._recording = False

    def _hook(self, event: str, args: "Tuple[Any, ...]") -> None:
        if not self._recording:
            return
        if event == "open":
            path, mode, flags = args
            if isinstance(path, str) and not _writes(mode, flags):
                self._files[path] = None
        elif event in ("os.listdir", "os.scandir"):
            path = args[0]
            if path is None:
                path = "."
            if isinstance(path, str):
                self._directories[path] = self._directories.get(path, False) or not _listed_for_import()

    def drain(self) -> "Tuple[List[Tuple[str, int, int]], List[Tuple[str, int, List[str], bool]]]":
        """Return `(path, mtime in ns, size)` of files and `(path, mtime in ns, names, everything)` of directories."""
        was, self._recording = self._recording, False
        paths = dict.fromkeys(_absolute(path) for path in self._files)
        for module in list(sys.modules.values()):
            file = getattr(module, "__dict__", {}).get("__file__")
            if isinstance(file, str):
                paths[_absolute(file)] = None
        files = [self._stat(path) for path in paths if self._new(path)]
        directories = []
        listed: Dict[str, bool] = {}
        for path, everything in self._directories.items():
            listed[_absolute(path)] = everything or listed.get(_absolute(path), False)
        for path, everything in listed.items():
            if self._new(path + "/") and not _ignored(path + "/"):
                directories.append((path, _mtime(path), listing(path, everything), everything))
        self._files.clear()
        self._directories.clear()
        self._recording = was
        return [found for found in files if found[1] != 0], directories

    def _new(self, path: str) -> bool:
        if path in self._told:
            return False
        self._told[path] = None
        return True

    def _stat(self, path: str) -> "Tuple[str, int, int]":
        """Return a file's entry; a time of 0 means that it does not count (not a regular file, or a system one)."""
        if _ignored(path) or path.endswith(".pyc"):
            return path, 0, 0
        try:
            found = os.stat(path)
        except OSError:
            return path, -1, -1
        if not stat.S_ISREG(found.st_mode):
            return path, 0, 0
        if found.st_mtime_ns >= self._since:
            return path, _CHANGED_WHILE_LOADING, found.st_size
        return path, found.st_mtime_ns, found.st_size


def _ignored(path: str) -> bool:
    return path.startswith(_IGNORED_ROOTS) or any(part in path for part in _IGNORED_PARTS)


def _writes(mode: Any, flags: Any) -> bool:
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))


#: Parts of the file names of the code that lists directories for imports and for collection.
_COLLECTORS = ("importlib", "_pytest", "testd/runner/exports/")


def _listed_for_import() -> bool:
    """Tell whether the listing was asked for by the import machinery or by the framework's collection."""
    frame: Optional[FrameType] = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename.endswith(_LISTERS):
        frame = frame.f_back
    return frame is not None and any(part in frame.f_code.co_filename for part in _COLLECTORS)


def _absolute(path: str) -> str:
    return os.path.normpath(os.path.join(os.getcwd(), path)) if not path.startswith("/") else path


def _mtime(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1
