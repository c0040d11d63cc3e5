"""Room on the stack for what recording adds to it. Runs in the user's process.

A recorded call has one frame more than a plain one. The recursion limit follows: by one for each level of recorded
calls that has been reached, so that a program gets as deep as it would, and stops where it would. A limit that the
program sets itself meanwhile stays as it sets it.
"""

from __future__ import annotations

import sys
import threading

__all__ = ["deepen", "deepest", "make_room", "take_back_room"]

#: Frames that recording itself takes at the deepest point.
_ROOM = 100
_lock = threading.Lock()
deepest = 0  #: levels for which there is room
_recordings = 0
_limit = 0  # as it was set here last
_added = 0


def make_room() -> None:
    """Begin to make room: something records."""
    global _recordings
    with _lock:
        _recordings += 1
        if _recordings == 1:
            _add(_ROOM)


def deepen(depth: int) -> None:
    """Make room for that many recorded calls inside of each other."""
    global deepest
    with _lock:
        if _recordings and depth > deepest:
            more, deepest = depth - deepest, depth
            _add(more)


def take_back_room() -> None:
    """Set the limit to what it was when the last recording is over."""
    global _recordings, deepest, _added
    with _lock:
        _recordings -= 1
        if _recordings == 0:
            if sys.getrecursionlimit() == _limit:
                sys.setrecursionlimit(_limit - _added)
            deepest = _added = 0


def _add(frames: int) -> None:
    global _limit, _added
    limit = sys.getrecursionlimit()
    if limit != _limit:  # the program's own
        _added = 0
    sys.setrecursionlimit(limit + frames)
    _limit = limit + frames
    _added += frames
