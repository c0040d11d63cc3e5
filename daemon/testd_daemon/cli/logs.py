"""`testd logs`: what the handler has logged, and with -f what it logs from now on.

Runs in the client; reads the file, asks nobody, so that it works when the daemon does not.
"""

from __future__ import annotations

import os
import sys
import time

from testd_daemon import runtime
from testd_daemon.cli.arguments import at_least

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from testd_daemon.cli.arguments import Options, Parser

OPERANDS = None
EPILOG = "Ctrl-C ends following."
#: How often a followed log is looked at (seconds).
LOOK_EVERY = 0.2
_BLOCK = 64 * 1024


def arguments(parser: Parser) -> None:
    """Add what `testd logs` takes."""
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what is logged from now on")
    parser.add_argument("-n", "--lines", type=at_least(0), default=200, metavar="N", help="the last N lines (200)")
    parser.add_argument("--path", action="store_true", help="only say which file it is")


def main(options: Options) -> int:
    """Show the log's end."""
    path = runtime.folders().log
    if options.path:
        sys.stdout.write(f"{path}\n")
        return 0
    out = sys.stdout.buffer
    file = _open(path)
    if file is None:
        sys.stderr.write(f"nothing has been logged yet ({path})\n")
        if not options.follow:
            return 0
    try:
        if file is not None:
            out.write(tail(file, options.lines))
            out.flush()
        while options.follow:
            file = _go_on(path, file, out)
            time.sleep(LOOK_EVERY)
    except KeyboardInterrupt:  # the way to end it
        pass
    finally:
        if file is not None:
            file.close()
    return 0


def tail(file: BinaryIO, lines: int) -> bytes:
    """Read the last lines of a file and leave it at its end. Reads from the end: a log may be large."""
    position = file.seek(0, os.SEEK_END)
    found = b""
    while position > 0 and found.count(b"\n") <= lines:
        size = min(_BLOCK, position)
        position = file.seek(position - size)
        found = file.read(size) + found
    file.seek(0, os.SEEK_END)
    kept = found.splitlines(keepends=True)
    return b"".join(kept[len(kept) - lines :] if lines < len(kept) else kept)


def _go_on(path: str, file: BinaryIO | None, out: BinaryIO) -> BinaryIO | None:
    """Copy what was added. When the log was rotated, read the old file to its end and go on with the new one."""
    if file is not None:
        data = file.read()
        if data:
            out.write(data)
            out.flush()
            return file
        try:
            now, then = os.stat(path), os.fstat(file.fileno())  # noqa: PTH116 - as in run
        except OSError:
            return file
        if (now.st_dev, now.st_ino) == (then.st_dev, then.st_ino):
            if now.st_size < file.tell():
                file.seek(0)  # truncated in place
            return file
        file.close()
    return _open(path)


def _open(path: str) -> BinaryIO | None:
    try:
        return open(path, "rb")  # noqa: PTH123 - the caller closes it
    except FileNotFoundError:
        return None


__all__ = ["EPILOG", "LOOK_EVERY", "OPERANDS", "arguments", "main", "tail"]
