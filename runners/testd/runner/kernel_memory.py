"""Whether the kernel killed processes because the memory of this machine or container was exhausted.

Runs in the supervisor, which asks when a process was killed and nobody here did it. Standard library only.
"""

import os
import signal

__all__ = ["OutOfMemory"]

#: Where a container, or a machine's own group, tells it: the second kind of control groups, then the first.
_EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
#: Above this a limit is none: the first kind of control groups writes "no limit" as a very large number.
_NO_LIMIT = 1 << 60


class OutOfMemory:
    """Counts the processes that the kernel killed in this group, from now on."""

    def __init__(self) -> None:
        """Begin to count."""
        self._seen = _killed()

    def explain(self, status: int) -> str:
        """Say whether it was the kernel that killed a process with this wait status, empty if it was not."""
        if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
            return ""
        seen, self._seen = self._seen, _killed()
        if self._seen <= seen:
            return ""
        limit = _limit()
        of = f" of the {limit // (1024 * 1024)} MiB that its container or group may use" if limit else ""
        return f"the kernel killed it: no memory was left{of}"


def _killed() -> int:
    for path in _EVENTS:
        text = _read(path)
        for line in text.splitlines():
            name, _, number = line.partition(" ")
            if name == "oom_kill" and number.strip().isdigit():
                return int(number)
    return 0


def _limit() -> int:
    for path in _LIMITS:
        text = _read(path).strip()
        if text.isdigit() and int(text) < _NO_LIMIT:
            return int(text)
    return 0


def _read(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(fd, 4096).decode("ascii", "replace")
    except OSError:
        return ""
    finally:
        os.close(fd)
