"""Who is at the other end of a Unix socket. Used by the handler, for each connection before a byte is read."""

from __future__ import annotations

import socket
import struct
import sys
from typing import Final

__all__ = ["peer_uid"]

_UCRED: Final = struct.Struct("3i")  # Linux: process, user, group
_XUCRED: Final = struct.Struct("=II")  # macOS: version, user, and groups that we do not need
_LOCAL_PEERCRED: Final = 1
_XUCRED_SIZE: Final = 76


def peer_uid(sock: socket.socket) -> int:
    """Ask the kernel for the user id of the process that connected. Raises OSError where it does not tell."""
    if sys.platform == "darwin":
        found = sock.getsockopt(0, _LOCAL_PEERCRED, _XUCRED_SIZE)
        return int(_XUCRED.unpack_from(found)[1])
    found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    return int(_UCRED.unpack(found)[1])
