"""What is recorded of an exception, and how trampolines stay out of its traceback. Runs in the user's process."""

from __future__ import annotations

import os
import sys

from testd.tracing.names import class_name, message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

__all__ = ["TRAMPOLINE", "Failure", "outside", "step_out"]

#: The file name of a trampoline's code. `warnings` takes frames with these words in their file for the import system's,
#: and does not count them: so a warning is put down to the line that it would be without us.
TRAMPOLINE = "<frozen importlib._bootstrap of testd>"
#: Frames of one exception; of more, those next to where it was raised.
_FRAMES = 50
_OWN = os.path.dirname(os.path.abspath(__file__)) + os.sep
_REMOVABLE = sys.version_info >= (3, 11)


class Failure:
    """An exception as text; the exception itself is not kept, its frames would hold on to what they have."""

    __slots__ = ("kind", "stack", "text")

    def __init__(self, error: BaseException) -> None:
        """Take type, text and frames."""
        self.kind = class_name(type(error))
        self.text = message(error)
        self.stack: list[dict[str, Any]] = []
        entry = error.__traceback__
        while entry is not None:
            code = entry.tb_frame.f_code
            if code.co_filename != TRAMPOLINE:
                self.stack.append({"file": code.co_filename, "line": entry.tb_lineno, "function": code.co_name})
            entry = entry.tb_next
        del self.stack[:-_FRAMES]


def outside(error: BaseException) -> TracebackType | None:
    """Return the traceback from where testd called something on."""
    entry = error.__traceback__
    while entry is not None and entry.tb_frame.f_code.co_filename.startswith((_OWN, TRAMPOLINE)):
        entry = entry.tb_next
    return entry


def step_out(error: BaseException) -> None:
    """Take the frame that handles the exception out of its traceback.

    Before Python 3.11 a frame that raises an exception again is put back: there those are removed that are deeper in,
    and one of ours is left at most.
    """
    entry = error.__traceback__
    if entry is None:
        return
    if _REMOVABLE:
        error.__traceback__ = entry.tb_next
        return
    following = entry.tb_next
    while following is not None and following.tb_frame.f_code.co_filename != TRAMPOLINE:
        entry, following = following, following.tb_next
    if following is not None:
        entry.tb_next = following.tb_next
