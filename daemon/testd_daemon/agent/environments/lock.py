"""One builder for each environment, whichever process it is in. Runs in the agent.

The lock is the kernel's (`flock`): it goes when its holder does, so none is ever stale by itself. What a dead builder
left running still holds it, because each command that it starts inherits it: nobody builds in a folder in which an
orphan still writes. The orphan is ended by whoever waits for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from typing import Final

import anyio
import msgspec
import psutil

from testd_daemon.errors import DeadlineExpired

__all__ = ["Lock", "held", "try_lock"]

#: Seconds between two looks at a lock that another process holds: a build takes seconds, and there is no event for it.
LOOK_INTERVAL: Final = 0.1
#: The variable that a command under a lock has, and hands on to all that it starts.
_MARK: Final = "TESTD_ENVIRONMENT_LOCK"


class Owner(msgspec.Struct, frozen=True):
    """Who builds, as the file of a lock says; told from a later process with the same number by when it began."""

    pid: int
    began: float


class Lock:
    """A lock that is held. `descriptor` and `environment` are for the commands that work under it."""

    def __init__(self, descriptor: int, path: str) -> None:
        """Take over a locked descriptor."""
        self.descriptor = descriptor
        self.environment = {_MARK: path}
        with contextlib.suppress(OSError):  # a full disk: nobody would be told who it is, and that is all
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, msgspec.json.encode(Owner(os.getpid(), _began(os.getpid()))), 0)

    def release(self) -> None:
        """Let go of it. The file stays: to remove it while somebody waits would make two locks of it."""
        with contextlib.suppress(OSError):
            os.ftruncate(self.descriptor, 0)
        os.close(self.descriptor)


def try_lock(path: str) -> Lock | None:
    """Take a lock if nobody has it. Raises OSError where its file cannot be made."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_still_there(descriptor, path):
            return Lock(descriptor, path)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return try_lock(path)  # it was swept between opening and locking


@contextlib.asynccontextmanager
async def held(path: str, *, name: str, deadline: float, waiting: Callable[[int], None]) -> AsyncIterator[Lock]:
    """Hold a lock for the length of a block; `waiting` is told once, with the owner's pid, that another one has it.

    Raises DeadlineExpired where the other one takes longer than `deadline` seconds, OSError where its file cannot be
    made.
    """
    lock = try_lock(path)
    if lock is None:
        waiting(_pid(path))
        with anyio.move_on_after(deadline):
            while lock is None:
                _end_orphans(path)
                await anyio.sleep(LOOK_INTERVAL)
                lock = try_lock(path)
    if lock is None:
        raise DeadlineExpired(
            f"waiting for {name}, which process {_pid(path)} makes,", deadline, hint="end that process and try again"
        )
    try:
        yield lock
    finally:
        lock.release()


def _end_orphans(path: str) -> None:
    """End what a dead builder has left running. Its commands are known by a variable, and so is what they started."""
    owner = _owner(path)
    if owner is None or _began(owner.pid) == owner.began:
        return
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(_MARK) == path:
                process.kill()


def _owner(path: str) -> Owner | None:
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=Owner)
    except (OSError, msgspec.DecodeError):
        return None


def _pid(path: str) -> int:
    owner = _owner(path)
    return owner.pid if owner else 0


def _is_still_there(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _began(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0
