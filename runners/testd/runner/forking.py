"""Whether a process may be forked, and the fork itself. Runs in stems; standard library only."""

import contextlib
import os
import sys
import threading

from testd.runner import processes

__all__ = ["flush", "fork_into_group", "obstacle"]


def obstacle() -> str:
    """Return why this process must not be forked, or nothing."""
    threads = threading.enumerate()
    if len(threads) > 1:
        names = ", ".join(thread.name for thread in threads if thread is not threading.main_thread())
        return f"threads run after the suite was loaded: {names}"
    if processes.native_threads() > len(threads) and not _known_safe_threads():
        return "a library started threads when it was loaded"
    return ""


def fork_into_group() -> int:
    """Fork a process that leads a group of its own, nothing being left in the streams. Returns as `os.fork` does."""
    flush()
    pid = os.fork()
    if pid:
        with contextlib.suppress(OSError):  # the child may have done it, and ended
            os.setpgid(pid, pid)
    return pid


def flush() -> None:
    """Leave nothing in the standard streams."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _known_safe_threads() -> bool:
    """Tell whether the threads that Python does not know of are those of a library that takes care of forks itself."""
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="replace") as maps:
            return "openblas" in maps.read()
    except OSError:
        return False
