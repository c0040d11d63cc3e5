"""One call of a traced function while it is recorded. Runs in the user's process.

The methods are what the trampolines call, in this order: `start`, then `leave` and `enter` around each time that a
generator waits for its caller, then `finish` or `fail`.
"""

from __future__ import annotations

from time import perf_counter, time
from typing import cast

from testd.tracing.context import current
from testd.tracing.copies import add_item, copy_input, copy_output
from testd.tracing.failures import Failure, step_out

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from testd.tracing.mocks import Counts, Mock
    from testd.tracing.options import Options
    from testd.tracing.recording import Recording
    from testd.tracing.subjects import Subject

__all__ = ["Call"]


class Call:
    """A call: what went in, what came out, and the calls that it made."""

    #: Belongs to nothing, and nothing is recorded below it.
    silence: Call

    #: What most calls never set.
    children_cut = 0  #: calls inside of it that a limit left out
    closed = False  #: of a root: whether its record was made
    counts: Counts | None = None  #: of a root: how often functions that have mocks were called in it
    ended: float | None = None
    failure: Failure | None = None
    id = ""  #: given when the record is made
    input: Any = None
    input_cut = False
    input_reasons: tuple[str, ...] = ()  #: what could not be recorded, and why
    instance: Any = None  #: what a constructor fills
    items: list[Any] | None = None  #: what a generator has given so far
    items_cut = 0
    mock: Mock | None = None
    output: Any = None
    output_cut = False
    output_reasons: tuple[str, ...] = ()
    started = 0.0
    total = 1  #: of a root: calls that are kept

    def __init__(self, subject: Subject, parent: Call | None, recording: Recording | None, kept: bool) -> None:
        """Make a call below `parent`, or a root of the recording. One that is not kept is only carried along."""
        self.subject = subject
        self.parent = parent
        self.recording = recording
        self.kept = kept
        self.children: list[Call] = []
        if parent is None:
            self.root = self
            self.depth = 1
        else:
            self.root = parent.root
            self.depth = parent.depth + 1

    def start(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Record the arguments, be the current call, and let the time begin."""
        if self.kept:
            if self.subject.settings.copy_input:
                copy_input(self, args, kwargs)
            self.started = time()
            self._clock = perf_counter()
        self.enter()

    def enter(self) -> None:
        """Be the current call."""
        self._outside = current.get()
        current.set(self)

    def leave(self) -> None:
        """Let the caller be the current call again, where this one still is."""
        if current.get() is self:
            current.set(self._outside)

    def finish(self, result: Any) -> Any:
        """End with a result, and give it back."""
        if self.kept:
            self.ended = self.started + perf_counter() - self._clock
            self.leave()
            if self.subject.settings.copy_output:
                copy_output(self, result)
            self._conclude()
        else:
            self.leave()
        return result

    def fail(self, error: BaseException) -> None:
        """End with an exception. Its traceback is without the trampoline's frame where that can be."""
        self.leave()
        if self.mock is not None:
            error.__traceback__ = None  # it is raised as if by the function
        if self.kept:
            self.ended = self.started + perf_counter() - self._clock
            if self.items is not None and self.subject.settings.copy_output:
                copy_output(self, None)
            if self.items is None or not isinstance(error, GeneratorExit):  # (whoever closes a generator wants no more)
                self.failure = Failure(error)
            self._conclude()
        step_out(error)

    def thrown(self, error: BaseException) -> None:
        """Pass on an exception that the caller throws into a generator."""
        step_out(error)

    def gives(self) -> None:
        """Be the call of a generator."""
        self.items = []

    def item(self, value: Any) -> None:
        """Record what a generator gives."""
        if self.kept and self.items is not None and self.subject.settings.copy_output:
            add_item(self, self.items, value)

    @property
    def options(self) -> Options:
        """What bounds the recording."""
        assert self.recording is not None, "a call that is kept has a recording"
        return self.recording.options

    def _conclude(self) -> None:
        self.instance = None
        if self.parent is None and self.recording is not None:
            self.recording.root_ended(self)


Call.silence = Call(cast("Subject", None), None, None, False)
