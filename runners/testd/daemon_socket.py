"""Where the daemon listens. Imported by whoever looks for it: the daemon and its client, and traced applications.

Standard library only, and of that only what is loaded anyway. The rules are those of the XDG base directories and of
macOS.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SOCKET_NAME", "runtime_folder", "socket_path"]

SOCKET_NAME = "testd.sock"


def socket_path(env: Mapping[str, str]) -> str:
    """Return the path of the daemon's socket; TESTD_RUNTIME_DIR says in which folder it is, where it is set."""
    return f"{env.get('TESTD_RUNTIME_DIR', '').rstrip('/') or runtime_folder(env)}/{SOCKET_NAME}"


def runtime_folder(env: Mapping[str, str]) -> str:
    """Return the folder of the socket where nothing says otherwise."""
    base = env.get("XDG_RUNTIME_DIR", "")
    if base.startswith("/"):
        return f"{base.rstrip('/')}/testd"
    mine = f"/run/user/{os.getuid()}"
    if sys.platform == "linux" and os.access(mine, os.W_OK) and _owner(mine) == os.getuid():
        return f"{mine}/testd"
    temporary = env.get("TMPDIR", "") if sys.platform == "darwin" else ""  # on macOS it is the user's own
    return f"{(temporary or '/tmp').rstrip('/')}/testd-{os.getuid()}"  # noqa: S108  its owner and mode are checked


def _owner(path: str) -> int:
    try:
        return os.lstat(path).st_uid
    except OSError:
        return -1
