"""Frames: a length of four bytes, big-endian, then that many bytes of one message. No I/O here.

Used on every link by every process; imports nothing but `struct`. What reads a descriptor feeds the bytes in, in
whatever pieces they come, and takes out payloads (`frames`) or whole raw frames (`whole`).
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False  # `typing` takes milliseconds to import; only checkers need it
if TYPE_CHECKING:
    from typing import List

__all__ = ["HEADER", "MAX_FRAME", "FrameBuffer", "FrameError", "frame"]

#: The most bytes that one payload may have.
MAX_FRAME = 16 * 1024 * 1024
#: The bytes of a frame in front of its payload.
HEADER = 4

_length = struct.Struct(">I")
_pack = _length.pack
_read = _length.unpack_from


class FrameError(ValueError):
    """A length that no frame has: the two sides are out of step, or the other one is not testd. The link is lost."""


def frame(payload: bytes) -> bytes:
    """Return `payload` with its length in front.

    Raises:
        FrameError: no bytes at all, or more than `MAX_FRAME`.

    """
    size = len(payload)
    if not 0 < size <= MAX_FRAME:
        raise _bad_length(size)
    return _pack(size) + payload


class FrameBuffer:
    """Bytes as they arrived, and the frames that are complete in them.

    A frame that comes in many pieces is joined once; many frames in one piece are cut from it without another copy.
    """

    __slots__ = ("_need", "_pieces", "_size")

    def __init__(self) -> None:
        """Begin at the start of a frame."""
        self._pieces: List[bytes] = []
        self._size = 0
        self._need = HEADER  # how many bytes must be here before there can be anything new to take out

    def __len__(self) -> int:
        """Return how many bytes wait here. At the end of a stream, anything but 0 is a frame that was cut off."""
        return self._size

    @property
    def waiting(self) -> bytes:
        """Return what waits here: where it is no frame, what it is tells who sent it."""
        return self._joined() if self._pieces else b""

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Add what was read."""
        if data:
            self._pieces.append(data if type(data) is bytes else bytes(data))
            self._size += len(data)

    def frames(self) -> List[bytes]:
        """Take out the payloads of all complete frames, oldest first.

        Raises:
            FrameError: the next frame's length is impossible. Frames before it were returned by the call before.

        """
        found: List[bytes] = []
        if self._size < self._need:
            return found
        data = self._joined()
        at, size = 0, len(data)
        while size - at >= HEADER:
            length = _read(data, at)[0]
            if not 0 < length <= MAX_FRAME:
                if found:
                    break
                raise _bad_length(length)
            end = at + HEADER + length
            if end > size:
                break
            found.append(data[at + HEADER : end])
            at = end
        self._keep(data, at)
        return found

    def whole(self) -> bytes:
        """Take out all complete frames as they are, headers included, in one piece: to be forwarded unread.

        Raises:
            FrameError: as `frames`.

        """
        if self._size < self._need:
            return b""
        data = self._joined()
        at, size = 0, len(data)
        while size - at >= HEADER:
            length = _read(data, at)[0]
            if not 0 < length <= MAX_FRAME:
                if at:
                    break
                raise _bad_length(length)
            if at + HEADER + length > size:
                break
            at += HEADER + length
        self._keep(data, at)
        return data if at == size else data[:at]

    def _joined(self) -> bytes:
        if len(self._pieces) > 1:
            self._pieces = [b"".join(self._pieces)]
        return self._pieces[0]

    def _keep(self, data: bytes, at: int) -> None:
        """Forget what is in front of `at`, and note how much the frame that begins there needs."""
        self._size = len(data) - at
        self._pieces = [] if not self._size else [data[at:] if at else data]
        length = _read(data, at)[0] if self._size >= HEADER else 0
        self._need = HEADER + length if length <= MAX_FRAME else HEADER


def _bad_length(length: int) -> FrameError:
    if not length:
        return FrameError("a frame of 0 bytes: every frame carries a message")
    return FrameError(f"a frame of {length} bytes (0x{length:08x}): the most is {MAX_FRAME}")
