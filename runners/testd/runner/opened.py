"""Which files of the workspace are opened, which of its folders are listed, and whether a process is started.

Runs in workers alone: an audit hook cannot be removed, and slows `id()` and the like down for good. Standard library
only; nothing here may raise, because it would be raised in user code.
"""

import contextlib
import os
import sys
from types import FrameType
from typing import Any, Callable, Dict, Optional

from testd.runner.workspace import Workspace

__all__ = ["Opened"]

_WRITING = os.O_WRONLY | os.O_RDWR
#: Modules that read files, or list folders, for whoever calls them.
_HELPERS = (
    "/pathlib.py", "/pathlib/__init__.py", "/pathlib/_abc.py", "/pathlib/_local.py", "/glob.py", "/os.py",
    "<frozen os>", "/tokenize.py", "/linecache.py", "/inspect.py", "/codecs.py", "<frozen codecs>",
)  # fmt: skip
#: Parts of the file names of what reads source to load, to rewrite or to show it.
_TOOLS = ("importlib", "/_pytest/", "/pluggy/", "/testd/runner/", "/warnings.py", "<frozen runpy>")
#: Start processes without an audit event, and write to a pipe what they are to do.
_SPAWNING = ("/popen_spawn_posix.py", "/popen_forkserver.py")

_fspath, _getcwd, _getframe = os.fspath, os.getcwd, sys._getframe  # taken before user code can replace them
_join, _normpath = os.path.join, os.path.normpath


class Opened:
    """Hears what goes through the interpreter's audit events, and tells a sink what concerns the workspace.

    The sink is any object with `read(path)`, `wrote(path)`, `listed(path)` and `anything()`, and `made(path)` for a
    Python file that is written elsewhere. Paths are absolute.
    """

    def __init__(self, workspace: Workspace, sink: Any) -> None:
        """Hear nothing yet."""
        self._workspace = workspace
        self._sink = sink

    def start(self) -> None:
        """Hear everything from now on, until the process ends."""
        anything = self._anything
        starting = ("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system",
                    "pty.spawn")  # fmt: skip
        handlers: Dict[str, Callable[..., None]] = {
            **dict.fromkeys(starting, anything),
            "open": self._open,
            "os.listdir": self._list,
            "os.scandir": self._list,
            "ctypes.dlopen": self._load,
            "sqlite3.connect": self._database,
            "socket.connect": self._connect,
        }

        def hook(event: str, args: Any) -> None:  # some programs call `id()` a hundred times in each test
            if event in handlers:
                with contextlib.suppress(Exception):  # an odd argument; the call itself says what is wrong with it
                    handlers[event](*args)

        sys.addaudithook(hook)

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _anything(self, *_args: Any) -> None:
        self._sink.anything()

    def _open(self, path: Any, _mode: Any = None, flags: int = 0) -> None:
        if isinstance(path, int):
            if _getframe(2).f_code.co_filename.endswith(_SPAWNING):
                self._sink.anything()
            return
        name = _absolute(path)
        if not self._workspace.owns(name) or flags & getattr(os, "O_DIRECTORY", 0):
            if flags & _WRITING and name.endswith(".py"):
                self._sink.made(name)
            return
        if name.endswith((".pyc", ".pyo")) or (name.endswith(".py") and not flags & _WRITING and _by_tool()):
            return
        if not flags & os.O_WRONLY and not flags & os.O_TRUNC:
            self._sink.read(name)
        if flags & _WRITING:
            self._sink.wrote(name)

    def _list(self, path: Any = None) -> None:
        name = self._own("." if path is None else path, "/")
        if name and not _by_tool():
            self._sink.listed(name.rstrip("/"))

    def _load(self, path: Any) -> None:
        name = self._own(path) if path else ""
        if name:
            self._sink.read(name)

    def _database(self, path: Any) -> None:
        """A database is a product where a test has made it, and data where it was there."""
        path = os.fsdecode(path)
        if path.startswith("file:"):
            path = path[len("file:") :].partition("?")[0]
        name = self._own(path) if path != ":memory:" else ""
        if name:
            self._sink.read(name)
            self._sink.wrote(name)

    def _connect(self, _socket: Any, address: Any) -> None:
        """Behind a Unix socket is another process: what it reads is not seen."""
        if isinstance(address, (str, bytes)):
            self._sink.anything()

    def _own(self, path: Any, end: str = "") -> str:
        """Return an own file's absolute path, or nothing; `end` is a slash where it is a folder."""
        name = _absolute(path) + end
        return name if self._workspace.owns(name) else ""


def _absolute(path: Any) -> str:
    """Return a path as text; nothing for a descriptor."""
    if isinstance(path, int):
        return ""
    name: str = path if isinstance(path, str) else os.fsdecode(path)
    if not name.startswith("/"):
        name = _join(_getcwd(), name)
    return _normpath(name) if "/." in name or "//" in name else name


def _by_tool() -> bool:
    """Tell whether the import machinery or the framework asks, for itself."""
    frame: Optional[FrameType] = _getframe(3)  # past the handler and the hook
    while frame is not None and frame.f_code.co_filename.endswith(_HELPERS):
        frame = frame.f_back
    return frame is not None and any(part in frame.f_code.co_filename for part in _TOOLS)
