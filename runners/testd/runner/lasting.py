"""What counts for more than the test in which it is used: what functions use that keep what they made.

What such a function keeps in an object that it was given (`memos.py`) goes with that object: it lasts only if the
object can still be reached at the end of the test. Runs in stems and workers. Standard library only.
"""

import sys
from types import CodeType, FrameType, FunctionType
from typing import Any, Dict, FrozenSet, List, Optional, Set, Tuple

from testd.runner.reachable import Reference, is_namespace, reachable

__all__ = ["Lasting", "Span", "definitions", "is_text", "objects"]

_threads = sys._current_frames  # taken before user code can replace it


class Span:
    """What was used between two moments: code, files, folders, or maybe everything."""

    __slots__ = ("codes", "everything", "files", "folders")

    def __init__(self) -> None:
        """Begin with nothing."""
        self.codes: Set[int] = set()
        self.files: Set[str] = set()
        self.folders: Set[str] = set()
        self.everything = False

    def add(self, other: "Span") -> None:
        """Take what another one has."""
        self.codes |= other.codes
        self.files |= other.files
        self.folders |= other.folders
        self.everything = self.everything or other.everything

    def has(self, other: "Span") -> bool:
        """Tell whether another one adds nothing."""
        return (
            other.codes <= self.codes
            and other.files <= self.files
            and other.folders <= self.folders
            and self.everything >= other.everything
        )


class Lasting:
    """Who is inside of such functions now, and what is used there. The caller sees to it that threads take turns.

    Attributes:
        all: what lasts, code by its identities.
        now: what has been used since somebody was inside.
    """

    def __init__(self) -> None:
        """Have nobody inside."""
        self.all = Span()
        self.now = Span()
        self._calls: Dict[int, List[bool]] = {}  # by thread: of each call, whether it is certain
        self._certain = 0
        self._holders: Optional[List[Reference]] = []  # what keeps `now`; None: that lasts for certain
        self._held: List[Tuple[List[Reference], Span]] = []  # of this test: what was used, and what keeps it

    @property
    def inside(self) -> bool:
        """Whether anybody is inside."""
        return bool(self._calls)

    @property
    def certain(self) -> bool:
        """Whether anybody is inside of a function that keeps what it makes elsewhere than in objects."""
        return self._certain > 0

    def enter(self, thread: int, holders: "Optional[List[Reference]]") -> None:
        """A thread enters such a function, which keeps what it makes in objects: references to these, or None."""
        if not self._calls:
            self._holders = []
        self._calls.setdefault(thread, []).append(holders is None)
        if holders is None:
            self._certain += 1
        else:
            self.hold(holders)

    def hold(self, holders: "Optional[List[Reference]]") -> None:
        """These keep, too, what has been made since somebody was inside; or None."""
        if holders is None or self._holders is None:
            self._holders = None
        else:
            self._holders += holders

    def leave(self, thread: int) -> None:
        """A thread leaves one. If nobody is inside any more and `now` is complete, `passed` follows."""
        calls = self._calls.get(thread)
        if calls:
            self._certain -= calls.pop()
            if not calls:
                del self._calls[thread]

    def passed(self) -> None:
        """Nobody is inside any more, and `now` has all that was used."""
        if self._holders is None:
            self.all.add(self.now)
        else:
            self._held.append((self._holders, self.now))
        self.now = Span()

    def settle(self) -> None:
        """A test has ended: what objects keep that are still there lasts, and so does what a thread is still at."""
        if self._calls:
            self._holders = None
            self.all.add(self.now)
        held = [(holder, span) for holders, span in self._held if not self.all.has(span) for holder in holders]
        for (_, span), there in zip(held, _there([holder for holder, _ in held])):
            if there:
                self.all.add(span)
        self._held.clear()

    def forget(self) -> None:
        """Be in another process, in which no thread is inside."""
        self._calls.clear()
        self._certain = 0
        self.now = Span()


def _there(references: "List[Reference]") -> "List[bool]":
    """Tell of each of these objects whether somebody can still get at it."""
    if len(_threads()) > 1:  # they may change what is looked at
        return [reference() is not None for reference in references]
    return reachable(references)


def objects(names: "FrozenSet[str]", code: CodeType, frame: "Optional[FrameType]") -> "Optional[List[Reference]]":
    """Return weak references to the objects that these variables are in a call of `code`; None where one has none.

    The call is that of `frame`, or one that it was called from.
    """
    frame = _frame_of(code, frame)
    if frame is None or not names:
        return None
    variables = frame.f_locals
    try:
        return [Reference(variables[name]) for name in names]
    except (KeyError, TypeError):
        return None


def is_text(code: CodeType, frame: "Optional[FrameType]") -> bool:
    """Tell whether the code of a whole file runs for another purpose than to load a module: a template, a script."""
    frame = _frame_of(code, frame)
    return frame is not None and not is_namespace(frame.f_globals)


def definitions(code: CodeType, frame: "Optional[FrameType]") -> "Optional[List[Reference]]":
    """Return weak references to the functions that such a text has defined, with which it stays; None without any."""
    frame = _frame_of(code, frame)
    names: Dict[str, Any] = frame.f_globals if frame is not None else {}
    found = [one for one in list(names.values()) if type(one) is FunctionType and one.__globals__ is names]
    return [Reference(one) for one in found] or None


def _frame_of(code: CodeType, frame: "Optional[FrameType]") -> "Optional[FrameType]":
    while frame is not None and frame.f_code is not code:
        frame = frame.f_back
    return frame
