"""To run a function and have its executed function. Runs in the user's process."""

from __future__ import annotations

from contextlib import contextmanager
from types import FunctionType, MethodType

from testd.tracing.decorator import constructor_of
from testd.tracing.documents import document
from testd.tracing.failures import outside
from testd.tracing.mocks import Mocks
from testd.tracing.options import Options
from testd.tracing.patches import patched
from testd.tracing.recording import Recorded, Recording
from testd.tracing.registry import armed, subject_of
from testd.tracing.running import run
from testd.tracing.subjects import Subject
from testd.tracing.trampolines import caller

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from testd.tracing.calls import Call

__all__ = ["Execution", "Roots", "execute", "record_roots"]


class Roots(list):  # type: ignore[type-arg]  # (3.8 has no list[...])
    """The executed functions of roots, in the order in which they began; filled when the block ends."""

    unused_mocks: list[str] = []  # noqa: RUF012 (set anew on each)


class Execution:
    """What came of one execution."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.executed: dict[str, Any] = {}  #: the executed function, as JSON
        self.other_roots: list[dict[str, Any]] = []  #: what was recorded meanwhile and belongs to none of its calls
        self.result: Any = None  #: what it returned; of a generator, the items that were taken, as a list
        self.exception: BaseException | None = None  #: what it raised
        self.unused_mocks: list[str] = []  #: answers that no call has got


def execute(
    function: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    options: Options = Options(),  # noqa: B008 (immutable)
    mocks: Mocks | Mapping[str, Any] | None = None,
) -> Execution:
    """Call a function, traced or not, and record it with all traced functions that it calls.

    A coroutine function is awaited, of a generator function at most `options.items` items are taken.

    Raises:
        MockError: the mocks cannot be used. What the function raises is in the result.

    """
    execution = Execution()
    with _recording(options, mocks) as recording:
        function, args, subject = _root(function, args)
        try:
            execution.result = run(function, args, kwargs or {}, options.items)
        except BaseException as error:
            execution.exception = error.with_traceback(outside(error))
        if not any(root.subject is subject for root in recording.roots):
            _record_after(execution, recording.root(subject), args, kwargs or {})
    assert recording.mocks is not None
    execution.unused_mocks = recording.mocks.unused(recording.used_mocks)
    for root in recording.roots:
        if root.subject is subject and not execution.executed:
            execution.executed = document(root)
        else:
            execution.other_roots.append(document(root))
    return execution


@contextmanager
def record_roots(
    options: Options = Options(),  # noqa: B008 (immutable)
    mocks: Mocks | Mapping[str, Any] | None = None,
) -> Iterator[Roots]:
    """Record the traced functions that are called inside of the block.

    Raises:
        MockError: the mocks cannot be used.

    """
    roots = Roots()
    recording = None
    try:
        with _recording(options, mocks) as recording:
            yield roots
    finally:
        if recording is not None:
            assert recording.mocks is not None
            roots.extend(map(document, recording.roots))
            roots.unused_mocks = recording.mocks.unused(recording.used_mocks)


@contextmanager
def _recording(options: Options, mocks: Mocks | Mapping[str, Any] | None) -> Iterator[Recording]:
    mocks = mocks if isinstance(mocks, Mocks) else Mocks(mocks)
    with armed(), patched(mocks), Recording(options._replace(sample=1.0), mocks).opened() as recording:
        yield recording


def _record_after(execution: Execution, call: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Record a call that ran none of the function's own code, such as a generator of which nothing was taken."""
    call.start(tuple(args), dict(kwargs))
    if execution.exception is None:
        call.finish(execution.result)
    else:
        call.fail(execution.exception)


def _root(function: Any, args: Sequence[Any]) -> tuple[Any, Sequence[Any], Subject]:
    """Return what to call, with what, and how its call will be recorded."""
    if isinstance(function, MethodType) and isinstance(function.__func__, FunctionType):
        function, args = function.__func__, (function.__self__, *args)
    subject = subject_of(constructor_of(function) if isinstance(function, type) else function)
    if subject is not None:
        return function, args, subject
    subject = Subject(function)
    return caller(Recorded(function, subject), subject.name), args, subject
