"""To be connected: what is recorded in this process goes to the daemon. Runs in the user's process.

`TESTD_TRACE` in the environment turns it on: `1`, or what `testd record` sets, a map as JSON.
"""

from __future__ import annotations

import atexit
import os
import sys

from testd.daemon_socket import socket_path
from testd.tracing.configured import configured
from testd.tracing.options import Options
from testd.tracing.selection import SelectionError
from testd.tracing.sending.sender import Sender
from testd.tracing.sinks import Installed
from testd.workspace import find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from testd.tracing.modules import TracedModules

__all__ = ["Connection", "connect", "connect_by_environment"]

VARIABLE = "TESTD_TRACE"
#: Seconds that the end of the process may wait for what is on its way.
WAIT = 2.0
_OFF = ("", "0", "false", "no", "off")
_ON = ("1", "true", "yes", "on")
_connection: Connection | None = None


class Connection:
    """What `connect` has begun, until `close` or the end of the process."""

    def __init__(self, sender: Sender, options: Options, traced: TracedModules | None, wait: float) -> None:
        """Begin to record roots for the sender."""
        self.sender = sender
        self._wait = wait
        self._traced = traced
        self._installed: Installed | None = Installed(sender.send, options)

    def close(self) -> None:
        """Record no more, and send what there is: at most so long as the process may wait at its end."""
        global _connection
        installed, self._installed = self._installed, None
        if installed is None:
            return
        installed.close()
        if self._traced is not None:
            self._traced.remove()
            if self.sender.recording:  # `testd record` has been asked for it, and this is where its report begins
                sys.stderr.write("".join(f"testd: {problem}\n" for problem in self._traced.problems))
        self.sender.finish(self._wait)
        if _connection is self:
            _connection = None


def connect(
    trace: Mapping[str, Any] | None = None,
    *,
    workspace: str = "",
    recording: str = "",
    wait: float = WAIT,
) -> Connection:
    """Send the root calls of this process to the daemon, when one is there; if it is connected already, stay so.

    `trace` is what `[tool.testd.trace]` would be, and says which modules are traced beside what is decorated.
    `workspace` is the folder of the project, found from the current one where it is not given. `wait` is how many
    seconds the end of the process may take for what is on its way.

    Raises:
        SelectionError: the table cannot be read.

    """
    global _connection
    if _connection is None:
        selection, options = configured(trace or {})
        traced = None
        if selection.get("modules"):
            from testd.tracing.modules import trace_modules

            traced = trace_modules(selection)
        sender = Sender(socket_path(os.environ), os.path.abspath(workspace) if workspace else _here(), recording)
        _connection = Connection(sender, options, traced, wait)
        _hook()
    return _connection


def connect_by_environment() -> None:
    """Connect if the environment says so, once, unless this is a process of the daemon itself. Never raises."""
    said = os.environ.get(VARIABLE, "").strip()
    if said.lower() in _OFF or "testd.runner" in sys.modules or _hooked:  # the last: the program has connected itself
        return
    try:
        connect(**_settings(said))
    except (SelectionError, ValueError, TypeError) as error:
        sys.stderr.write(f"testd: {VARIABLE}: {error}; nothing is traced. Right is 1, or what testd record sets\n")
    except Exception as error:  # it is not what the program is there for
        sys.stderr.write(f"testd: nothing is traced: {type(error).__name__}: {error}\n")


def _settings(said: str) -> dict[str, Any]:
    if said.lower() in _ON:
        return {}
    import json

    settings = json.loads(said)
    if not isinstance(settings, dict):
        raise ValueError(f"{said!r} is no map")
    return settings


def _here() -> str:
    return find(os.getcwd())[0]


_hooked = False


def _hook() -> None:
    """Take part in the end of this process, and in its forks."""
    global _hooked
    if _hooked:
        return
    _hooked = True
    atexit.register(_at_exit)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)


def _at_exit() -> None:
    if _connection is not None:
        _connection.close()


def _before_fork() -> None:
    if _connection is not None:
        _connection.sender.stand_back()
        multiprocessing = sys.modules.get("multiprocessing.util")
        if multiprocessing is not None:  # its processes end without what `atexit` has
            multiprocessing.register_after_fork(_connection, _in_process)


def _in_process(connection: Connection) -> None:
    """Take part in the end of a process of `multiprocessing`, as the last to do so."""
    sys.modules["multiprocessing.util"].Finalize(None, connection.close, exitpriority=-100)


def _in_parent() -> None:
    if _connection is not None:
        _connection.sender.go_on()


def _in_child() -> None:
    if _connection is not None:
        _connection.sender.begin_anew()
