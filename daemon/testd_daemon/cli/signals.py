"""The signals of a command that stays: those that end it, and those with which a terminal stops, goes on and resizes.

Runs in the client of a watch. What came is written into a pipe, which the loop of the watch waits for together with
the daemon's connection and the keyboard: nothing happens inside of a handler.
"""

from __future__ import annotations

import contextlib
import os

from testd_daemon.cli.interrupts import Interrupts

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from types import FrameType

    from typing_extensions import Self
else:
    import _signal as signal

#: Ctrl-Z, and what a shell's `fg` sends. The kernel tells of a new size with the third.
STOP, GO_ON, RESIZE = signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH


class Signals(Interrupts):
    """Own the signals inside a `with` block; `descriptor` can be read when some came, and `taken` says which."""

    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def __init__(self) -> None:
        """Start with nothing asked for."""
        super().__init__()
        self.descriptor, self._written = os.pipe()

    def __enter__(self) -> Self:
        """Take the signals over, except what our parent wants ignored (`nohup`, a shell without job control)."""
        for descriptor in (self.descriptor, self._written):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._written, warn_on_full_buffer=False)
        for number in (*self.ending, STOP, GO_ON, RESIZE):
            if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
                handler = self._take if number in self.ending else _note
                self._before.append((number, signal.signal(number, handler)))
        return self

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        super().__exit__()
        signal.set_wakeup_fd(-1)
        for descriptor in (self.descriptor, self._written):
            os.close(descriptor)

    def taken(self) -> bytes:
        """Say which signals came since this was asked: a byte each, in order."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self.descriptor, 1024)
        return b""

    @staticmethod
    def stop() -> None:
        """Stop this process, as Ctrl-Z does; return when it goes on."""
        handler = signal.signal(STOP, signal.SIG_DFL)
        os.kill(os.getpid(), STOP)
        signal.signal(STOP, handler)


def _note(number: int, frame: FrameType | None) -> None:
    """Do nothing: the number has been written into the pipe."""


__all__ = ["GO_ON", "RESIZE", "STOP", "Signals"]
