"""Where the daemon keeps things: the folder of its socket, its state, its cache.

Imported by the handler and by the quick client, which must agree on every path: standard library only, and of that
only what is cheap. The rules are those of the XDG base directories and of macOS, computed here because a library for
it costs a quick call more than the rest of its imports.
"""

from __future__ import annotations

import os
import stat
import sys

from testd.daemon_socket import SOCKET_NAME, runtime_folder
from testd_daemon.errors import RuntimeFolderError

__all__ = [
    "MAX_SOCKET_PATH",
    "RUN_FILES_MARK",
    "SOCKET_NAME",
    "Folders",
    "child_environment",
    "folders",
    "make_private",
    "private_folders",
]

#: A file in the folder of a workspace whose agent watches for run files. The workspace's path is in it.
RUN_FILES_MARK = "run-files"
#: Bytes that a socket's path may have, without the closing zero.
MAX_SOCKET_PATH = 103 if sys.platform == "darwin" else 107


class Folders:
    """The paths of one daemon. `ephemeral`: it is somebody's private one, and leaves nothing behind."""

    __slots__ = ("cache", "ephemeral", "runtime", "state")

    def __init__(self, runtime: str, state: str, cache: str, *, ephemeral: bool = False) -> None:
        """Take the three folders; nothing is created."""
        self.runtime = runtime
        self.state = state
        self.cache = cache
        self.ephemeral = ephemeral

    @property
    def socket(self) -> str:
        """The path of the socket that the handler listens on."""
        return f"{self.runtime}/{SOCKET_NAME}"

    @property
    def journal(self) -> str:
        """The path of the journal's database."""
        return f"{self.state}/journal.sqlite"

    @property
    def log(self) -> str:
        """The path of the handler's log."""
        return f"{self.state}/log/handler.log"

    @property
    def workspaces(self) -> str:
        """The folder in which each workspace has one of its own."""
        return f"{self.state}/workspaces"

    def check_socket_path(self) -> None:
        """Raise RuntimeFolderError if the socket's path is longer than the kernel takes."""
        size = len(os.fsencode(self.socket))
        if size > MAX_SOCKET_PATH:
            raise RuntimeFolderError(
                f"the path of the socket has {size} bytes, and a socket's path has at most {MAX_SOCKET_PATH}: "
                f"{self.socket}",
                hint="set TESTD_RUNTIME_DIR to a shorter folder, such as /tmp/testd-$USER",
            )


def folders(environ: dict[str, str] | None = None) -> Folders:
    """Compute the folders from the environment: TESTD_RUNTIME_DIR, _STATE_DIR and _CACHE_DIR win, then XDG's."""
    env = environ if environ is not None else dict(os.environ)
    return Folders(
        runtime=_absolute(env, "TESTD_RUNTIME_DIR") or runtime_folder(env),
        state=_absolute(env, "TESTD_STATE_DIR") or _home(env, "XDG_STATE_HOME", ".local/state", "Application Support"),
        cache=_absolute(env, "TESTD_CACHE_DIR") or _home(env, "XDG_CACHE_HOME", ".cache", "Caches"),
    )


def private_folders(base: str, environ: dict[str, str] | None = None) -> Folders:
    """Compute the folders of a private daemon: all in `base`, but for the cache, which holds nothing of a run."""
    base = os.path.abspath(base)  # noqa: PTH100  pathlib costs the quick client its import
    return Folders(base, f"{base}/state", folders(environ).cache, ephemeral=True)


def _absolute(env: dict[str, str], name: str) -> str:
    """Read a folder from the environment. A relative one is wrong: client and handler start in different places."""
    value = env.get(name, "")
    if value and not value.startswith("/"):
        raise RuntimeFolderError(f"{name} is {value!r}, a relative path", hint=f"set {name} to an absolute path")
    return value.rstrip("/") or value


def _home(env: dict[str, str], variable: str, default: str, library: str) -> str:
    base = env.get(variable, "")
    if base.startswith("/"):
        return f"{base.rstrip('/')}/testd"
    home = env.get("HOME", "") or os.path.expanduser("~")  # noqa: PTH111
    return f"{home}/Library/{library}/testd" if sys.platform == "darwin" else f"{home}/{default}/testd"


def make_private(path: str) -> None:
    """Make a folder that only its owner can enter, or check that it is one. Raises RuntimeFolderError.

    Its mode is put right where it is ours; a folder of somebody else, a link or a file is refused.
    """
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120
        os.mkdir(path, 0o700)  # noqa: PTH102
    except FileExistsError:
        pass
    except OSError as error:
        raise RuntimeFolderError(f"cannot create {path}: {error.strerror}", hint="set TESTD_RUNTIME_DIR") from error
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise RuntimeFolderError(f"{path} is not a folder", hint="remove it, or set TESTD_RUNTIME_DIR")
    if found.st_uid != os.geteuid():
        raise RuntimeFolderError(
            f"{path} belongs to the user {found.st_uid}, not to {os.geteuid()}", hint="set TESTD_RUNTIME_DIR"
        )
    if stat.S_IMODE(found.st_mode) != 0o700:
        os.chmod(path, 0o700)  # noqa: PTH101


def child_environment(environ: dict[str, str] | None = None) -> dict[str, str]:
    """Copy an environment for a process of ours: what steers Python is left out, so that a project's settings
    (PYTHONPATH, PYTHONWARNINGS…) cannot break the daemon. Where testd itself is found through PYTHONPATH, that stays.
    """
    env = environ if environ is not None else dict(os.environ)
    cleaned = {name: value for name, value in env.items() if not name.startswith("PYTHON")}
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120
    entries = [entry for entry in env.get("PYTHONPATH", "").split(":") if entry.startswith("/")]
    if root in [entry.rstrip("/") for entry in entries]:
        cleaned["PYTHONPATH"] = ":".join(entries)
    return cleaned
