"""Capture of descriptors 1 and 2 while a test runs, kept on disk and cut to a limit.

Runs in the worker, beside user code. Imports `os` and `sys` only, `io` and `tempfile`'s job are done by hand: every
import here would be paid by each start. A test may print a gigabyte, close descriptor 1 or put something of its own
into `sys.stdout`; none of that may reach the next test.
"""

from __future__ import annotations

import io
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Capture", "clean", "flush", "read_limited", "shorten"]

#: Where an unlinked file may be made, in this order; TMPDIR comes first.
_FOLDERS = ("/tmp", "/var/tmp", ".")  # noqa: S108 (the file has no name by the time anybody could open it)


class Capture:
    """Everything that is written to descriptors 1 and 2, and to `sys.stdout` and `sys.stderr`, between two `take`s.

    `limit` is in bytes, for each of the two texts; 0 keeps nothing but the note of how much there was.
    `stdout_fd` and `stderr_fd` are where the descriptors led before `start` (-1: they were closed).
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.stdout_fd = -1
        self.stderr_fd = -1
        self._out: _Stream | None = None
        self._err: _Stream | None = None

    def start(self) -> None:
        """Begin to capture. What was written before and is still in a buffer goes where it was meant to go."""
        if self._out is not None:
            return
        self._out = out = _Stream(1, "stdout")
        self._err = err = _Stream(2, "stderr")
        self.stdout_fd, self.stderr_fd = out.saved, err.saved

    def take(self) -> tuple[str, str]:
        """Return what was written to stdout and stderr since the last call, each cut to the limit."""
        if self._out is None or self._err is None:
            return "", ""
        return self._out.take(self.limit), self._err.take(self.limit)

    def stop(self) -> None:
        """Put descriptors and streams back as they were before `start`. What was not taken is lost."""
        out, err = self._out, self._err
        self._out = self._err = None
        self.stdout_fd = self.stderr_fd = -1
        for stream in (out, err):
            if stream is not None:
                stream.stop()


class _Stream:
    """One captured descriptor: a file without a name behind it, and a text stream in `sys` that writes through."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self._name = name
        self._before: Any = getattr(sys, name)
        flush(self._before)
        self._file = _above_2(_unlinked_file())
        try:
            self.saved = _above_2(os.dup(fd))
        except OSError:
            self.saved = -1  # was closed; it will be closed again
        status = os.fstat(self._file)
        self._identity = (status.st_dev, status.st_ino)
        os.dup2(self._file, fd)
        self._stream = self._replace()

    def take(self, limit: int) -> str:
        stream: Any = getattr(sys, self._name, None)
        replaced = stream is not self._stream or stream.closed
        if replaced:
            flush(stream)  # it may lead here, and hold text back
        try:
            status = os.fstat(self._fd)
        except OSError:
            status = self._redirect()
        else:
            if (status.st_dev, status.st_ino) != self._identity:
                status = self._redirect()
        if replaced:
            self._stream = self._replace()
        if not status.st_size:
            return ""
        text = read_limited(self._file, limit)
        os.ftruncate(self._file, 0)
        return text

    def stop(self) -> None:
        setattr(sys, self._name, self._before)
        if self.saved >= 0:
            os.dup2(self.saved, self._fd)
            os.close(self.saved)
        else:
            os.close(self._fd)
        os.close(self._file)

    def _redirect(self) -> os.stat_result:
        """Lead the descriptor back into the file: a test closed it, or sent it elsewhere and left it there."""
        os.dup2(self._file, self._fd)
        return os.fstat(self._file)

    def _replace(self) -> Any:
        # Nothing is buffered: a crash loses nothing, and text keeps its place among what C code and children write.
        # On the descriptor itself, so that `sys.stdout.fileno()` is 1 as in a plain process.
        raw = io.FileIO(self._fd, "w", closefd=False)
        stream: Any = io.TextIOWrapper(
            raw,  # a raw stream is enough to write through
            encoding="utf-8", errors="backslashreplace", newline="", write_through=True,
        )
        stream.mode = "w"  # some libraries look at it
        setattr(sys, self._name, stream)
        return stream


def read_limited(fd: int, limit: int) -> str:
    """Return the contents of the file behind `fd` as text: at most `limit` bytes, from its beginning and its end.

    A line between them says how many bytes were left out. Bytes that are not UTF-8 become U+FFFD. The file's position
    does not move.
    """
    size = os.fstat(fd).st_size
    if size <= limit:
        return _read(fd, size, 0).decode("utf-8", "replace")
    half = limit // 2
    return _join(_read(fd, half, 0), _read(fd, limit - half, size - (limit - half)), size)


def shorten(text: str, limit: int) -> str:
    """Return `text` in at most `limit` bytes of UTF-8 (and a line that says how many were left out), valid Unicode."""
    if len(text) * 4 <= limit:
        return clean(text)
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= limit:
        return data.decode()
    half = limit // 2
    return _join(data[:half], data[len(data) - (limit - half):], len(data))


def clean(text: str) -> str:
    """Return `text` with what UTF-8 cannot carry (lone surrogates) escaped: nothing else may enter a message."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode()
    return text


def _join(head: bytes, tail: bytes, size: int) -> str:
    """Return both parts as text, cut where characters begin, with the number of bytes between them that are missing."""
    head, tail = head[:_whole(head)], tail[_continuation(tail):]
    left_out = size - len(head) - len(tail)
    above, below = head.decode("utf-8", "replace"), tail.decode("utf-8", "replace")
    lead = "" if not above or above.endswith("\n") else "\n"
    return f"{above}{lead}[... {left_out} bytes left out ...]\n{below}"


def _whole(data: bytes) -> int:
    """Return the length of `data` without an incomplete character at its end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return len(data) - back if needed > back else len(data)
        if byte < 0x80:
            break
    return len(data)


def _continuation(data: bytes) -> int:
    """Return how many bytes at the start of `data` belong to a character that began before it."""
    count = 0
    while count < min(3, len(data)) and 0x80 <= data[count] < 0xC0:
        count += 1
    return count


def _read(fd: int, size: int, offset: int) -> bytes:
    """Read exactly `size` bytes at `offset`, less only at the end of the file."""
    parts = []
    while size > 0:
        part = os.pread(fd, size, offset)
        if not part:
            break
        parts.append(part)
        size -= len(part)
        offset += len(part)
    return b"".join(parts)


def _unlinked_file() -> int:
    """Open a new file that has no name: nobody else opens it, and nothing is left when the process dies."""
    # O_APPEND: a child that still writes after the file was emptied must not leave a hole of zeros in front.
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
    problem: OSError | None = None
    for folder in (os.environ.get("TMPDIR"), *_FOLDERS):
        if not folder:
            continue
        path = os.path.join(folder, f"testd-capture-{os.getpid()}-{os.urandom(6).hex()}")
        try:
            fd = os.open(path, flags, 0o600)
        except OSError as exc:
            problem = exc
            continue
        os.unlink(path)
        return fd
    raise OSError(
        problem.errno if problem else 0,
        "no folder for a temporary file of captured output; tried TMPDIR, " + ", ".join(_FOLDERS),
    )


def _above_2(fd: int) -> int:
    """Move a descriptor out of the range 0 to 2, which it gets where one of those was closed."""
    if fd > 2:
        return fd
    import fcntl  # rarely needed

    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    os.close(fd)
    return moved


def flush(stream: Any) -> None:
    """Flush a stream that may be anything: user code's, closed, or None."""
    try:  # noqa: SIM105 (contextlib would be an import)
        stream.flush()
    except Exception:  # noqa: S110 (a broken stream of one test must not break the next)
        pass
