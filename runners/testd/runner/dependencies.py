"""What a checkpoint has loaded or read: files, and directories that were listed. Runs in stems.

While a checkpoint is being reached, `open`, `os.listdir` and `os.scandir` are replaced by objects that note their
argument and do the same, so a test table read from a data file at import time counts like a module. They are put back
before anything is forked: user code under test meets the originals. (An audit hook would see more, but it cannot be
removed, and makes even `id()` many times slower for good.)
"""

import builtins
import contextlib
import io
import os
import stat
import sys
import time
from types import FrameType
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

__all__ = ["GRANULARITY_NS", "Dependencies", "listing", "matters"]

#: Two writes closer than this may carry the same time: the kernel's clock tick (10 ms at 100 Hz), doubled.
GRANULARITY_NS = 20_000_000

_CACHES = {"__pycache__"}
#: Test files of Node.js: its runner lists folders by the same rule (runners/node/notes.js).
_SCRIPTS = (".test.js", ".test.mjs", ".test.cjs", ".test.ts", ".test.mts", ".test.cts")
_SOURCES = (".py", ".pth", ".so", ".pyd", ".ini", ".cfg", ".toml", ".suite.json", *_SCRIPTS)
_IGNORED_ROOTS = ("/proc/", "/dev/", "/sys/")
#: What tools keep for themselves: it changes with every run, and no verdict may depend on it.
_IGNORED_PARTS = ("/.pytest_cache/", "/.hypothesis/", "/__pycache__/", "/.git/")
#: Modules of the standard library that list directories, or read files, for whoever calls them.
_LISTERS = (
    "/pathlib.py", "/pathlib/__init__.py", "/pathlib/_abc.py", "/pathlib/_local.py", "/glob.py", "/os.py",
    "<frozen os>",
)  # fmt: skip
#: Never equal to a real modification time: a file that changed while it was being loaded.
_CHANGED_WHILE_LOADING = -2
_fspath, _getcwd, _getframe = os.fspath, os.getcwd, sys._getframe  # taken before user code can replace them
_File = Tuple[str, int, int, int]  # path, modification time in ns, size, permissions


def listing(path: str, everything: bool) -> List[str]:
    """Return the names in a directory that matter: folders and source files, or all but caches and hidden ones.

    A directory that cannot be read has no names.
    """
    names = []
    try:
        with os.scandir(path) as entries:
            for entry in entries:
                if _hidden(entry.name):
                    continue
                if everything or entry.name.endswith(_SOURCES) or entry.is_dir():
                    names.append(entry.name)
    except OSError:
        return []
    return sorted(names)


def matters(name: str, *, folder: bool, everything: bool) -> bool:
    """Tell whether `listing` would return this name."""
    return not _hidden(name) and (everything or folder or name.endswith(_SOURCES))


def _hidden(name: str) -> bool:
    return name in _CACHES or name.endswith(".pyc") or (name.startswith(".") and name != ".pytest.ini")


