"""What a test left behind: threads, child processes, pending asyncio tasks, a changed working directory.

Runs in the worker, after every test; standard library only, and nothing is imported until something was left. Where
nothing was, a check costs a few microseconds. A leak is reported once, at the test that left it.

What exists when a test's own body begins belongs to fixtures of a wider scope and is no leak: call `before_call` and
`after_call` around the body and `check` after the teardown. Without the two, everything since the last check counts.
"""

from __future__ import annotations

import os
import sys
import threading
from time import monotonic, sleep  # references: tests that freeze time replace the attributes of `time`

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

__all__ = ["Leaks", "describe_task"]

#: Seconds that a thread or a process which is about to end anyway may take for it, before it counts as left behind.
SETTLE = 0.05
_SETTLE_STEP = 0.002
#: Watchdogs and debuggers: threads that live beside tests on purpose, by the beginning of their name.
_IGNORED_THREADS = ("pytest_timeout", "pydevd.", "IPythonHistorySavingThread")
#: Helpers that multiprocessing starts once and keeps.
_IGNORED_COMMANDS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")

_getcwd = os.getcwd
_waitid = getattr(os, "waitid", None)  # not on macOS before Python 3.13: child processes are not watched there
_ANY = getattr(os, "P_ALL", 0)
_PEEK = getattr(os, "WEXITED", 0) | getattr(os, "WNOHANG", 0) | getattr(os, "WNOWAIT", 0)
_active: dict[int, threading.Thread] = threading._active  # type: ignore[attr-defined]


class Leaks:
    """Compares what exists after each test with what existed before it."""

    def __init__(self) -> None:
        self._threads: set[threading.Thread] = set()
        self._children: set[int] = set()
        self._tasks: Any = None  # a WeakSet once there are any
        self._cwd: str | None = None
        self._left_at: str | None = None
        self._moved = False

    def start(self) -> None:
        """Take all that exists now as known."""
        self._know()
        self._moved = False

    def before_call(self) -> None:
        """Mark the beginning of a test's body: what its fixtures have made is known, and the directory is right."""
        self._know()
        self._cwd = _directory()

    def after_call(self) -> None:
        """Mark the end of a test's body, before its fixtures are torn down."""
        cwd = _directory()
        if cwd != self._cwd:
            self._moved, self._left_at = True, cwd

    def check(self) -> list[str]:
        """Return a line for each thing that the test left behind, and go back to the directory that its body left."""
        found: list[str] = []
        if len(_active) > 1:
            found += self._new_threads()
        if _has_children():
            found += self._new_children()
        if "asyncio" in sys.modules:
            found += self._new_tasks()
        if self._moved:
            self._moved = False
            found += self._go_back()
        return found

    def _know(self) -> None:
        if len(_active) > 1 or self._threads:
            self._threads = set(_living())
        if _has_children():
            self._children = set(_children())
        if "asyncio" in sys.modules:
            self._know_tasks(list(_pending()))

    def _new_threads(self) -> list[str]:
        known = self._threads
        new = [thread for thread in _living() if thread not in known]
        if not new:
            return []
        deadline = monotonic() + SETTLE
        for thread in new:
            thread.join(max(0.0, deadline - monotonic()))
        left = [thread for thread in new if thread.is_alive()]
        self._threads = set(_living())
        return [_describe_thread(thread) for thread in left]

    def _new_children(self) -> list[str]:
        new = [pid for pid in _children() if pid not in self._children]
        if not new:
            return []
        deadline = monotonic() + SETTLE
        while new and monotonic() < deadline:
            sleep(_SETTLE_STEP)
            living = set(_children())
            new = [pid for pid in new if pid in living]
        self._children = set(_children())
        found = []
        for pid in new:
            command = _command(pid)
            if not any(part in command for part in _IGNORED_COMMANDS):
                found.append("child process {} still running: {}".format(pid, command or "(command unknown)"))
        return found

    def _new_tasks(self) -> list[str]:
        known = self._tasks
        new = [task for task in _pending() if known is None or task not in known]
        if new:
            self._know_tasks(new)
        return [describe_task(task) for task in new]

    def _know_tasks(self, tasks: list[Any]) -> None:
        if not tasks:
            return
        if self._tasks is None:
            import weakref

            self._tasks = weakref.WeakSet()
        for task in tasks:
            self._tasks.add(task)

    def _go_back(self) -> list[str]:
        now = _directory()
        if now != self._left_at or now == self._cwd:
            return []  # a fixture has put it right, or meant it
        where = now or "a directory that no longer exists"
        try:
            os.chdir(self._cwd or os.sep)
        except OSError as exc:
            return [f"working directory left at {where}; could not go back to {self._cwd}: {exc.strerror}"]
        return [f"working directory left at {where}; set back to {self._cwd}"]


