"""What programs may rely on: a name that comes or goes here is a change that users see.

The names of the messages are pinned beside the protocol's other tests.
"""

from __future__ import annotations

from importlib import import_module

import pytest

PUBLIC = {
    "testd": ["Context", "NoTest", "Skip", "assertions", "current_test", "traced"],
    "testd.assertions": [
        "conforms",
        "deep_equal",
        "is_",
        "is_not",
        "maybe",
        "similar",
        "snapshot",
        "throws",
    ],
    "testd.tracing": [
        "Execution",
        "MockError",
        "Mocks",
        "Options",
        "armed",
        "connect",
        "execute",
        "install",
        "record_roots",
        "traced",
    ],
    "testd.workflows": [
        "FaaSrFunction",
        "FaaSrFunctionLogger",
        "FunctionDidNotComplete",
        "FunctionFailed",
        "FunctionLogger",
        "FunctionMonitor",
        "FunctionNotInvoked",
        "FunctionSkipped",
        "FunctionStatus",
        "FunctionTimedOut",
        "GitHubInvoker",
        "InitializationError",
        "Invocation",
        "InvocationError",
        "InvocationStatus",
        "Invoker",
        "LocalInvoker",
        "LogEvent",
        "S3ClientError",
        "StopMonitoring",
        "StoreError",
        "UnknownFunction",
        "WorkflowError",
        "WorkflowRunner",
        "WorkflowTestError",
        "WorkflowTester",
        "completed",
        "extract_function_name",
        "failed",
        "get_s3_path",
        "has_completed",
        "has_final_state",
        "has_run",
        "invoked",
        "not_invoked",
        "pending",
        "running",
        "skipped",
        "timed_out",
    ],
    "testd_runners": ["CHANNEL", "Command", "LaunchSettings", "Launcher", "with_channel"],
    "testd_runners.bundle": ["archive", "contents", "digest", "scripts", "unpack"],
    "testd_runners.choose": ["KINDS", "choose"],
    "testd_daemon.client": ["AsyncClient", "Client"],
    "testd_daemon.client.aio": ["AsyncClient", "Following", "Session"],
    "testd_daemon.client.sync": ["Client", "Following"],
}


@pytest.mark.parametrize("name", PUBLIC)
def test_the_public_names_are_these_and_are_there(name):
    module = import_module(name)
    assert module.__all__ == PUBLIC[name]
    for public in module.__all__:
        assert getattr(module, public) is not None
        assert public in dir(module)


@pytest.mark.parametrize("name", ["testd", "testd.assertions", "testd.tracing", "testd_daemon.client"])
def test_an_unknown_name_is_told_with_the_known_ones(name):
    with pytest.raises(AttributeError, match=r"'nothing'.*; it has "):
        _ = import_module(name).nothing
