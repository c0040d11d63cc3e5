"""The small helpers, the names, and the states of functions as users see them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import testd.workflows as front
import testd_daemon.workflows.testing as library
from testd_daemon.workflows.testing import (
    FunctionStatus,
    InitializationError,
    StopMonitoring,
    WorkflowRunner,
    extract_function_name,
    get_s3_path,
    has_completed,
    has_final_state,
    has_run,
)
from workflow_files import document


def test_fact_1_names_and_paths():
    assert extract_function_name("test_func(a(b))") == "test_func"
    assert extract_function_name("test_func") == "test_func"
    assert get_s3_path("a\\b/c") == "a/b/c"


def test_fact_2_what_has_run_and_what_has_completed():
    ran = {status.name for status in FunctionStatus if has_run(status)}
    assert ran == {"RUNNING", "COMPLETED", "FAILED", "SKIPPED", "TIMEOUT"}
    assert {status.name for status in FunctionStatus if has_completed(status)} == {"COMPLETED", "NOT_INVOKED"}
    assert {status.name for status in FunctionStatus if not has_final_state(status)} == {
        "PENDING",
        "INVOKED",
        "RUNNING",
    }


def test_fact_5_a_payload_has_a_status_for_each_function_and_rank():
    payload = document(
        {"func1": ["func2", "func3"], "func2": ["func4"], "func3": ["func4"], "func4": ["func5(3)"], "func5": []}
    )
    runner = WorkflowRunner(faasr_payload=payload, timeout=1, check_interval=1, stream_logs=False)
    statuses = runner.get_function_statuses()
    assert set(statuses) == {"func1", "func2", "func3", "func4", "func5(1)", "func5(2)", "func5(3)"}
    assert statuses.pop("func1") is FunctionStatus.INVOKED
    assert set(statuses.values()) == {FunctionStatus.PENDING}
    statuses["func2"] = FunctionStatus.FAILED
    assert runner.get_function_statuses()["func2"] is FunctionStatus.PENDING
    assert runner.adj_graph["func1"] == ["func2", "func3"]
    assert runner.reverse_adj_graph["func4"] == {"func2", "func3"}
    assert runner.ranks["func5"] == 3


@pytest.fixture
def runner():
    return WorkflowRunner(faasr_payload=document({"a": []}), timeout=1, check_interval=1, stream_logs=False)


def test_fact_12_a_shutdown_without_a_thread(runner):
    assert runner.shutdown() is True
    assert runner.shutdown_requested
    assert runner.get_function_statuses() == {"a": FunctionStatus.SKIPPED}


def test_fact_12_a_forced_shutdown(runner):
    runner.force_shutdown()
    assert (runner.shutdown_requested, runner.monitoring_complete) == (True, True)
    runner.cleanup()


def test_what_is_wrong_with_a_workflow_is_told_by_an_exception(tmp_path):
    """Fact 30: upstream ended the process."""
    path = tmp_path / "workflow.json"
    with pytest.raises(
        InitializationError, match=r"Error initializing WorkflowRunner: .*workflow\.json: cannot be read"
    ):
        WorkflowRunner(path)
    with pytest.raises(InitializationError, match=r"there is no workflow\nGive workflow_file_path="):
        WorkflowRunner()
    with pytest.raises(InitializationError, match=r"there is no invoker 'cloud'\nThere are local and github"):
        WorkflowRunner(faasr_payload=document({"a": []}), invoker="cloud")
    with pytest.raises(InitializationError, match=r"has no option 'isolaton'\nDid you mean 'isolation'"):
        WorkflowRunner(faasr_payload=document({"a": []}), isolaton="bucket")


def test_before_the_trigger_there_is_no_store(runner):
    with pytest.raises(InitializationError, match=r"was not triggered"):
        _ = runner.s3_client


def test_the_front_has_all_names_of_the_library():
    assert front.__all__ == sorted(library.__all__, key=lambda name: (not name[0].isupper(), name))
    for name in library.__all__:
        assert getattr(front, name) is getattr(library, name)
        assert name in dir(front)
    assert front.FaaSrFunction is front.FunctionMonitor
    assert front.FaaSrFunctionLogger is front.FunctionLogger
    assert issubclass(StopMonitoring, Exception)
    with pytest.raises(AttributeError, match=r"'nothing'.*; it has "):
        _ = front.nothing


def test_the_front_loads_nothing_before_a_name_is_used():
    program = (
        "import sys, testd.workflows; print([name for name in sys.modules if name.startswith(('boto', 'testd_d'))])"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_front_says_what_to_install_where_testd_is_not():
    """In a target that has the runner's code alone."""
    program = "import sys; sys.modules['testd_daemon'] = None\nfrom testd.workflows import WorkflowTester"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stderr
    assert "testd.workflows needs testd itself in this environment: pip install 'testd[testing]'" in said
