"""What the handler tells a service manager: READY, STATUS, STOPPING, WATCHDOG. Does nothing where there is none.

The protocol is that of sd_notify(3): one datagram of `NAME=value` lines to the socket that NOTIFY_SOCKET names, which
is a path or, with an `@` in front, an abstract name.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import MutableMapping
from typing import Final

import anyio

__all__ = ["Notifier", "passed_sockets"]

#: The first descriptor that a service manager passes.
FIRST_PASSED: Final = 3


class Notifier:
    """Tell the service manager how we are. Takes its variables out of the environment, so that no child sees them."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        """Read and remove NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID."""
        self._address = environ.pop("NOTIFY_SOCKET", "")
        microseconds = environ.pop("WATCHDOG_USEC", "")
        meant_for = environ.pop("WATCHDOG_PID", "") or str(os.getpid())
        mine = microseconds.isdigit() and meant_for == str(os.getpid())
        self.watchdog = int(microseconds) / 1e6 if mine else 0.0

    def tell(self, *lines: str) -> None:
        """Send lines such as `READY=1`. Never blocks and never fails: that nobody listens is no reason to."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto("\n".join(lines).encode(), address)

    async def keep_watchdog(self) -> None:
        """Answer the watchdog for as long as the event loop turns: twice in each of its intervals."""
        while self.watchdog > 0:
            self.tell("WATCHDOG=1")
            await anyio.sleep(self.watchdog / 2)


def passed_sockets(environ: MutableMapping[str, str]) -> list[int]:
    """List the descriptors that were passed to this process (sd_listen_fds(3)), and remove the variables."""
    meant_for = environ.pop("LISTEN_PID", "")
    count = environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if meant_for != str(os.getpid()) or not count.isdigit():
        return []
    return list(range(FIRST_PASSED, FIRST_PASSED + int(count)))
