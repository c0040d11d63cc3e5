"""What takes roots while something records, and which call a new one belongs to. Runs in the user's process."""

from __future__ import annotations

import random
from contextlib import contextmanager

from testd.tracing import recursion
from testd.tracing.calls import Call
from testd.tracing.context import current, recording_now, recordings
from testd.tracing.lineage import inherited
from testd.tracing.trampolines import Armed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from testd.tracing.mocks import Mocks
    from testd.tracing.options import Options
    from testd.tracing.subjects import Subject

__all__ = ["Recorded", "Recording"]


class Recording:
    """Everything that is recorded between two moments, on all threads, that has no parent."""

    def __init__(
        self, options: Options, mocks: Mocks | None = None, ended: Callable[[Call], Any] | None = None
    ) -> None:
        """Take roots once it is open; if there is `ended`, it is called with each that has ended, and none is kept."""
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
        recordings.append(self)
        outside = current.get()
        current.set(self)
        try:
            yield self
        finally:
            current.set(outside)
            recordings.remove(self)
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


class Recorded(Armed):
    """A function whose calls are recorded."""

    __slots__ = ("_subject",)

    def __init__(self, function: Any, subject: Subject) -> None:
        """Record the calls of `function` as those of the subject."""
        super().__init__(function)
        self._subject = subject

    def begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """Begin a call; it is the current one from here on."""
        call = _new(self._subject)
        if call.depth > recursion.deepest:
            recursion.deepen(call.depth)
        counts = call.root.counts
        if counts is not None:
            call.mock = counts.mock(self._subject.key)
        call.start(args, kwargs)
        return call


def _new(subject: Subject) -> Call:
    """Return a call below the one that runs here, or a root; one that is not kept where nothing records."""
    parent = current.get() or inherited()
    if isinstance(parent, Call):
        if not parent.root.closed and (subject.settings.find_parent or parent.root is Call.silence):
            return _child(subject, parent)
        parent = parent.recording
    recording = parent if parent is not None and parent.open else recording_now()
    return Call(subject, None, None, False) if recording is None else recording.root(subject)


def _child(subject: Subject, parent: Call) -> Call:
    root = parent.root
    kept = parent.kept and parent.depth < parent.options.call_depth and root.total < parent.options.calls
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
