"""What counts for more than the test in which it is used: what functions use that keep what they made.

What such a function keeps in an object that it was given (`memos.py`) goes with that object: it lasts only if the
object can still be reached at the end of the test. Runs in stems and workers. Standard library only.
"""

import sys
from types import FrameType, FunctionType
from typing import Any, Collection, Dict, FrozenSet, Iterable, List, Optional, Sequence, Set, Tuple

from testd.runner.reachable import Reference, is_namespace, reachable

__all__ = ["Lasting", "Mark", "Span", "definitions", "is_text"]

_threads = sys._current_frames  # taken before user code can replace it
_identity = object.__hash__


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


#: A call of such a function begins or ends: the place in the list of what starts; the identity of the code; whether it
#: begins; references to the objects that keep what is made, or None where others do, too; and the identities of what
#: may run in it without being heard.
Mark = Tuple[int, int, bool, Optional[Sequence[Reference]], Collection[int]]


class Lasting:
    """Who is inside of such functions now, and what is used there. The caller sees to it that threads take turns.

    Attributes:
        all: what lasts, code by its identities.
        now: what has been used since somebody was inside, apart from what is already among `all`.
    """

    def __init__(self) -> None:
        """Have nobody inside."""
        self.all = Span()
        self.now = Span()
        self._open: Dict[int, List[bool]] = {}  # by code: of each call that goes on, whether it is certain
        self._certain = 0
        self._holders: Optional[List[Reference]] = []  # what keeps `now`; None: that lasts for certain
        #: Of this test, by the identities of the references: what objects keep, and what was used to make it.
        self._held: Dict[FrozenSet[int], Tuple[List[Reference], Span]] = {}
        self._references: Dict[int, Reference] = {}  # of this test, by the identity of the object
        self._stayed: Dict[int, Reference] = {}  # the same of what outlived a test before

    @property
    def inside(self) -> bool:
        """Whether anybody is inside."""
        return bool(self._open)

    @property
    def certain(self) -> bool:
        """Whether anybody is inside of a function that keeps what it makes elsewhere than in objects."""
        return self._certain > 0

    @property
    def counting(self) -> "Optional[Span]":
        """What counts for what is used now, beside the test that runs."""
        return self.all if self._certain else self.now if self._open else None

    def follow(self, started: "List[int]", marks: "Iterable[Mark]") -> None:
        """Take what has started, code by its identities in this order, and the calls that began and ended meanwhile."""
        since = 0
        for place, code, begins, holders, unheard in marks:
            if self._open:
                self._use(started[since:place])
            since = place
            if not begins:
                self._leave(code, holders)
            else:
                self._enter(code, holders)
                if unheard:
                    self._use(unheard)
        if self._open:
            self._use(started[since:])

    def _use(self, codes: "Collection[int]") -> None:
        (self.all if self._certain else self.now).codes.update(codes)

    def _enter(self, code: int, holders: "Optional[Sequence[Reference]]") -> None:
        if not self._open:
            self._holders = []
        self._open.setdefault(code, []).append(holders is None)
        if holders is None:
            self._certain += 1
        else:
            self._hold(holders)

    def _leave(self, code: int, holders: "Optional[Sequence[Reference]]") -> None:
        """A call ends, and these objects keep, too, what has been made since somebody was inside."""
        calls = self._open.get(code)
        if calls is None:  # it began before anybody listened
            return
        self._hold(holders)
        self._certain -= calls.pop()
        if not calls:
            del self._open[code]
        if not self._open:
            self._passed()

    def _hold(self, holders: "Optional[Sequence[Reference]]") -> None:
        if holders is None or self._holders is None:
            self._holders = None
        else:
            self._holders += holders

    def _passed(self) -> None:
        """Nobody is inside any more."""
        if self.all.has(self.now):
            pass
        elif self._holders is None:
            self.all.add(self.now)
        else:
            key = frozenset(map(_identity, self._holders))
            if key in self._held:
                self._held[key][1].add(self.now)
            else:
                self._held[key] = self._holders, self.now
        self.now = Span()

    def objects(self, names: "Iterable[str]", frame: FrameType) -> "Optional[List[Reference]]":
        """Return weak references to the objects that these variables are in a call; None where one has none."""
        variables, found = frame.f_locals, []
        try:
            for name in names:
                one = variables[name]
                known = self._references.get(_identity(one))
                if known is None or known() is not one:
                    known = self._references[_identity(one)] = Reference(one)
                found.append(known)
        except (KeyError, TypeError):
            return None
        return found

    def settle(self) -> None:
        """A test has ended: what objects keep that are still there lasts, and so does what a thread is still at."""
        if self._open:
            self._holders = None
            self.all.add(self.now)
        held = [(one, span) for holders, span in self._held.values() if not self.all.has(span) for one in holders]
        if held:
            for (one, span), there in zip(held, self._there([holder for holder, _ in held])):
                if there:
                    self._stayed[_identity(one())] = one
                    self.all.add(span)
        self._held.clear()
        self._references.clear()

    def _there(self, references: "List[Reference]") -> "List[bool]":
        """Tell of each of these objects whether somebody can still get at it."""
        objects = [reference() for reference in references]
        if all(one is not None and self._has_stayed(one) for one in objects):
            return [True] * len(references)
        del objects  # they are not to be found here
        if len(_threads()) > 1:  # they may change what is looked at
            return [reference() is not None for reference in references]
        return reachable(references)

    def _has_stayed(self, one: Any) -> bool:
        """Tell whether an object outlived a test before: it is taken to outlive each that follows."""
        known = self._stayed.get(_identity(one))
        return known is not None and known() is one

    def forget(self) -> None:
        """Be in another process, in which no thread is inside."""
        self._open.clear()
        self._certain = 0
        self.now = Span()


def is_text(frame: FrameType) -> bool:
    """Tell whether the code of a whole file runs for another purpose than to load a module: a template, a script."""
    return not is_namespace(frame.f_globals)


def definitions(frame: FrameType) -> "Optional[List[Reference]]":
    """Return weak references to the functions that such a text has defined, with which it stays; None without any."""
    names = frame.f_globals
    found = [one for one in list(names.values()) if type(one) is FunctionType and one.__globals__ is names]
    return [Reference(one) for one in found] or None
