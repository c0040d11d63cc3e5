"""How much memory processes hold. Runs in the agent; reads a few lines of /proc, so that any moment will do for it."""

# Paths as text, not objects: a status must cost less than a millisecond

from __future__ import annotations

import contextlib
import os
import sys

__all__ = ["of_process", "of_tree"]

_PAGE = os.sysconf("SC_PAGE_SIZE")


def of_process(pid: int) -> int:
    """Return a process's memory in KiB without what it maps from files; 0 where it is gone."""
    if not sys.platform.startswith("linux"):
        return _elsewhere(pid, below=False)
    with contextlib.suppress(OSError, ValueError, IndexError):
        with open(f"/proc/{pid}/statm", encoding="ascii") as file:
            _, resident, shared = file.read().split()[:3]
        return (int(resident) - int(shared)) * _PAGE // 1024
    return 0


def of_tree(pid: int) -> int:
    """Return the memory of a process and of all below it in KiB.

    Pages that a fork shares with its parent count in both: this says what a runner may come to, not what it costs.
    """
    if not sys.platform.startswith("linux"):
        return _elsewhere(pid, below=True)
    total, waiting = 0, [pid]
    while waiting:
        found = waiting.pop()
        total += of_process(found)
        waiting += _children(found)
    return total


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found += [int(child) for child in file.read().split()]
    return found


def _elsewhere(pid: int, *, below: bool) -> int:
    import psutil  # 40 ms, and only systems without /proc need it

    total = 0
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for found in (process, *(process.children(recursive=True) if below else ())):
            total += found.memory_info().rss
    return total // 1024
