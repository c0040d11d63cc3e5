"""The states of functions, what may follow what, and what is asked of them. Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Final

from testd_daemon.machine import Machine, Table
from testd_daemon.workflows.graph import action_of

__all__ = [
    "FINAL",
    "FunctionEvent",
    "FunctionStatus",
    "InvocationStatus",
    "completed",
    "failed",
    "function_machine",
    "has_completed",
    "has_final_state",
    "has_run",
    "invocation_status",
    "invoked",
    "not_invoked",
    "pending",
    "running",
    "skipped",
    "timed_out",
]


class FunctionStatus(Enum):
    """How a function of a run, or one of its ranks, stands."""

    PENDING = "pending"  # nothing has invoked it yet
    INVOKED = "invoked"  # it has been invoked, and has not begun
    NOT_INVOKED = "not_invoked"  # nothing will invoke it: a condition went the other way
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"  # it cannot run: one that it needs has failed, or the run was ended
    TIMEOUT = "timeout"  # it took too long, or nothing was heard of it


class InvocationStatus(Enum):
    """What is known of whether one function has invoked another one."""

    PENDING = "pending"  # it is not through
    INVOKED = "invoked"
    NOT_INVOKED = "not_invoked"


class FunctionEvent(Enum):
    """What happens to a function."""

    INVOKE = "invoke"
    DROP = "drop"  # nothing will invoke it
    START = "start"
    AGAIN = "again"  # its process was lost without its fault
    COMPLETE = "complete"
    FAIL = "fail"
    SKIP = "skip"
    EXPIRE = "expire"


_Status, _Event = FunctionStatus, FunctionEvent
#: What an unfinished function may become at any time.
_ENDS = {_Event.FAIL: _Status.FAILED, _Event.SKIP: _Status.SKIPPED, _Event.EXPIRE: _Status.TIMEOUT}
#: Which event leads where. A monitor may see the start of what it has not seen invoked. An invoked join may still be
#: passed over: who invokes it last decides.
_TABLE: Final[Table[FunctionStatus, FunctionEvent]] = {
    _Status.PENDING: {
        _Event.INVOKE: _Status.INVOKED,
        _Event.DROP: _Status.NOT_INVOKED,
        _Event.START: _Status.RUNNING,
        **_ENDS,
    },
    _Status.INVOKED: {_Event.START: _Status.RUNNING, _Event.DROP: _Status.NOT_INVOKED, **_ENDS},
    _Status.RUNNING: {_Event.COMPLETE: _Status.COMPLETED, _Event.AGAIN: _Status.INVOKED, **_ENDS},
}
#: The states that nothing leads out of.
FINAL: Final = frozenset(status for status in FunctionStatus if status not in _TABLE)


def function_machine(
    name: str, status: FunctionStatus = FunctionStatus.PENDING
) -> Machine[FunctionStatus, FunctionEvent]:
    """Return the state machine of one function; `name` is its name in errors."""
    return Machine(_TABLE, status, f"function {name}")


def invocation_status(invocations: AbstractSet[str] | None, function_name: str) -> InvocationStatus:
    """Return whether a function that has invoked `invocations`, None where that is not known yet, invoked another."""
    if invocations is None:
        return InvocationStatus.PENDING
    found = action_of(function_name) in invocations
    return InvocationStatus.INVOKED if found else InvocationStatus.NOT_INVOKED


def pending(status: FunctionStatus) -> bool:
    """Whether nothing has invoked it yet."""
    return status is FunctionStatus.PENDING


def invoked(status: FunctionStatus) -> bool:
    """Whether it has been invoked and has not begun."""
    return status is FunctionStatus.INVOKED


def not_invoked(status: FunctionStatus) -> bool:
    """Whether nothing will invoke it."""
    return status is FunctionStatus.NOT_INVOKED


def running(status: FunctionStatus) -> bool:
    """Whether it runs."""
    return status is FunctionStatus.RUNNING


def completed(status: FunctionStatus) -> bool:
    """Whether it ran and returned."""
    return status is FunctionStatus.COMPLETED


def failed(status: FunctionStatus) -> bool:
    """Whether it ran and failed."""
    return status is FunctionStatus.FAILED


def skipped(status: FunctionStatus) -> bool:
    """Whether it cannot run."""
    return status is FunctionStatus.SKIPPED


def timed_out(status: FunctionStatus) -> bool:
    """Whether it took too long."""
    return status is FunctionStatus.TIMEOUT


def has_run(status: FunctionStatus) -> bool:
    """Whether it is past its invocation, however it went on."""
    return status not in (FunctionStatus.PENDING, FunctionStatus.INVOKED, FunctionStatus.NOT_INVOKED)


def has_completed(status: FunctionStatus) -> bool:
    """Whether it went as the workflow says: it returned, or was not to run."""
    return status in (FunctionStatus.COMPLETED, FunctionStatus.NOT_INVOKED)


def has_final_state(status: FunctionStatus) -> bool:
    """Whether nothing more can come of it."""
    return status in FINAL
