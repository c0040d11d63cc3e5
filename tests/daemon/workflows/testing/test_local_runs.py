"""Workflows that run here: on the daemon's own runners, with the embedded store, told by events."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
from workflow_project import write_project

from testd_daemon.workflows.testing import (
    FunctionFailed,
    FunctionStatus,
    FunctionTimedOut,
    InitializationError,
    InvocationError,
    WorkflowRunner,
    WorkflowTester,
)

EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "workflow"
INTEGRATION = Path(__file__).with_name("integration")
#: Seconds for what takes seconds on a machine that is not busy.
DEADLINE = 100.0


@pytest.fixture
def project(tmp_path, house, monkeypatch):
    """A repository of a user, and the test's own daemon; give what writes its workflow."""
    for name, value in house.environment.items():
        if name.startswith("TESTD_"):
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("FLAG", str(tmp_path / "flag"))
    return partial(write_project, tmp_path)


def all_of(names, status):
    return dict.fromkeys(names.split(), status)


COMPLETED, FAILED, SKIPPED = FunctionStatus.COMPLETED, FunctionStatus.FAILED, FunctionStatus.SKIPPED
ONE = {"start": ["change"], "change": []}


def test_the_loop_of_the_specification(project):
    """A runner made, triggered, and asked for what has changed, until monitoring is complete."""
    follows = {"start": ["rank(3)"], "rank": ["decide"], "decide": [{"True": ["t"], "False": ["f"]}], "t": [], "f": []}
    runner = WorkflowRunner(
        workflow_file_path=str(project(follows, {"t": "start", "f": "start"})),
        timeout=DEADLINE,
        check_interval=0.01,
        stream_logs=True,
    )
    assert set(runner.get_function_statuses().values()) == {FunctionStatus.PENDING}
    runner.trigger_workflow()
    seen: dict[str, list[FunctionStatus]] = {}
    previous: dict[str, FunctionStatus] = {}
    while not runner.monitoring_complete:
        current = runner.get_function_statuses()
        for name, status in current.items():
            if previous.get(name) != status:
                seen.setdefault(name, []).append(status)
        previous = current.copy()
        runner.wait_for(lambda previous=previous: runner.get_function_statuses() != previous, DEADLINE)
    assert runner.get_function_statuses() == (
        all_of("start rank(1) rank(2) rank(3) decide t", COMPLETED) | {"f": FunctionStatus.NOT_INVOKED}
    )
    assert seen["start"][0] is FunctionStatus.INVOKED
    assert runner.monitor("start").get_invocation_status("rank(2)").value == "invoked"
    assert runner.monitor("decide").invocations == {"t"}
    assert "Finished execution of decide with result True" in runner.get_function_logs_content("decide")
    names = {thread.name for thread in threading.enumerate()}
    assert runner.shutdown(DEADLINE)
    assert [name for name in names if name.startswith("testd run")] in ([], [f"testd run {runner.invocation_id}"])
    assert [thread for thread in threading.enumerate() if thread.name.startswith("testd")] == []
    runner.cleanup()


def test_the_class_makes_triggers_and_returns_a_runner(project):
    runner = WorkflowRunner.trigger_workflow(DEADLINE, 1, workflow_file_path=project(ONE))
    assert runner.wait_for(lambda: runner.monitoring_complete, DEADLINE)
    runner.cleanup()
    assert runner.get_function_statuses() == all_of("start change", COMPLETED)
    with pytest.raises(InitializationError, match=r"was triggered before\nA runner is for one run"):
        runner.trigger_workflow()


def test_a_function_is_seen_as_it_left_the_store(project):
    """Fact 34: `change` has overwritten the file long before anybody asks for what `start` wrote."""
    with WorkflowTester(project(ONE), DEADLINE, folder="out") as tester:
        tester.wait_for("change")
        tester.assert_content_equals("a.txt", "second")
        tester.wait_for("start")
        tester.assert_content_equals("a.txt", "first")
        tester.latest()
        tester.assert_content_equals("a.txt", "second")
        body = tester.s3_client.get_object(Bucket=tester.bucket_name, Key=tester.get_s3_key("a.txt"))["Body"].read()
        assert body == b"second"


