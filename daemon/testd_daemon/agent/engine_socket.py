"""A question to a container engine over its socket. Blocks for a moment; runs in a thread of the agent.

Loaded when the first question comes: an HTTP client takes as long to load as a tenth of the agent.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from typing import Any, Final

__all__ = ["get"]

#: Seconds for an answer: the engine has it in memory.
SOCKET_DEADLINE: Final = 5.0


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SOCKET_DEADLINE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SOCKET_DEADLINE)
        self.sock.connect(self._path)


def get(path: str, url: str) -> dict[str, Any] | None:
    """Ask an engine's own interface; None for what it does not have. Raises OSError, ValueError."""
    try:
        with contextlib.closing(_Connection(path)) as connection:
            connection.request("GET", url)
            response = connection.getresponse()
            found: dict[str, Any] = json.loads(response.read())
    except http.client.HTTPException as error:
        raise ValueError(f"{url}: {error}") from error
    if response.status == 404:
        return None
    if response.status != 200:
        raise ValueError(f"{url}: {response.status}")
    return found
