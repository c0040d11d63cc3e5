"""A page of shared memory that tells which test each worker is running, without a message per test.

The supervisor makes it and reads it; a worker writes its own slot. A crash then names the right test, and a deadline
is watched from outside of the process that may hang. Standard library only.
"""

import mmap
import os
import struct
import tempfile
from typing import NamedTuple

__all__ = ["CLOSING", "CUT_OFF", "DONE", "IDLE", "RUNNING", "STARTING", "Slot", "SlotWriter", "Slots", "scratch"]

STARTING, IDLE, RUNNING, DONE, CLOSING = range(5)
#: The exit status of a worker that could not reach the supervisor any more (EX_IOERR).
CUT_OFF = 74

#: A counter, state, job, test, when the test started, when the job started (monotonic seconds), the counter again.
#: A worker may be held up in the middle of writing: the two counters differ then.
_layout = struct.Struct("<qqqqddq")
_pack = _layout.pack
_SIZE = 64
_COUNT = 256
#: Where in a slot the supervisor writes that the worker should stop.
_STOP = 56


class Slot(NamedTuple):
    """What a worker is doing. `test` and `job` are -1 where there is none; not `whole` while it is being written.

    While it is CLOSING, `test_started` is when the end of its session began.
    """

    state: int
    job: int
    test: int
    test_started: float
    job_started: float
    whole: bool = True


def scratch(name: str) -> int:
    """Return the descriptor of an unnamed file in memory, or an unlinked temporary one where the system has none."""
    create = getattr(os, "memfd_create", None)
    if create is not None:
        return int(create(name, getattr(os, "MFD_CLOEXEC", 0)))
    fd, path = tempfile.mkstemp(prefix="testd-")
    os.unlink(path)
    return fd


class Slots:
    """All slots. Made by the supervisor; a stem opens it by the descriptor that it inherited."""

    count = _COUNT

    def __init__(self, fd: int = -1) -> None:
        """Open the page behind `fd`, or make a new one."""
        self.fd = scratch("testd-slots") if fd < 0 else fd
        if fd < 0:
            os.ftruncate(self.fd, _SIZE * _COUNT)
        self._page = mmap.mmap(self.fd, _SIZE * _COUNT)

    def close(self) -> None:
        """Let go of the page, in a process that has no part in it."""
        self._page.close()
        os.close(self.fd)

    def read(self, number: int) -> Slot:
        """Return what the worker in this slot wrote last."""
        before, state, job, test, test_started, job_started, after = _layout.unpack_from(self._page, number * _SIZE)
        return Slot(state, job, test, test_started, job_started, before == after)

    def writer(self, number: int) -> "SlotWriter":
        """Return what a worker writes its slot with."""
        return SlotWriter(self._page, number * _SIZE)

    def reset(self, number: int) -> None:
        """Clear a slot for a new worker."""
        _layout.pack_into(self._page, number * _SIZE, 0, STARTING, -1, -1, 0.0, 0.0, 0)
        self._page[number * _SIZE + _STOP] = 0

    def stop(self, number: int) -> None:
        """Ask the worker in this slot to stop after its test."""
        self._page[number * _SIZE + _STOP] = 1


class SlotWriter:
    """One slot, as its worker sees it."""

    __slots__ = ("_count", "_job", "_job_started", "_offset", "_page")

    def __init__(self, page: mmap.mmap, offset: int) -> None:
        """Write at `offset` of `page`."""
        self._page = page
        self._offset = offset
        self._count = 0
        self._job = -1
        self._job_started = 0.0

    @property
    def stopping(self) -> bool:
        """Tell whether the supervisor asked this worker to stop."""
        return bool(self._page[self._offset + _STOP])

    def running(self, job: int, test: int, now: float) -> None:
        """Say which test starts now."""
        if job != self._job:
            self._job = job
            self._job_started = now
        self._write(RUNNING, job, test, now, self._job_started)

    def idle(self) -> None:
        """Say that no test runs: the worker waits for its next job."""
        self._write(IDLE, -1, -1, 0.0, 0.0)

    def closing(self, now: float) -> None:
        """Say that no test is left: what comes now is the end of the session, which user code takes part in."""
        self._write(CLOSING, -1, -1, now, 0.0)

    def done(self) -> None:
        """Say that the worker finished in order: what comes now are exit functions."""
        self._write(DONE, -1, -1, 0.0, 0.0)

    def _write(self, state: int, job: int, test: int, test_started: float, job_started: float) -> None:
        self._count = count = self._count + 1
        offset = self._offset
        self._page[offset : offset + _layout.size] = _pack(count, state, job, test, test_started, job_started, count)
