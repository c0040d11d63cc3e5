"""Descriptors that stand for a caller's own, while what is to use them is prepared: of the same kind, and recorded.

Runs in a stem, which makes them and reads what is written to them, and in the process that has them, which puts the
caller's own in their place. A terminal is stood for by another one of the same size and settings.
"""

import contextlib
import fcntl
import os
import select
import stat
import termios
from typing import Any, Dict, List, Tuple

from testd.runner.channel import high
from testd.runner.slots import scratch

__all__ = ["MARK", "Kind", "Placeholders", "kinds_of", "put_in_place"]

Kind = Tuple[Any, ...]  # what it is, the first descriptor that is the same, and of a terminal its size and settings

#: Bytes that may be recorded: whoever writes more before the first test is not prepared.
MOST = 1024 * 1024
_READ = 64 * 1024
#: Written to a terminal behind everything else: what comes in front of it has arrived then.
MARK = b"\0testd\0"
#: How often, and for how many seconds each, a terminal is waited for.
_LOOKS, _LOOK = 200, 0.01


def kinds_of(stdio: "List[int]", closed: "List[int]") -> "List[Kind]":
    """Return what the descriptors 0 to 2 of a caller are; empty where nothing can stand for one of them."""
    kinds: List[Kind] = []
    seen: List[Tuple[int, int, int]] = []
    for number, fd in enumerate(stdio):
        found = os.fstat(fd)
        seen.append((found.st_dev, found.st_ino, found.st_rdev))
        same = seen.index(seen[-1])
        if number in closed:
            kinds.append(("closed", number))
        elif os.isatty(fd):
            size = fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8))
            kinds.append(("terminal", same, size, termios.tcgetattr(fd)))
        elif stat.S_ISCHR(found.st_mode) and found.st_rdev == os.stat(os.devnull).st_rdev:
            kinds.append(("nothing", number))
        elif stat.S_ISREG(found.st_mode):
            kinds.append(("file", same))
        elif stat.S_ISFIFO(found.st_mode) or stat.S_ISSOCK(found.st_mode):
            kinds.append(("pipe", same))
        else:
            return []
    return kinds


class Placeholders:
    """The descriptors for one process, and what was written to them."""

    def __init__(self, kinds: "List[Kind]") -> None:
        """Make them: `far` are the three of the process, to be closed here when it has them."""
        self.far: List[int] = []
        self._kinds = kinds
        self._near: Dict[int, bytearray] = {}  # a descriptor to read from → what came
        self._files: Dict[int, int] = {}  # number → a file that is written to
        self._held: List[int] = []
        self._source: Dict[int, int] = {}  # number → the descriptor in _near
        self._drained: List[int] = []  # those in _near to which nobody can write any more
        for number, kind in enumerate(kinds):
            self._make(number, kind)

    def _make(self, number: int, kind: Kind) -> None:
        name, same = kind[:2]
        if name in ("closed", "nothing"):
            self.far.append(os.open(os.devnull, os.O_RDWR))
        elif same < number and (same or name == "terminal"):
            self.far.append(os.dup(self.far[same]))
        elif name == "terminal":
            master, far = os.openpty()
            fcntl.ioctl(far, termios.TIOCSWINSZ, kind[2])
            settings = list(kind[3])
            settings[1] &= ~termios.OPOST  # what is recorded is written to the real one, which does that
            termios.tcsetattr(far, termios.TCSANOW, settings)
            self._record(number, master, far)
        elif not number:  # nothing can be read from it, for nobody knows what will be there
            far, held = os.pipe()
            self._held.append(high(held))
            self.far.append(far)
        elif name == "file":
            far = scratch("testd-output")
            self._files[number] = high(os.dup(far))
            self.far.append(far)
        else:
            near, far = os.pipe()
            self._record(number, near, far)

    def _record(self, number: int, near: int, far: int) -> None:
        near = high(near)
        os.set_blocking(near, False)
        self._near[near] = bytearray()
        self._source[number] = near
        self.far.append(far)

    @property
    def sources(self) -> "List[int]":
        """Return the descriptors that may have something to read."""
        return [near for near in self._near if near not in self._drained]

    def read(self, near: int) -> bool:
        """Take what was written; False where that is too much."""
        data = b"more"
        with contextlib.suppress(BlockingIOError):
            while data and len(self._near[near]) <= MOST:
                try:
                    data = os.read(near, _READ)
                except BlockingIOError:
                    raise
                except OSError:  # a terminal whose other end is closed
                    data = b""
                self._near[near] += data
        if not data:
            self._drained.append(near)
        return len(self._near[near]) <= MOST

    def recorded(self) -> "List[List[Any]]":
        """Return what was written, as `[number, bytes]` of the caller's descriptor that it is for.

        For a process that waits, and has written its mark to each terminal.
        """
        found: List[List[Any]] = []
        for number, near in self._source.items():
            for _ in range(_LOOKS):
                self.read(near)
                if self._kinds[number][0] != "terminal" or MARK in self._near[near]:
                    break
                select.select([near], [], [], _LOOK)  # a terminal hands on what it is given in its own time
            found.append([self._last_alike(number), bytes(self._near[near]).replace(MARK, b"")])
        found += [[number, os.pread(fd, MOST, 0)] for number, fd in self._files.items()]
        return found

    def _last_alike(self, number: int) -> int:
        """Return which descriptor to write to: one that is for reading as well may be for reading alone."""
        return max(n for n, kind in enumerate(self._kinds) if kind[1] == number)

    def close_far(self) -> None:
        """Let go of what the process has."""
        for fd in self.far:
            os.close(fd)
        self.far = []

    def close(self) -> None:
        """Let go of all."""
        self.close_far()
        for fd in (*self._near, *self._files.values(), *self._held):
            os.close(fd)
        self._near, self._files, self._held = {}, {}, []


def put_in_place(stdio: "List[int]", closed: "List[int]") -> None:
    """Put a caller's descriptors where this process has placeholders, or copies of them, and close them elsewhere."""
    null = os.stat(os.devnull).st_rdev
    real: Dict[Tuple[int, int, int], int] = {}
    for number, fd in enumerate(stdio):
        if number not in closed:
            key = _identity(number)
            if key[2] != null:
                real.setdefault(key, fd)
    for name in os.listdir("/dev/fd"):
        fd = int(name)
        if fd in stdio:
            continue
        with contextlib.suppress(OSError):  # the one that the folder was listed by
            key = _identity(fd)
            if key in real:
                os.dup2(real[key], fd, inheritable=os.get_inheritable(fd))
    for fd in stdio:
        os.close(fd)


def _identity(fd: int) -> "Tuple[int, int, int]":
    found = os.fstat(fd)
    return found.st_dev, found.st_ino, found.st_rdev


