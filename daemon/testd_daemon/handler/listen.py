"""One handler per runtime folder, and the socket that it listens on.

Whoever holds a lock on the folder itself is the handler: the kernel gives it up with the process, whatever kills it,
and no lock file stays behind. Under that lock a socket that nobody answers on is stale and is removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from collections.abc import MutableMapping
from typing import Final

import anyio

from testd_daemon.errors import DeadlineExpired, RuntimeFolderError
from testd_daemon.handler.notify import passed_sockets
from testd_daemon.runtime import Folders, make_private

__all__ = ["Instance", "claim"]

#: Connections that may wait to be accepted.
BACKLOG: Final = 128
#: Seconds between two looks at another handler that is just starting or ending. Nothing else waits this way.
LOOK_INTERVAL: Final = 0.02


class Instance:
    """The right to be the handler, and its listening socket. `close` gives both up and leaves nothing behind."""

    def __init__(self, folders: Folders, lock: int, passed: socket.socket | None) -> None:
        """Take over the lock, and the socket if one was passed."""
        self._folders = folders
        self._lock = lock
        self._inode = 0
        self.passed = passed is not None
        self.listener = passed or self._bind()

    def _bind(self) -> socket.socket:
        path = self._folders.socket
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)  # the socket is 0600 from the moment that it is there
        try:
            sock.bind(path)
        except OSError as error:
            sock.close()
            raise RuntimeFolderError(f"cannot make the socket {path}: {error.strerror}") from error
        finally:
            os.umask(before)
        self._inode = os.stat(path).st_ino  # noqa: PTH116
        sock.setblocking(False)
        sock.listen(BACKLOG)
        return sock

    def stop_listening(self) -> None:
        """Take the socket away: the next client starts the next handler, which waits for our end."""
        if self.listener.fileno() < 0:
            return
        if not self.passed:
            with contextlib.suppress(OSError):
                if os.lstat(self._folders.socket).st_ino == self._inode:
                    os.unlink(self._folders.socket)  # noqa: PTH108
        anyio.notify_closing(self.listener)
        self.listener.close()

    def close(self) -> None:
        """Give up the socket and the lock."""
        self.stop_listening()
        os.close(self._lock)


async def claim(folders: Folders, environ: MutableMapping[str, str], deadline: float) -> Instance | None:
    """Become the handler. None if there is another one and it listens.

    Waits at most `deadline` seconds for one that is starting or ending. Raises RuntimeFolderError and DeadlineExpired.
    """
    passed = _passed(environ)
    make_private(folders.runtime)
    folders.check_socket_path()
    lock = os.open(folders.runtime, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with anyio.fail_after(deadline):
            while not _try_lock(lock):
                if passed is None and _answers(folders.socket):
                    os.close(lock)
                    return None
                await anyio.sleep(LOOK_INTERVAL)
        if passed is None and _answers(folders.socket):  # a service manager listens there for a handler of its own
            os.close(lock)
            return None
        return Instance(folders, lock, passed)
    except TimeoutError as error:
        os.close(lock)
        raise DeadlineExpired(
            f"the wait for another handler in {folders.runtime}, which neither listens nor ends,", deadline
        ) from error
    except BaseException:
        with contextlib.suppress(OSError):
            os.close(lock)
        raise


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            sock.connect(path)
        except BlockingIOError:  # its backlog is full: somebody listens
            return True
        except OSError:
            return False
    return True


def _passed(environ: MutableMapping[str, str]) -> socket.socket | None:
    """Take the socket that a service manager passed, if it did, and check that it is one of ours."""
    descriptors = passed_sockets(environ)
    if not descriptors:
        return None
    if len(descriptors) > 1:
        raise RuntimeFolderError(f"{len(descriptors)} sockets were passed, and one is right", hint="see testd.socket")
    try:
        sock = socket.socket(fileno=descriptors[0])
        listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise RuntimeFolderError(f"what was passed is no socket: {error.strerror}", hint="see testd.socket") from error
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM or not listens:
        raise RuntimeFolderError(
            "the socket that was passed is not a listening Unix stream socket", hint="see testd.socket: ListenStream="
        )
    sock.setblocking(False)
    sock.set_inheritable(False)
    return sock
