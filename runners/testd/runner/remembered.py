"""A dictionary that outlives the processes which fill it: those forked from one another share it.

A stem ends when files change under it, and what it has found out would be lost with it. Here it is kept in memory that
all of them have inherited. Keys are hashes, which are the same in all processes of one interpreter's start. Standard
library only.
"""

import marshal
import mmap
import struct
import zlib
from typing import Any, Dict

__all__ = ["Remembered"]

#: Bytes; those that nobody has written to take no memory.
_SIZE = 8 * 1024 * 1024
_END = struct.Struct("<I")  # where the next page begins, at the very beginning
_PAGE = struct.Struct("<II")  # a page's length and checksum, in front of it: two may have written at the same time


class Remembered:
    """What this process has found, and what others had when it last looked. Values are what `marshal` takes."""

    def __init__(self) -> None:
        """Make the memory: before the first fork."""
        self._known: Dict[int, Any] = {}
        self._new: Dict[int, Any] = {}
        self._memory = mmap.mmap(-1, _SIZE)
        self._read = _END.size
        _END.pack_into(self._memory, 0, self._read)

    def get(self, key: int) -> Any:
        """Return what was found; None is nothing."""
        return self._known.get(key)

    def put(self, key: int, value: Any) -> None:
        """Take what was found."""
        self._known[key] = self._new[key] = value

    def load(self) -> None:
        """Take what other processes have saved."""
        (end,) = _END.unpack_from(self._memory)
        while self._read < end:
            length, checksum = _PAGE.unpack_from(self._memory, self._read)
            begin = self._read + _PAGE.size
            page = self._memory[begin : begin + length]
            if len(page) != length or zlib.crc32(page) != checksum:
                return
            self._known.update(marshal.loads(page))  # noqa: S302  our own, with its checksum
            self._read = begin + length

    def save(self) -> None:
        """Give to others what was found in this process, for as long as there is room."""
        if not self._new:
            return
        page = marshal.dumps(self._new)
        self._new.clear()
        (end,) = _END.unpack_from(self._memory)
        begin = end + _PAGE.size
        if begin + len(page) > _SIZE:
            return
        _PAGE.pack_into(self._memory, end, len(page), zlib.crc32(page))
        self._memory[begin : begin + len(page)] = page
        _END.pack_into(self._memory, 0, begin + len(page))