def test_a_failure_tells_the_reason_and_the_log(project):
    """Facts 22 and 33."""
    follows = {"start": ["fail", "okay"], "fail": ["after"], "after": [], "okay": []}
    names = {"okay": "start", "after": "start"}
    with WorkflowTester(project(follows, names), DEADLINE, folder="out") as tester:
        with pytest.raises(
            FunctionFailed, match=r"^Function fail failed: .*boom(?s:.*)log of fail:(?s:.*)about to fail"
        ) as raised:
            tester.wait_for("fail")
        assert "ValueError: boom" in raised.value.logs
        assert tester.wait_for("fail", should_fail=True) is FAILED
        assert tester.wait_for("okay") is COMPLETED
        tester.assert_function_failed("fail")
        tester.assert_function_skipped("after")
        tester.assert_logs_contain("fail", "[ERROR]", "Traceback", "boom")
        tester.assert_object_does_not_exist("never.txt")


def test_leaving_the_block_cancels_the_run(project, house):
    with WorkflowTester(project({"wait": ["after"], "after": []}, {"after": "start"}), DEADLINE) as tester:
        runner = tester.runner
        assert runner.wait_for(lambda: runner.get_function_statuses()["wait"] is FunctionStatus.RUNNING, DEADLINE)
    assert runner.get_function_statuses() == all_of("wait after", SKIPPED)
    assert [thread for thread in threading.enumerate() if thread.name.startswith("testd")] == []


def test_a_run_goes_on_when_the_daemon_is_killed(project, house, tmp_path):
    follows = {"start": ["wait"], "wait": ["change"], "change": []}
    with WorkflowTester(project(follows), DEADLINE, folder="out") as tester:
        runner = tester.runner
        assert runner.wait_for(lambda: runner.get_function_statuses()["wait"] is FunctionStatus.RUNNING, DEADLINE)
        handlers = [each for each in house.processes() if "testd_daemon.handler" in " ".join(each.cmdline())]
        assert len(handlers) == 1
        handlers[0].kill()
        (tmp_path / "flag").touch()
        assert tester.wait_for("change") is COMPLETED
        tester.assert_content_equals("a.txt", "second")
        tester.assert_function_completed("start")
        tester.wait_for("start")
        tester.assert_content_equals("a.txt", "first")


def test_a_workflow_that_cannot_run_is_told_at_once(project):
    path = project(ONE)
    tester = WorkflowTester(path, DEADLINE, targets=("nowhere",))
    with pytest.raises(InvocationError, match=r"cannot run the workflow here: .*nowhere"), tester:
        raise AssertionError
    assert [thread for thread in threading.enumerate() if thread.name.startswith("testd")] == []


@pytest.fixture
def example(tmp_path):
    shutil.copytree(EXAMPLE, tmp_path / "orders", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    return tmp_path / "orders"


def run(house, folder, *command):
    result = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=house.environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    return result.returncode, result.stdout + result.stderr


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("pytest", "-q"), id="pytest"),
        pytest.param(("pytest", "-q", "-n2", "--dist=loadfile", "-p", "xdist"), id="xdist"),
        pytest.param(("testd_daemon.cli", "run"), id="testd"),
    ],
)
def test_the_example_passes_with_one_command(house, example, command):
    """Fact 34: also the test of what the next function deletes."""
    status, said = run(house, example, *command)
    assert status == 0, said
    assert "4 passed" in said


def test_the_public_integration_workflow_passes(house, tmp_path):
    """Fact 34: the shape of the public workflow, its one action in R rewritten in Python, and its twelve tests."""
    shutil.copytree(INTEGRATION, tmp_path / "it")
    (tmp_path / "it" / "pyproject.toml").write_text("[tool.pytest.ini_options]\npython_files = ['*_tests.py']\n")
    status, said = run(house, tmp_path / "it", "pytest", "-q")
    assert status == 0, said
    assert "12 passed" in said


def test_a_store_serves_as_long_as_a_test_looks_at_it(project):
    """It would have ended once some later runs were over."""
    path = project(ONE)
    with WorkflowTester(path, DEADLINE, folder="out") as first:
        first.wait_for("change")
        for _ in range(6):
            with WorkflowTester(path, DEADLINE, folder="out") as other:
                other.wait_for("change")
        first.assert_content_equals("a.txt", "second")
        first.wait_for("start")
        first.assert_content_equals("a.txt", "first")


