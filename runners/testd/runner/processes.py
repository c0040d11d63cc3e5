"""What every process in a target does to itself: its group, its end with its parent, its signals.

Standard library only.
"""

import fcntl
import os
import signal
import sys
from typing import Any, Callable, List, Optional

__all__ = [
    "DUMP_SIGNAL",
    "DUPLICATE",
    "adopt",
    "children",
    "die_with_parent",
    "keep_dump_signal",
    "load_prctl",
    "native_threads",
    "offer",
    "own_group",
    "processors",
    "reset_signals",
]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

#: Makes a worker write the stack of every thread, and end. A real-time signal where there are any: user code leaves
#: those alone.
DUMP_SIGNAL = getattr(signal, "SIGRTMIN", signal.SIGUSR2 - 7) + 7

#: Copies a descriptor to a free number that is not below another; PyPy does not name it.
DUPLICATE: int = getattr(fcntl, "F_DUPFD_CLOEXEC", 67 if sys.platform == "darwin" else 1030)

#: How much sooner than others the kernel takes a process when no memory is left; from -1000 to 1000.
_SOONER = 500

Prctl = Callable[..., int]


def load_prctl() -> "Optional[Prctl]":
    """Return Linux's prctl, or None. To be called before user code runs: it imports ctypes."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        import ctypes

        return ctypes.CDLL(None, use_errno=True).prctl
    except (ImportError, OSError, AttributeError):  # an interpreter without libffi, a libc without prctl
        return None


def die_with_parent(prctl: "Optional[Prctl]", parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, and end at once if that has happened already."""
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


def adopt(prctl: "Optional[Prctl]") -> None:
    """Make this process the parent of what its descendants leave behind, so that it can find and kill it."""
    if prctl is not None:
        prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def processors() -> int:
    """Return how many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1


def own_group() -> None:
    """Put this process at the head of a group of its own: what user code starts is killed with it."""
    try:
        os.setpgid(0, 0)
    except OSError:  # a session leader has one already
        return


def offer() -> None:
    """Make the kernel take this process before stems and the runner when no memory is left: its test is to blame."""
    try:
        with open("/proc/self/oom_score_adj", "r+b", buffering=0) as file:
            if int(file.read(16)) < _SOONER:  # to lower it is not allowed
                file.write(b"%d" % _SOONER)
    except (OSError, ValueError):  # no such file, or somebody above decides
        return


def reset_signals() -> None:
    """Give user code the signals of a process that was started from a terminal, whatever the daemon inherited."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGCHLD", "SIGTERM", "SIGHUP", "SIGQUIT"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as the interpreter sets it at its start


def keep_dump_signal() -> None:
    """Keep user code from ignoring or blocking the one signal that tells where a test hangs.

    The public functions of `signal` look these two up at each call, so they stay what they were.
    """
    low_level: Any = sys.modules["_signal"]
    set_handler, set_mask = low_level.signal, low_level.pthread_sigmask

    def guarded_signal(number: int, handler: Any) -> Any:
        return signal.SIG_DFL if number == DUMP_SIGNAL else set_handler(number, handler)

    def guarded_mask(how: int, mask: Any) -> Any:
        return set_mask(how, [number for number in mask if number != DUMP_SIGNAL])

    low_level.signal = guarded_signal
    low_level.pthread_sigmask = guarded_mask


def native_threads() -> int:
    """Return how many threads the operating system counts in this process, 0 where it does not tell."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 0


def children() -> "List[int]":
    """Return this process's children, those that were left to it included; empty where the system does not tell."""
    found: List[int] = []
    try:
        for task in os.listdir("/proc/self/task"):
            with open(f"/proc/self/task/{task}/children", encoding="ascii") as file:
                found.extend(int(pid) for pid in file.read().split())
    except OSError:
        return found
    return found