class _Noting:
    """Calls a function after its argument was noted.

    An object, because a Python function in its place would bind to a class that has it as an attribute; a builtin does
    not.
    """

    __slots__ = ("_note", "_original")

    def __init__(self, original: "Callable[..., Any]", note: "Callable[..., None]") -> None:
        self._original = original
        self._note = note

    def __call__(self, *args: Any, **more: Any) -> Any:
        __tracebackhide__ = True  # pytest shows no frame that user code has not put there
        with contextlib.suppress(TypeError):  # no arguments that the original would take: it says so better
            self._note(*args, **more)
        return self._original(*args, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class Dependencies:
    """Files and directories since the last `drain`."""

    def __init__(self, root: str) -> None:
        """Start with nothing recorded and nothing replaced; `root` is the workspace."""
        self._root = root.rstrip("/") + "/"
        self._files: Dict[str, None] = {}
        self._directories: Dict[str, bool] = {}
        self._told: Dict[str, None] = {}
        self._originals: List[Tuple[Any, str, Any, _Noting]] = []
        self._since = 0
        self.read: Set[str] = set()  # Python files that something has opened to read, and not to load

    def start(self) -> None:
        """Record from now on."""
        self._since = time.time_ns()
        if not self._originals:
            self._replace(io, "open", self._note_file)
            builtins.open = io.open
            self._replace(os, "listdir", self._note_directory)
            self._replace(os, "scandir", self._note_directory)

    def stop(self) -> None:
        """Record nothing more, and put back what was replaced."""
        for module, name, original, ours in self._originals:
            if getattr(module, name) is ours:  # else user code put something of its own there
                setattr(module, name, original)
            if name == "open" and builtins.open is ours:
                builtins.open = original
        self._originals = []

    def note_sought(self, paths: "List[str]") -> None:
        """Count files that were only asked whether they exist: a new one among them is a change."""
        self._files.update(dict.fromkeys(paths))

    def _replace(self, module: Any, name: str, note: "Callable[..., None]") -> None:
        original = getattr(module, name)
        ours = _Noting(original, note)
        setattr(module, name, ours)
        self._originals.append((module, name, original, ours))

    def _note_file(self, file: Any = None, mode: Any = "r", *_args: Any, **_more: Any) -> None:
        if isinstance(file, (str, os.PathLike)) and not (isinstance(mode, str) and set(mode) & set("wax+")):
            path = _fspath(file)
            if isinstance(path, str):
                self._files[path] = None
                if path.endswith(".py") and not _asked_by(_GUESSERS):
                    self.read.add(_absolute(path))

    def _note_directory(self, path: Any = ".") -> None:
        path = "." if path is None else path
        if isinstance(path, (str, os.PathLike)):
            path = _fspath(path)
            if isinstance(path, str):
                self._directories[path] = self._directories.get(path, False) or not _asked_by(_COLLECTORS)

    def drain(self, *, last: bool) -> "Tuple[List[_File], List[Tuple[str, int, List[str], bool]]]":
        """Return what each file was, and `(path, mtime in ns, names, everything)` of directories.

        The project's own folders that were just looked through for modules and tests wait for the `last` checkpoint: a
        new file there is for the collection to find, and what was configured before stays as it is.
        """
        for path in sys.path_importer_cache:  # where the import machinery has looked
            self._directories.setdefault(path, False)
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
        self._directories.clear()
        for path, everything in listed.items():
            if not last and not everything and (path + "/").startswith(self._root):
                self._directories[path] = False
            elif self._new(path + "/") and not _ignored(path + "/"):
                directories.append((path, _mtime(path), listing(path, everything), everything))
        self._files.clear()
        return [found for found in files if found is not None], directories

    def _new(self, path: str) -> bool:
        if path in self._told:
            return False
        self._told[path] = None
        return True

    def _stat(self, path: str) -> "Optional[_File]":
        """Return a file's entry, or nothing if it does not count (not a regular file, or a system one)."""
        if _ignored(path) or path.endswith(".pyc"):
            return None
        try:
            found = os.stat(path)
        except OSError:
            return path, -1, -1, -1
        if not stat.S_ISREG(found.st_mode):
            return None
        mode = stat.S_IMODE(found.st_mode)
        # To make a file readable moves neither its time nor its size: what could not be read is looked at again.
        if found.st_mtime_ns >= self._since or not os.access(path, os.R_OK):
            return path, _CHANGED_WHILE_LOADING, found.st_size, mode
        return path, found.st_mtime_ns, found.st_size, mode


def _ignored(path: str) -> bool:
    return path.startswith(_IGNORED_ROOTS) or any(part in path for part in _IGNORED_PARTS)


#: Parts of the file names of the code that lists directories for imports and for collection.
_COLLECTORS = ("importlib", "_pytest", "testd/runner/exports/")
#: Of code that reads sources for values that are worth a try among random ones: nobody can count on these.
_GUESSERS = ("/hypothesis/internal/constants_ast.py",)


def _asked_by(parts: "Tuple[str, ...]") -> bool:
    """Tell whether what is noted is asked for by code whose file name has one of these parts."""
    frame: Optional[FrameType] = _getframe(3)  # past the one that notes, and _Noting
    while frame is not None and frame.f_code.co_filename.endswith(_LISTERS):
        frame = frame.f_back
    return frame is not None and any(part in frame.f_code.co_filename for part in parts)


def _absolute(path: str) -> str:
    return os.path.normpath(os.path.join(_getcwd(), path)) if not path.startswith("/") else path


def _mtime(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1
