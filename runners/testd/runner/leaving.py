"""The end of a command's process, without taking the interpreter down object by object where nobody could tell.

That costs as much as many a test. It does something only where an object has something to finish: an own `__del__`, a
generator that has begun, a file that is not closed, an extension's object that can be closed or flushed. So what is
alive is looked through; where there is any of that, the interpreter ends as ever.
"""

import atexit
import ctypes
import gc
import io
import os
import sys
import threading
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any, Callable, Optional

__all__ = ["leaver"]

_EXTENSIONS = (".so", ".pyd", ".dylib")
_RUNNING = (GeneratorType, CoroutineType, AsyncGeneratorType)
_IN_MEMORY = (io.BytesIO, io.StringIO)
#: What extensions call the end of something that lies outside of the process.
_HANDLES = (
    "close", "commit", "disconnect", "finalize", "flush", "release", "shutdown", "stop", "terminate", "__exit__",
)  # fmt: skip
_FRAMES = ("gi_frame", "cr_frame", "ag_frame")


def leaver() -> "Callable[[Any], None]":
    """Return what ends this process with an exit status, or returns where the interpreter has to.

    Threads are waited for, exit functions called and streams flushed before, as the interpreter does.
    """
    leave: Optional[Any] = None
    if sys.implementation.name == "cpython":
        leave = ctypes.CDLL(None).exit  # runs what libraries have registered, which os._exit does not
    standard = os.path.dirname(os.__file__) + os.sep

    def end(status: Any) -> None:
        if leave is None or sys.flags.inspect or sys.flags.dev_mode or not isinstance(status, (int, type(None))):
            return
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        if not _unfinished(standard):
            leave((status or 0) & 0xFF)

    return end


def _unfinished(standard: str) -> bool:
    """Tell whether something is alive whose end anybody could see."""
    alive = gc.get_objects()
    suspect = {kind for kind in set(map(type, alive)) if _may_finish(kind, standard)}
    std = {id(part) for stream in (sys.stdin, sys.stdout, sys.stderr) for part in _parts(stream)}
    return not all(id(found) in std or _is_done(found) for found in [each for each in alive if type(each) in suspect])


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
    """Tell whether an object that may do something at its end has nothing left to do."""
    if isinstance(found, _RUNNING):
        frame = next((getattr(found, name) for name in _FRAMES if hasattr(found, name)), None)
        return frame is None
    return isinstance(found, io.IOBase) and bool(found.closed)


def _parts(stream: Any) -> "Any":
    while stream is not None:
        yield stream
        stream = getattr(stream, "buffer", None) or getattr(stream, "raw", None)
