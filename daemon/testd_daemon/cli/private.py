"""`testd run --no-daemon`: a handler of this command's own, in a folder of its own, gone when the command is.

Runs in the client. The handler ends and removes its folder when our connection closes, however we end; where we still
can, we wait for that and look after it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from typing import TYPE_CHECKING

from testd_daemon.cli.gone import wait_until_gone
from testd_daemon.cli.interrupts import Leave
from testd_daemon.client.sync import Client
from testd_daemon.runtime import MAX_SOCKET_PATH, SOCKET_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds for the private handler and all that it started to be gone after the run.
GONE_WITHIN = 15.0
_PREFIX = "testd-run-"
#: What mkdtemp adds to a prefix, and the slashes.
_REST = 8 + 2


@contextlib.contextmanager
def private_client() -> Iterator[Client]:
    """Start a private handler and connect to it; at the end, wait until nothing is left of it."""
    base = tempfile.mkdtemp(prefix=_PREFIX, dir=_folder())
    pid = 0
    try:
        with Client.connect_private(base) as client:
            pid = int(client.welcome["pid"])
            yield client
    except Leave:
        pid = 0  # the user waits for nothing any more; the handler ends by itself
        raise
    finally:
        if pid:
            wait_until_gone(pid, GONE_WITHIN)
        shutil.rmtree(base, ignore_errors=True)


def _folder() -> str:
    """Give the folder for temporary files, unless a socket's path in it would be too long."""
    folder = tempfile.gettempdir()
    room = MAX_SOCKET_PATH - len(_PREFIX) - _REST - len(SOCKET_NAME)
    return folder if len(os.fsencode(folder)) <= room else "/tmp"  # noqa: S108 - mkdtemp makes it private


__all__ = ["GONE_WITHIN", "private_client"]
