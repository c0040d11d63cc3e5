"""To run a program in this command's place: its input, output, signals and end are as if it had been started itself.

Runs in the client.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess

from testd_daemon.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

__all__ = ["Program", "end_like"]

#: What somebody may send to this process and mean the program.
_PASSED_ON = ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2")
#: What a terminal sends to both.
_OF_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)


class Program:
    """A program and the signals that are meant for it."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        """Start nothing yet."""
        self._command = command
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._early: list[int] = []

    def run(self) -> int:
        """Run it to its end; return its status, negative for the signal that ended it. Raises UsageError."""
        numbers = [getattr(signal, name) for name in _PASSED_ON]
        before = [(number, signal.getsignal(number)) for number in numbers]
        for number, handler in before:
            if handler != signal.SIG_IGN:  # what is ignored here, the program ignores, too
                signal.signal(number, self._take)
        try:
            self._process = self._started()
            for number in self._early:
                self._process.send_signal(number)
            return self._process.wait()
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def _started(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(self._command, env=self._environment, close_fds=False)
        except OSError as error:
            text = f"cannot run {self._command[0]}: {error.strerror}"
            raise UsageError(text, hint="What follows `testd record` is a program and its arguments.") from error

    def _take(self, number: int, frame: FrameType | None) -> None:
        if number in _OF_THE_TERMINAL and _in_foreground():
            return  # the program has it already
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)


def _in_foreground() -> bool:
    """Whether this process is in the group to which its terminal sends signals."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def end_like(status: int) -> int:
    """Return the status to exit with, or end by the signal that has ended the program."""
    if status >= 0:
        return status
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if -status not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return 128 - status