@pytest.mark.parametrize("isolation", ["none", "prefix", "bucket"])
def test_functions_find_their_input_and_their_logs_are_where_they_are(project, tmp_path, isolation):
    """In every isolation; `change` deletes what was there before the run began."""
    (tmp_path / "input" / "out").mkdir(parents=True)
    (tmp_path / "input" / "out" / "gone.txt").write_text("seeded")
    stores = {"S3": {"Bucket": "files"}, "Logs": {"Bucket": "logs"}}
    path = project(ONE, DataStores=stores, LoggingDataStore="Logs")
    options = {"isolation": isolation, "input": str(tmp_path / "input"), "folder": "out"}
    with WorkflowTester(path, DEADLINE, **options) as tester:
        tester.wait_for("start")
        tester.assert_content_equals("gone.txt", "seeded")
        assert tester.get_s3_key("a.txt") == (
            f"{tester.invocation_id}/out/a.txt" if isolation == "prefix" else "out/a.txt"
        )
        assert (tester.bucket_name == "files") is (isolation != "bucket")
        tester.wait_for("change")
        tester.assert_object_does_not_exist("gone.txt")
        tester.assert_logs_contain("change", "Starting function: change")
        assert tester.runner.monitor("change").logger.store.bucket_name == "logs"


def test_a_store_of_ones_own_is_used_with_the_keys_of_the_environment(project, store, address, monkeypatch):
    monkeypatch.setenv("S3_AccessKey", address.access_key)
    monkeypatch.setenv("S3_SecretKey", address.secret_key)
    url = f"s3://{address.bucket}?endpoint={address.endpoint}"
    with WorkflowTester(project(ONE), DEADLINE, store=url, folder="out") as tester:
        tester.wait_for("change")
        tester.assert_content_equals("a.txt", "second")
        tester.wait_for("start")
        tester.assert_content_equals("a.txt", "first")
        prefix = tester.runner.invocation.folder
    assert store.get("out/a.txt") == b"second"
    assert f"{prefix}/function_completions/change.done" in store.listing(prefix)


def test_a_run_that_is_silent_times_out_and_is_cancelled(project):
    with WorkflowTester(project({"wait": []}), 1) as tester:
        with pytest.raises(
            FunctionTimedOut, match=r"^Function wait timed out: nothing was heard of the run for 1 seconds"
        ):
            tester.wait_for("wait")
        assert tester.runner.monitoring_complete


def test_a_program_that_knows_the_store_alone_sees_the_same(project, address, store, monkeypatch):
    """As if the run were one in the cloud: all shapes, while they run."""
    monkeypatch.setenv("S3_AccessKey", address.access_key)
    monkeypatch.setenv("S3_SecretKey", address.secret_key)
    follows = {
        "start": ["decide", "fail", "rank(3)"],
        "decide": [{"True": ["yes"], "False": ["no"]}],
        "yes": ["join"], "no": ["below"], "below": [],
        "rank": ["join"], "join": ["last"], "last": [],
        "fail": ["after"], "after": ["after2"], "after2": [],
    }  # fmt: skip
    names = dict.fromkeys(("yes", "no", "below", "join", "last", "after", "after2"), "start")
    stores = {"S3": {"Bucket": address.bucket, "Endpoint": address.endpoint}}
    path = project(follows, names, DataStores=stores)
    runner = WorkflowRunner(path, DEADLINE, store="document")
    payload = {**runner.workflow_data, **runner.invocation.overrides}
    command = [sys.executable, str(Path(__file__).with_name("watch_program.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        runner.trigger_workflow()
        said, _ = program.communicate(json.dumps(payload), timeout=DEADLINE)
    assert runner.wait_for(lambda: runner.monitoring_complete, DEADLINE)
    runner.cleanup()
    statuses = runner.get_function_statuses()
    assert json.loads(said) == {name: status.value for name, status in statuses.items()}
    assert statuses["join"] is COMPLETED
    assert statuses["below"] is FunctionStatus.NOT_INVOKED
    assert statuses["after2"] is SKIPPED


@pytest.mark.parametrize("keep", [False, True])
def test_buckets_of_its_own_go_with_the_block_unless_they_are_to_stay(project, store, address, monkeypatch, keep):
    """Other buckets, and the logs, are left alone."""
    monkeypatch.setenv("S3_AccessKey", address.access_key)
    monkeypatch.setenv("S3_SecretKey", address.secret_key)
    url = f"s3://{address.bucket}?endpoint={address.endpoint}"
    options = {"store": url, "folder": "out", "isolation": "bucket", "keep_buckets": keep}
    with WorkflowTester(project(ONE), DEADLINE, **options) as tester:
        tester.wait_for("change")
        tester.assert_content_equals("a.txt", "second")
        bucket = tester.bucket_name
    named = {each["Name"] for each in store.s3_client.list_buckets()["Buckets"]}
    assert bucket != address.bucket
    assert (bucket in named) is keep
    assert address.bucket in named
