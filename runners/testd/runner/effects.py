"""What code does to the world outside of its process, seen before it happens: by the interpreter's own audit events.

Runs in a process that ends when it meets one (see `rehearsal.py`), because an audit hook stays, and costs each event.
Reading is no effect, and neither is what the interpreter and pytest keep for themselves: compiled code.
"""

import os
import sys
from typing import Any, Callable, Tuple

__all__ = ["effect", "watch"]

#: Starts of the names of events that are effects whatever their arguments.
_ALWAYS = (
    "subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.startfile", "os.kill",
    "pty.spawn", "socket.connect", "socket.bind", "socket.send", "socket.getaddrinfo", "socket.gethost",
    "sqlite3.connect", "urllib.Request", "http.client.connect", "ftplib.", "imaplib.", "nntplib.", "poplib.",
    "smtplib.", "telnetlib.", "syslog.", "webbrowser.open", "signal.pthread_kill", "fcntl.flock", "fcntl.lockf",
    "shutil.", "tempfile.mk",
)  # fmt: skip
#: Events about the paths that they name.
_ON_PATHS = (
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.utime", "os.chmod",
    "os.chown", "os.chflags", "os.lchown", "os.setxattr", "os.removexattr", "os.lockf",
)  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: The standard library finds the folder for temporary files by making one, which it removes in the same moment.
_TRIES_FOLDERS = "_get_default_tempdir"
_COMPILED = "__pycache__"
_getframe = sys._getframe  # taken before user code can replace it


def watch(stop: "Callable[[str], None]") -> None:
    """Call `stop` with the first effect, before it happens, as often as there is one. Stays for good."""

    def hear(event: str, arguments: "Tuple[Any, ...]") -> None:
        found = effect(event, arguments)
        if found and _getframe(1).f_code.co_name != _TRIES_FOLDERS:
            stop(found)

    sys.addaudithook(hear)


def effect(event: str, arguments: "Tuple[Any, ...]") -> str:
    """Return what an event would do to the outside, nothing where it does nothing."""
    if event == "open":
        return _opening(*arguments)
    if event.startswith(_ALWAYS):
        return f"{event} {arguments[0]!r}" if arguments else event
    if event.startswith(_ON_PATHS):
        paths = [path for path in map(_text, arguments[:2]) if path]
        harmless = all(_COMPILED in path for path in paths) or (event == "os.mkdir" and os.path.isdir(paths[0]))
        return "" if paths and harmless else f"{event} {', '.join(paths)}"
    return ""


def _opening(path: Any, mode: Any, flags: Any) -> str:
    text = _text(path)
    writes = (isinstance(mode, str) and set(mode) & set("wax+")) or (isinstance(flags, int) and flags & _WRITING)
    if not writes or not text or text == os.devnull or _COMPILED in text:
        return ""
    if os.path.isdir(text):  # a file without a name in there, which nobody else can see; anything else fails
        return ""
    return f"{text} is opened to write"


def _text(path: Any) -> str:
    """Return a path as text, nothing for a descriptor."""
    return os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
