"""What the workflow testing library raises. Runs in the user's process.

TestdError
├── WorkflowTestError            anything of this library
│   ├── InitializationError      a runner cannot be made: something is missing or wrong
│   ├── InvocationError          a workflow cannot be started where it is to run
│   └── FunctionDidNotComplete   `wait_for` has nothing to wait for any more
│       └── FunctionFailed, FunctionSkipped, FunctionTimedOut, FunctionNotInvoked
└── UnknownFunction              also a KeyError: the workflow has no function of this name
StopMonitoring                   ends the monitoring of a run; no error
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from testd_daemon.errors import TestdError

__all__ = [
    "FunctionDidNotComplete",
    "FunctionFailed",
    "FunctionNotInvoked",
    "FunctionSkipped",
    "FunctionTimedOut",
    "InitializationError",
    "InvocationError",
    "StopMonitoring",
    "UnknownFunction",
    "WorkflowTestError",
]


class WorkflowTestError(TestdError):
    """Anything that this library raises of its own."""

    code = "workflow"


class InitializationError(WorkflowTestError):
    """A workflow runner that cannot be made: what is missing, or wrong."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Take what is wrong, and what would be right."""
        super().__init__(f"Error initializing WorkflowRunner: {message}", hint=hint)


class InvocationError(WorkflowTestError):
    """A workflow that cannot be started: who refused, and what would be right."""


class StopMonitoring(Exception):
    """Ends the monitoring of a run; the message says why."""


class FunctionDidNotComplete(WorkflowTestError):
    """A function that was waited for ended in another way than by completing. `function`, `logs`."""

    outcome = "did not complete"

    def __init__(self, function: str, why: str = "", logs: str = "") -> None:
        """Take the function's name, the reason, and the text of its log."""
        text = f"Function {function} {self.outcome}" + (f": {why}" if why else "")
        super().__init__(text + (f"\n\nlog of {function}:\n{logs}" if logs else ""))
        self.function = function
        self.why = why
        self.logs = logs


class FunctionFailed(FunctionDidNotComplete):
    """It failed: its log says why."""

    outcome = "failed"


class FunctionSkipped(FunctionDidNotComplete):
    """It was not run, because of a failure before it or because the run was ended."""

    outcome = "skipped"


class FunctionTimedOut(FunctionDidNotComplete):
    """Nothing was heard of it, or of the run, in time."""

    outcome = "timed out"


class FunctionNotInvoked(FunctionDidNotComplete):
    """A condition went another way; raised only where completion is asserted."""

    outcome = "was not invoked"


class UnknownFunction(TestdError, KeyError):
    """A name that is no function of the workflow."""

    code = "usage"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        """Take the name, and those that there are."""
        names = sorted(known)
        near = get_close_matches(name, names, n=1)
        super().__init__(
            f"the workflow has no function {name!r}",
            hint=f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(names)}.",
        )


for _name in __all__:  # users know them by where they import them from, and so do tracebacks
    globals()[_name].__module__ = "testd.workflows"
