"""Start the handler in the background. Runs in the client, and only when nobody listens.

The handler tells through a pipe that it listens, or why it cannot; if it says nothing, the tail of its log is shown.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time

from testd_daemon.errors import HandlerUnavailable
from testd_daemon.runtime import Folders, child_environment

__all__ = ["HANDLER_COMMAND", "START_DEADLINE", "start_handler"]

#: Seconds for a handler to be started and to listen, on a slow machine that has just been switched on.
START_DEADLINE = 15.0
#: What is started.
HANDLER_COMMAND = (sys.executable, "-m", "testd_daemon.handler")
_TAIL_BYTES = 4096
_TAIL_LINES = 20


def start_handler(folders: Folders, deadline: float = START_DEADLINE) -> None:
    """Start a handler that outlives us, and wait until it, or another one, listens. Raises HandlerUnavailable."""
    arguments = ["--private", folders.runtime] if folders.ephemeral else []
    os.makedirs(os.path.dirname(folders.log), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120  as in runtime.py
    ours, theirs = os.pipe()
    try:
        try:
            _spawn(folders, [*arguments, "--detach", "--ready-fd", str(theirs)], theirs)
        finally:
            os.close(theirs)
        answer = _read_answer(ours, deadline)
    finally:
        os.close(ours)
    if not answer.startswith("ready"):
        raise _failure(folders, answer, deadline)


def _spawn(folders: Folders, arguments: list[str], ready_fd: int) -> None:
    """Start the process. It puts itself into the background at once, so what we wait for here takes no time."""
    log = os.open(folders.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        subprocess.run(
            [*HANDLER_COMMAND, *arguments],
            env=_environment(folders),
            cwd="/",  # -m puts the working directory on the path: a project's own modules must not be found there
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[ready_fd],
            timeout=START_DEADLINE,
            check=False,  # what went wrong is on the pipe or in the log
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HandlerUnavailable(f"the daemon could not be started: {error}") from error
    finally:
        os.close(log)


def _environment(folders: Folders) -> dict[str, str]:
    """Make the handler's environment: it must use the very folders that we look in."""
    env = child_environment()
    if not folders.ephemeral:
        env |= {"TESTD_RUNTIME_DIR": folders.runtime, "TESTD_STATE_DIR": folders.state}
    return env | {"TESTD_CACHE_DIR": folders.cache}


def _read_answer(descriptor: int, deadline: float) -> str:
    until = time.monotonic() + deadline
    answer = b""
    while not answer.endswith(b"\n"):
        rest = max(0.0, until - time.monotonic())
        if not select.select([descriptor], (), (), rest)[0]:
            return "timeout"
        data = os.read(descriptor, _TAIL_BYTES)
        if not data:
            break
        answer += data
    return answer.decode("utf-8", "replace").strip()


def _failure(folders: Folders, answer: str, deadline: float) -> HandlerUnavailable:
    if answer.startswith("error: "):
        text, _, hint = answer[len("error: ") :].partition("\n")
        return HandlerUnavailable(f"the daemon could not start: {text}", hint=hint)
    why = f"it was not ready after {deadline:g} s" if answer == "timeout" else "it ended at once"
    hint = f"its log is {folders.log}"
    return HandlerUnavailable(f"the daemon could not start: {why}", hint=hint, detail=_tail(folders.log))


def _tail(path: str) -> str:
    """Read the last lines of the log."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-_TAIL_LINES:])
