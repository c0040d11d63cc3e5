"""The end of a command's process, without taking the interpreter down object by object where nobody could tell.

That costs as much as many a test. It does something only where an object has something to finish: an own `__del__`, a
generator that has begun, a file that is not closed, an extension's object that can be closed or flushed. So what is
alive is looked through; where there is any of that, the interpreter ends as ever.
"""

import atexit
import contextlib
import ctypes
import io
import opcode
import os
import sys
import threading
import weakref
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Callable, Iterator, List, Optional

from testd.runner import garbage

__all__ = ["Leaver"]

_EXTENSIONS = (".so", ".pyd", ".dylib")
_RUNNING = (GeneratorType, CoroutineType, AsyncGeneratorType)
_IN_MEMORY = (io.BytesIO, io.StringIO)
#: What extensions call the end of something that lies outside of the process.
_HANDLES = (
    "close", "commit", "disconnect", "finalize", "flush", "release", "shutdown", "stop", "terminate", "__exit__",
)  # fmt: skip
#: What a function consists of that does nothing.
_IDLE = {opcode.opmap.get(name) for name in ("LOAD_CONST", "NOP", "RESUME", "RETURN_CONST", "RETURN_VALUE")}
#: Streams that stand on each other, at most: text, buffer, and what is below.
_MOST_PARTS = 4
_FRAMES = ("gi_frame", "cr_frame", "ag_frame")


class Leaver:
    """Ends this process. Made before user code runs, which may put something else in the place of what is used here."""

    def __init__(self) -> None:
        """Take what ends a process; it runs what libraries have registered, which `os._exit` does not."""
        self._exit = ctypes.CDLL(None).exit if sys.implementation.name == "cpython" else None
        self._standard = os.path.dirname(os.__file__) + os.sep
        self._known: Optional[List[Callable[[], Any]]] = None

    def look(self) -> None:
        """Look through what is alive already: what is frozen from here on is not looked through at the end."""
        try:
            self._known = [weakref.ref(found) for found in self._suspects(garbage.alive()) if not _is_done(found)]
        except TypeError:
            self._known = None

    def leave(self, status: Any) -> None:
        """End with an exit status, or return where the interpreter has to do that; nothing is frozen then.

        Threads are waited for, exit functions called and streams flushed before, as the interpreter does.
        """
        if self._exit is None or sys.flags.inspect or sys.flags.dev_mode or not isinstance(status, (int, type(None))):
            garbage.release()
            return
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        if not self._unfinished():
            self._exit((status or 0) & 0xFF)
        garbage.release()

    def _unfinished(self) -> bool:
        """Tell whether something is alive whose end anybody could see."""
        if self._known is None or not garbage.holds():
            garbage.release()
            known = []
        else:
            known = [found for found in (reference() for reference in self._known) if found is not None]
        std = {id(part) for stream in (sys.stdin, sys.stdout, sys.stderr) for part in _parts(stream)}
        return not all(id(found) in std or _is_done(found) for found in [*known, *self._suspects(garbage.alive())])

    def _suspects(self, alive: "List[Any]") -> "List[Any]":
        kinds = {kind for kind in set(map(type, alive)) if _may_finish(kind, self._standard)}
        return [found for found in alive if type(found) in kinds]


def _may_finish(kind: type, standard: str) -> bool:
    """Tell whether objects of a type may do something at their end."""
    if hasattr(kind, "__del__"):
        return kind not in _IN_MEMORY
    module = sys.modules.get(kind.__module__) if isinstance(kind.__module__, str) else None
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not file.endswith(_EXTENSIONS) or file.startswith(standard + "lib-dynload"):
        return False
    return any(hasattr(kind, name) for name in _HANDLES)


def _is_done(found: Any) -> bool:
    """Tell whether an object that may do something at its end has nothing left to do that anybody could see."""
    if isinstance(found, _RUNNING):
        frame = next((getattr(found, name) for name in _FRAMES if hasattr(found, name)), None)
        return frame is None
    if isinstance(found, io.IOBase):
        with contextlib.suppress(Exception):  # what it stands on has been taken off, or user code says it
            if found.closed:
                return True
        return _stays_inside(found)
    module = sys.modules.get("socket")
    return module is not None and type(found) is module.socket and bool(found.fileno() == -1)


def _stays_inside(stream: Any) -> bool:
    """Tell whether an open stream's end is seen nowhere else: it is closed, which may write first."""
    kind = type(stream)
    if _own(kind, "__del__"):
        return False
    close = _own(kind, "close")
    if close is not None:
        return _does_nothing(close)
    if isinstance(stream, _IN_MEMORY):
        return True
    first, *below = _parts(stream)
    if not below or not isinstance(below[-1], _IN_MEMORY) or any(_own(type(part), "close") for part in below):
        return False
    return not any(_own(type(part), name) for part in (first, *below) for name in ("write", "flush"))


def _own(kind: type, name: str) -> Any:
    """Return what a type has by a name that does not come from `io`, None where it does."""
    owner = next((base for base in kind.__mro__ if name in base.__dict__), object)
    return None if owner is object or owner.__module__ in ("io", "_io") else owner.__dict__[name]


def _does_nothing(function: Any) -> bool:
    code = getattr(function, "__code__", None)
    return code is not None and _IDLE.issuperset(code.co_code[::2])


def _parts(stream: Any) -> "Iterator[io.IOBase]":
    """Yield a stream and what it writes to; a stand-in for a stream is none."""
    for _ in range(_MOST_PARTS):
        if not issubclass(type(stream), io.IOBase):
            return
        yield stream
        try:
            stream = getattr(stream, "buffer", None) or getattr(stream, "raw", None)
        except ValueError:  # it has been taken off
            return
