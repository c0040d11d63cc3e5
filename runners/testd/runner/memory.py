"""How much memory this runner holds, and how much there is: only the place where it runs can tell.

Runs in the supervisor, when the agent asks. Standard library only; a few lines of /proc, so that any moment will do.
"""

import contextlib
import os

__all__ = ["held", "installed"]


def held(pid: int) -> int:
    """Return the memory of a process and of all below it in KiB, 0 where the system does not tell.

    What they map from files is left out. Pages that a fork shares with its parent count in both.
    """
    total, waiting = 0, [pid]
    while waiting:
        found = waiting.pop()
        with contextlib.suppress(OSError, ValueError, IndexError):  # it has ended meanwhile
            with open(f"/proc/{found}/statm", encoding="ascii") as file:
                _, resident, shared = file.read().split()[:3]
            total += int(resident) - int(shared)
            for task in os.listdir(f"/proc/{found}/task"):
                with open(f"/proc/{found}/task/{task}/children", encoding="ascii") as file:
                    waiting += [int(child) for child in file.read().split()]
    return total * os.sysconf("SC_PAGE_SIZE") // 1024


def installed() -> int:
    """Return how much memory this machine has in KiB, 0 where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 1024
    except (OSError, ValueError):
        return 0
