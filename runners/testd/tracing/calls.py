"""One call of a traced function while it is recorded. Runs in the user's process.

The methods are what the trampolines call, in this order: `start`, then `leave` and `enter` around each time that a
generator waits for its caller, then `finish` or `fail`.
"""

from __future__ import annotations

from time import perf_counter, time

from testd.tracing.context import current
from testd.tracing.failures import Failure, step_out
from testd.tracing.identifiers import identifiers
from testd.tracing.snapshots import Snapshot

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

    #: What most calls never set.
    children_cut = 0  #: calls inside of it that a limit left out
    closed = False  #: of a root: whether its record was made
    counts: Counts | None = None  #: of a root: how often functions that have mocks were called in it
    ended: float | None = None
    failure: Failure | None = None
    id = ""
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
        """Record the arguments, and let the time begin."""
        if self.kept:
            self.id = identifiers.next()
            if self.subject.constructs and args:
                self.instance, args = args[0], args[1:]
            if self.subject.settings.copy_input:
                self._take_input(args, kwargs)
            self.started = time()
            self._clock = perf_counter()

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
        self.leave()
        if self.kept:
            self._end()
            if self.subject.settings.copy_output:
                self._take_output(result)
            self._conclude()
        return result

    def fail(self, error: BaseException) -> None:
        """End with an exception. Its traceback is without the trampoline's frame where that can be."""
        self.leave()
        if self.mock is not None:
            error.__traceback__ = None  # it is raised as if by the function
        if self.kept:
            self._end()
            if self.items is not None:
                self._take_output(None)
            if self.items is None or not isinstance(error, GeneratorExit):  # (whoever closes a generator wants no more)
                self.failure = Failure(error)
            self._conclude()
        step_out(error)

    def thrown(self, error: BaseException) -> None:
        """Pass on an exception that the caller throws into a generator."""
        step_out(error)

    def item(self, value: Any) -> None:
        """Record what a generator gives."""
        if not (self.kept and self.subject.settings.copy_output):
            return
        if self.items is None:
            self.items = []
        if len(self.items) < self.options.items:
            self.items.append(self._output_of(value))
        else:
            self.items_cut += 1
            self.output_cut = True

    @property
    def options(self) -> Options:
        """What bounds the recording."""
        assert self.recording is not None, "a call that is kept has a recording"
        return self.recording.options

    def _take_input(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        settings = self.subject.settings
        shot = Snapshot(self.options if settings.deep_copy_input else self.options._replace(depth=2))
        if settings.input_serializer is not None:
            self.input = self._serialized(shot, settings.input_serializer, *args, **kwargs)
        else:
            secret = self.subject.secret_positions(shot.secret)
            self.input = shot.take([*args, kwargs])
            for index in secret:
                index -= self.subject.constructs
                if index < len(args) and isinstance(self.input, list) and index < len(self.input):
                    self.input[index] = {"$type": "redacted"}
        self.input_reasons = tuple(shot.reasons)
        self.input_cut = shot.cut

    def _take_output(self, result: Any) -> None:
        if self.items is not None:
            self.output = {"$type": "generator", "items": self.items}
            if self.items_cut:
                self.output["cut"] = self.items_cut
            if result is not None:
                self.output["returned"] = self._output_of(result)
        else:
            self.output = self._output_of(result if self.instance is None or result is not None else self.instance)

    def _output_of(self, value: Any) -> Any:
        settings = self.subject.settings
        shot = Snapshot(self.options if settings.deep_copy_output else self.options._replace(depth=1))
        if settings.output_serializer is not None:
            made = self._serialized(shot, settings.output_serializer, value)
        else:
            made = shot.take(value)
        self.output_reasons += tuple(shot.reasons)
        self.output_cut = self.output_cut or shot.cut
        return made

    def _serialized(self, shot: Snapshot, serializer: Any, *args: Any, **kwargs: Any) -> Any:
        """Record what a serializer makes of a value; traced functions that it calls are not recorded."""
        outside = current.get()
        current.set(Call(self.subject, None, None, False))
        try:
            return shot.take(serializer(*args, **kwargs))
        except Exception as error:  # (the user's)
            shot.fail(error, "the serializer")
            return None
        finally:
            current.set(outside)

    def _end(self) -> None:
        self.ended = self.started + perf_counter() - self._clock

    def _conclude(self) -> None:
        self.instance = None
        if self.parent is None and self.recording is not None:
            self.recording.root_ended(self)
