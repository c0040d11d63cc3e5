"""A person at a terminal: types, and looks at the glass until it shows what is waited for."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

from fake_handler import DEADLINE

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from glass import Glass


class Typist:
    """A command in a terminal of its own, in a session of its own: as a shell would start it."""

    def __init__(self, command, *, columns=80, rows=24, stdin=None, **options):
        self.controller, self._terminal = pty.openpty()
        self.glass = Glass(columns, rows)
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self._terminal)
        self.process = subprocess.Popen(
            command,
            stdin=self._terminal if stdin is None else stdin,
            stdout=self._terminal,
            stderr=self._terminal,
            start_new_session=True,
            preexec_fn=self._control,
            **options,
        )
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._rest = ""  # a sequence that is not all there

    def _control(self):
        fcntl.ioctl(1, termios.TIOCSCTTY, 0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)
        os.close(self.controller)
        os.close(self._terminal)

    @property
    def modes(self):
        return termios.tcgetattr(self._terminal)

    def resize(self, columns, rows):
        fcntl.ioctl(self.controller, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.glass.columns = columns

    def type(self, keys):
        os.write(self.controller, keys if isinstance(keys, bytes) else keys.encode())

    def until(self, seen, *, gone=False):
        """Read what the command writes until the glass shows a text, or until it does not."""
        end = time.monotonic() + DEADLINE
        while (seen in "\n".join(self.glass.seen())) == gone:
            assert time.monotonic() < end, f"not {'gone' if gone else 'seen'}: {seen}\n" + "\n".join(self.glass.seen())
            self._read(0.1)
        return self.glass.seen()

    def look(self, seconds):
        """Read what the command writes in the next seconds."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._read(left)

    def ended(self):
        """Wait for the end of the command; return its exit status and all that was ever to be seen."""
        end = time.monotonic() + DEADLINE
        while self.process.poll() is None:
            assert time.monotonic() < end, "it does not end\n" + "\n".join(self.glass.seen())
            self._read(0.1)
        while self._read(0):
            pass
        return self.process.returncode, self.glass.everything()

    def _read(self, seconds):
        if not select.select([self.controller], (), (), seconds)[0]:
            return False
        text = self._rest + self._decoder.decode(os.read(self.controller, 65536))
        self._rest = re.search(r"(\x1b(\[[?0-9;]*)?)?$", text)[0]
        self.glass.feed(text.removesuffix(self._rest))
        return True