def _directory() -> str | None:
    try:
        return _getcwd()
    except OSError:
        return None  # it was deleted


def _living() -> list[threading.Thread]:
    """Every thread but the main one, watchdogs, and those that Python did not start."""
    main = threading.main_thread()
    return [
        thread
        for thread in threading.enumerate()
        if thread is not main
        and not isinstance(thread, threading._DummyThread)
        and not thread.name.startswith(_IGNORED_THREADS)
    ]


def _describe_thread(thread: threading.Thread) -> str:
    target = getattr(thread, "_target", None)
    if target is None and type(thread) is not threading.Thread:
        target = type(thread).run
    module, name = getattr(target, "__module__", None), getattr(target, "__qualname__", None)
    runs = f", running {module}.{name}" if name else ""
    return "thread {!r} still alive{}{}".format(thread.name, " (daemon)" if thread.daemon else "", runs)


def _has_children() -> bool:
    """Whether this process has any child: one system call, and nothing is reaped."""
    if _waitid is None:
        return False
    try:
        _waitid(_ANY, 0, _PEEK)
    except OSError:  # ChildProcessError: there is none
        return False
    return True


def _children() -> list[int]:
    """The pids of this process's children that still run. A zombie is none: it holds nothing but its number."""
    try:
        threads = os.listdir("/proc/self/task")
        pids: list[int] = []
        for thread in threads:
            with open(f"/proc/self/task/{thread}/children") as file:
                pids += map(int, file.read().split())
    except (OSError, ValueError):
        pids = [pid for pid, parent in _processes() if parent == os.getpid()]
    return [pid for pid in pids if _runs(pid)]


def _processes() -> Iterable[tuple[int, int]]:
    """Every process of this machine, as (pid, parent's pid), where the kernel has no list of children."""
    if os.path.exists("/proc/self/stat"):
        for name in os.listdir("/proc"):
            stat = _stat(int(name)) if name.isdigit() else None
            if stat:
                yield int(name), int(stat[1])
        return
    for line in _ps("-A", "-o", "pid=,ppid=").splitlines():
        pid, parent = line.split()
        yield int(pid), int(parent)


def _runs(pid: int) -> bool:
    if os.path.exists("/proc/self/stat"):
        stat = _stat(pid)
        return stat is not None and stat[0] not in ("Z", "X")
    return not _ps("-o", "stat=", "-p", str(pid)).startswith("Z")


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the command: state, parent … None where the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read(2000).split(b"\0")
    except OSError:
        return _ps("-o", "command=", "-p", str(pid)).strip()[:300]
    return b" ".join(words).decode("utf-8", "replace").strip()[:300]


def _ps(*arguments: str) -> str:
    import subprocess  # only where there is no /proc

    try:
        return subprocess.run(["ps", *arguments], stdout=subprocess.PIPE, timeout=5, check=False).stdout.decode()
    except (OSError, subprocess.SubprocessError):
        return ""


def _pending() -> Iterator[Any]:
    """Every asyncio task, of any loop, that has not ended. asyncio keeps them by weak reference, in private sets.

    From Python 3.14 it keeps its own tasks where only their loop can list them: those are not seen here.
    """
    module = sys.modules.get("asyncio.tasks")
    for name in ("_all_tasks", "_scheduled_tasks", "_eager_tasks"):
        tasks = getattr(module, name, None)
        if getattr(tasks, "data", tasks):  # a WeakSet's own length costs ten times as much
            for task in list(tasks or ()):
                if not task.done():
                    yield task


def describe_task(task: Any) -> str:
    """Name an asyncio task, its coroutine, and where that stands."""
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", None) or repr(coroutine)
    frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
    place = f" at {frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else ""
    return f"task {task.get_name()!r} still pending: {name}{place}"
