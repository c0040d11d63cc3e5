"""A command on a terminal of its own, as a person has it: for tests of what keys and terminals do."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Terminal"]

#: Seconds for what is expected to appear, on a machine that is busy with other tests.
DEADLINE = 120.0


class Terminal:
    """A process with a controlling terminal. Leaving the block kills it, if it has not ended."""

    def __init__(
        self, argv: Sequence[str], cwd: Path, environment: Mapping[str, str], columns: int = 80, rows: int = 24
    ) -> None:
        self.output = b""
        self._place = 0  # behind what was expected last
        self.status: int | None = None
        self.pid, self._master = pty.fork()
        if not self.pid:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                os.chdir(cwd)
                os.execve(argv[0], list(argv), dict(environment))
            finally:
                os._exit(127)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._master)

    def expect(self, text: bytes) -> None:
        """Wait until the terminal shows `text`, beyond what was expected before."""
        give_up = time.monotonic() + DEADLINE
        while (found := self.output.find(text, self._place)) < 0:
            assert time.monotonic() < give_up, (text, self.output)
            assert self._read(), (text, self.output)
        self._place = found + len(text)

    def send(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self._master, keys)

    def finish(self) -> int:
        """Read to the end and return the wait status."""
        while self._read():
            pass
        _, self.status = os.waitpid(self.pid, 0)
        return self.status

    def _read(self) -> bool:
        """Take what is there, or wait for it; say whether more may come."""
        if not select.select([self._master], [], [], DEADLINE)[0]:
            raise AssertionError(f"nothing came for {DEADLINE} s: {self.output!r}")
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux: nobody has the other side open
            return False
        self.output += data
        return bool(data)
