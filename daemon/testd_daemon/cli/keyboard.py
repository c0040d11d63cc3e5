"""The terminal's keyboard, key by key, while a watch goes on: on, off, and what was pressed.

Runs in the client of a watch; imports what is written in C. Echo and lines are turned off and nothing else is: Ctrl-C
and Ctrl-Z are still signals. Where our process is in the background nothing is turned on, because that would stop it.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios

from testd_daemon.cli.keys import Keys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from testd_daemon.cli.keys import Key

#: Bytes that are read at once: more than anybody types.
_READ_SIZE = 4096
#: Have the terminal mark what is pasted; and not.
_MARK_PASTED, _DO_NOT_MARK = b"\x1b[?2004h", b"\x1b[?2004l"
_LOCAL, _CHARACTERS = 3, 6  # where the local modes and the control characters are in what termios gives


class Keyboard:
    """A terminal that is read key by key between `open` and `close`."""

    def __init__(self, descriptor: int, output: int) -> None:
        """Read from `descriptor`; what turns marks on and off is written to `output`."""
        self.descriptor = descriptor
        self.gone = False  # the terminal was closed
        self._output = output
        self._before: list[Any] | None = None
        self._keys = Keys()

    @property
    def opened(self) -> bool:
        """Whether keys are read."""
        return self._before is not None

    @property
    def waits(self) -> bool:
        """Whether a key may be complete only after a moment without another."""
        return self._keys.waits

    def open(self) -> None:
        """Read keys, if we are in the foreground of the terminal."""
        if self.opened or self.gone or not self._ours():
            return
        with contextlib.suppress(OSError, termios.error):
            before = termios.tcgetattr(self.descriptor)
            modes: list[Any] = [each[:] if isinstance(each, list) else each for each in before]
            modes[_LOCAL] &= ~(termios.ECHO | termios.ICANON)
            modes[_CHARACTERS][termios.VMIN], modes[_CHARACTERS][termios.VTIME] = 1, 0
            self._before = before  # first, so that whatever happens now is undone
            termios.tcsetattr(self.descriptor, termios.TCSANOW, modes)
            os.write(self._output, _MARK_PASTED)

    def close(self) -> None:
        """Give the terminal back as it was."""
        if self._before is None:
            return
        before, self._before = self._before, None
        if not self._ours():
            return
        with contextlib.suppress(OSError, termios.error):
            os.write(self._output, _DO_NOT_MARK)
        with contextlib.suppress(OSError, termios.error):
            termios.tcsetattr(self.descriptor, termios.TCSANOW, before)

    def pressed(self) -> list[Key]:
        """Return the keys that were pressed by now, without waiting."""
        if not self.opened:
            return []
        if not select.select([self.descriptor], (), (), 0)[0]:
            return []
        try:
            data = os.read(self.descriptor, _READ_SIZE)
        except OSError:
            data = b""
        if not data:
            self.gone = True
            self.close()
        return self._keys.feed(data)

    def _ours(self) -> bool:
        """Whether our process is in the terminal's foreground; whoever sets modes from elsewhere is stopped."""
        try:
            return os.tcgetpgrp(self.descriptor) == os.getpgrp()
        except OSError:
            return True  # it is not the terminal that controls us: there is no foreground

    def expire(self) -> list[Key]:
        """Return what was pressed, if nothing more comes: an escape alone."""
        return self._keys.expire()


__all__ = ["Keyboard"]
