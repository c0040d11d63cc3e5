"""What `testd.workflows` offers to tests and programs of users. A name is imported when it is first used.

The names are those of the public system's testing framework, of both its generations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testd_daemon.workflows.errors import WorkflowError
    from testd_daemon.workflows.status import (
        FunctionStatus,
        InvocationStatus,
        completed,
        failed,
        has_completed,
        has_final_state,
        has_run,
        invoked,
        not_invoked,
        pending,
        running,
        skipped,
        timed_out,
    )
    from testd_daemon.workflows.store.errors import StoreError
    from testd_daemon.workflows.store.errors import StoreError as S3ClientError
    from testd_daemon.workflows.testing.exceptions import (
        FunctionDidNotComplete,
        FunctionFailed,
        FunctionNotInvoked,
        FunctionSkipped,
        FunctionTimedOut,
        InitializationError,
        InvocationError,
        StopMonitoring,
        UnknownFunction,
        WorkflowTestError,
    )
    from testd_daemon.workflows.testing.function_logger import FunctionLogger, LogEvent
    from testd_daemon.workflows.testing.function_logger import FunctionLogger as FaaSrFunctionLogger
    from testd_daemon.workflows.testing.function_monitor import FunctionMonitor
    from testd_daemon.workflows.testing.function_monitor import FunctionMonitor as FaaSrFunction
    from testd_daemon.workflows.testing.invocation import Invocation
    from testd_daemon.workflows.testing.invokers.github import GitHubInvoker
    from testd_daemon.workflows.testing.invokers.invoker import Invoker
    from testd_daemon.workflows.testing.invokers.local import LocalInvoker
    from testd_daemon.workflows.testing.utils import extract_function_name, get_s3_path
    from testd_daemon.workflows.testing.workflow_runner import WorkflowRunner
    from testd_daemon.workflows.testing.workflow_tester import WorkflowTester

__all__ = [
    "FaaSrFunction", "FaaSrFunctionLogger", "FunctionDidNotComplete", "FunctionFailed", "FunctionLogger",
    "FunctionMonitor", "FunctionNotInvoked", "FunctionSkipped", "FunctionStatus", "FunctionTimedOut", "GitHubInvoker",
    "InitializationError", "Invocation", "InvocationError", "InvocationStatus", "Invoker", "LocalInvoker", "LogEvent",
    "S3ClientError", "StopMonitoring", "StoreError", "UnknownFunction", "WorkflowError", "WorkflowRunner",
    "WorkflowTestError", "WorkflowTester", "completed", "extract_function_name", "failed", "get_s3_path",
    "has_completed", "has_final_state", "has_run", "invoked", "not_invoked", "pending", "running", "skipped",
    "timed_out",
]  # fmt: skip

_HERE = "testd_daemon.workflows.testing."
_HOMES = {
    "testd_daemon.workflows.errors": ("WorkflowError",),
    "testd_daemon.workflows.status": (
        "FunctionStatus", "InvocationStatus", "completed", "failed", "has_completed", "has_final_state", "has_run",
        "invoked", "not_invoked", "pending", "running", "skipped", "timed_out",
    ),
    "testd_daemon.workflows.store.errors": ("StoreError",),
    _HERE + "exceptions": (
        "FunctionDidNotComplete", "FunctionFailed", "FunctionNotInvoked", "FunctionSkipped", "FunctionTimedOut",
        "InitializationError", "InvocationError", "StopMonitoring", "UnknownFunction", "WorkflowTestError",
    ),
    _HERE + "function_logger": ("FunctionLogger", "LogEvent"),
    _HERE + "function_monitor": ("FunctionMonitor",),
    _HERE + "invocation": ("Invocation",),
    _HERE + "invokers.github": ("GitHubInvoker",),
    _HERE + "invokers.invoker": ("Invoker",),
    _HERE + "invokers.local": ("LocalInvoker",),
    _HERE + "utils": ("extract_function_name", "get_s3_path"),
    _HERE + "workflow_runner": ("WorkflowRunner",),
    _HERE + "workflow_tester": ("WorkflowTester",),
}  # fmt: skip
#: Names of the later generation for the same things.
_ALIASES = {"FaaSrFunction": "FunctionMonitor", "FaaSrFunctionLogger": "FunctionLogger", "S3ClientError": "StoreError"}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    real = _ALIASES.get(name, name)
    home = next(home for home, names in _HOMES.items() if real in names)
    value: object = getattr(import_module(home), real)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
