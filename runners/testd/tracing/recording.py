"""Where roots go while something records, and which call a new one belongs to. Runs in the user's process."""

from __future__ import annotations

import random
from contextlib import contextmanager

from testd.tracing import recursion
from testd.tracing.calls import Call, current
from testd.tracing.lineage import inherited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from testd.tracing.mocks import Mocks
    from testd.tracing.options import Options
    from testd.tracing.subjects import Subject

__all__ = ["Recording", "begin"]


class Recording:
    """Everything that is recorded between two moments, on all threads, that has no parent."""

    active: list[Recording] = []  # noqa: RUF012 (one for all: the last takes roots that come from anywhere)

    def __init__(
        self, options: Options, mocks: Mocks | None = None, ended: Callable[[Call], Any] | None = None
    ) -> None:
        """Take roots as soon as it is open; `ended` is called with each that has ended, and keeps none of them here."""
        self.options = options
        self.mocks = mocks
        self.roots: list[Call] = []
        self.used_mocks: set[tuple[str, str]] = set()
        self.open = False
        self._ended = ended
        self._random = random.Random()  # noqa: S311 (of its own: a program that seeds `random` gets what it would get)

    @contextmanager
    def opened(self) -> Iterator[Recording]:
        """Take the roots of this context, and those that come from nowhere else. Calls that go on later are cut off."""
        recursion.make_room()
        self.open = True
        Recording.active.append(self)
        outside = current.get()
        current.set(self)
        try:
            yield self
        finally:
            current.set(outside)
            Recording.active.remove(self)
            self.open = False
            for root in self.roots:
                root.closed = True
            recursion.take_back_room()

    def root(self, subject: Subject) -> Call:
        """Begin a root, kept if it is among the sampled ones."""
        sample = self.options.sample
        call = Call(subject, None, self, sample >= 1 or self._random.random() < sample)
        if self.mocks:
            call.counts = self.mocks.counts(self.used_mocks)
        if call.kept and self._ended is None:
            self.roots.append(call)
        return call

    def root_ended(self, call: Call) -> None:
        """Hand on a root that has ended."""
        if self._ended is not None:
            call.closed = True
            self._ended(call)


def begin(subject: Subject) -> Call:
    """Return a new call: below the one that runs here, or a root; one that is not kept where nothing records."""
    parent = current.get()
    if parent is None:
        parent = inherited()
    if isinstance(parent, Call) and (parent.root.closed or not subject.settings.find_parent):
        parent = parent.recording
    if isinstance(parent, Call):
        call = _child(subject, parent)
    else:
        recording = parent if parent is not None and parent.open else next(reversed(Recording.active), None)
        call = Call(subject, None, None, False) if recording is None else recording.root(subject)
    if call.depth > recursion.deepest:
        recursion.deepen(call.depth)
    counts = call.root.counts
    if counts is not None:
        call.mock = counts.mock(subject.key)
    return call


def _child(subject: Subject, parent: Call) -> Call:
    root = parent.root
    if not parent.kept:
        kept = False
    else:
        options = parent.options
        kept = parent.depth < options.call_depth and root.total < options.calls
    call = Call(subject, parent, parent.recording, kept)
    if kept:
        root.total += 1
        parent.children.append(call)
    elif root.kept:
        _nearest_kept(parent).children_cut += 1
    return call


def _nearest_kept(call: Call) -> Call:
    while not call.kept and call.parent is not None:
        call = call.parent
    return call
