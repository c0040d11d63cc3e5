"""Runs that a program of its own plays into a store, watched by the store alone."""

from __future__ import annotations

import json
import logging
import signal
import threading
from pathlib import Path

import pytest
from play_invoker import DEADLINE, INTERVAL, PlayInvoker

from testd_daemon.workflows.status import FunctionStatus
from testd_daemon.workflows.store.errors import StoreUnreachable
from testd_daemon.workflows.testing import FunctionLogger, FunctionMonitor, WorkflowRunner, WorkflowTester
from testd_daemon.workflows.testing.exceptions import (
    FunctionFailed,
    FunctionSkipped,
    FunctionTimedOut,
    StopMonitoring,
    UnknownFunction,
)
from testd_daemon.workflows.testing.objects import ObjectStore
from testd_daemon.workflows.testing.poller import Poller
from workflow_files import document

COMPLETED, FAILED, SKIPPED = FunctionStatus.COMPLETED, FunctionStatus.FAILED, FunctionStatus.SKIPPED
NOT_INVOKED, TIMEOUT = FunctionStatus.NOT_INVOKED, FunctionStatus.TIMEOUT
#: Shapes: what follows what, what the actions do, what comes of it.
RANKS = {"start": ["r(5)"], "r": ["end"], "end": None}
CONDITION = {"c": [{"True": ["t"], "False": ["f"]}, "p"], "t": ["tt"], "f": ["ff"], "tt": None, "ff": None, "p": None}
FAILING = {
    "start": ["fail", "okay"],
    "fail": ["after"],
    "after": ["after2"],
    "okay": ["end"],
    "after2": None,
    "end": None,
}
DIAMOND = {"s": ["a", "b"], "a": ["j"], "b": ["j"], "j": None}
ONE = {"s": ["a"], "a": None}
FIVE = "r(1) r(2) r(3) r(4) r(5)"


@pytest.fixture
def file(tmp_path: Path):
    def write(follows, **keys):
        path = tmp_path / "workflow.json"
        path.write_text(json.dumps(document(follows, **keys)))
        return path

    return write


@pytest.fixture
def watched(file, player, store):
    """Play a run and watch it to its end; give its runner."""
    runners = []

    def run(follows, script=None, timeout=DEADLINE, **options):
        invoker = PlayInvoker(player, script, ended=timeout < DEADLINE)
        client = {"s3_client": store.s3_client, "bucket_name": store.bucket_name}
        runner = WorkflowRunner(file(follows), timeout, INTERVAL, invoker=invoker, **client, **options)
        runners.append(runner)
        runner.trigger_workflow()
        assert runner.wait_for(lambda: runner.monitoring_complete, DEADLINE)
        return runner

    yield run
    for runner in runners:
        runner.cleanup()


def all_of(names, status):
    return dict.fromkeys(names.split(), status)


@pytest.mark.parametrize(
    ("follows", "script", "expected"),
    [
        pytest.param(ONE, {}, all_of("s a", COMPLETED), id="a chain"),
        pytest.param(DIAMOND, {"a": {"seconds": 0.3}}, all_of("s a b j", COMPLETED), id="a join"),
        pytest.param(RANKS, {"r(3)": {"seconds": 0.3}}, all_of(f"start {FIVE} end", COMPLETED), id="ranks"),
        pytest.param(CONDITION, {"c": {"value": True}},
                     all_of("c t tt p", COMPLETED) | all_of("f ff", NOT_INVOKED), id="fact 21: a condition"),
        pytest.param(FAILING, {"fail": {"fails": "exit"}},
                     all_of("start okay end", COMPLETED) | all_of("after after2", SKIPPED) | {"fail": FAILED},
                     id="fact 22: a failure without completion"),
        pytest.param(FAILING, {"fail": {"fails": "raise", "late": 0.4}},
                     all_of("start okay end", COMPLETED) | all_of("after after2", SKIPPED) | {"fail": FAILED},
                     id="fact 22: an error after the completion"),
        pytest.param(ONE, {"s": {"fails": "trigger"}}, {"s": FAILED, "a": SKIPPED}, id="the next cannot be invoked"),
        pytest.param(CONDITION, {}, all_of("t tt f ff p", SKIPPED) | {"c": FAILED}, id="no value for a condition"),
        pytest.param(DIAMOND, {"a": {"fails": "raise"}, "b": {"seconds": 0.3}},
                     all_of("s b j", COMPLETED) | {"a": FAILED}, id="a join that runs in spite of a failure"),
        pytest.param(ONE, {"s": {"shuffled": True}}, all_of("s a", COMPLETED), id="a log that is rewritten"),
        *(
            pytest.param(CONDITION, {"c": {"value": True, "platform": platform}},
                         all_of("c t tt p", COMPLETED) | all_of("f ff", NOT_INVOKED), id=f"by {platform or 'nobody'}")
            for platform in ("Lambda", "OpenWhisk", "GoogleCloud", "SLURM", "Kubernetes", "")
        ),
    ],
)  # fmt: skip
def test_the_store_tells_how_a_run_went(watched, follows, script, expected):
    runner = watched(follows, script)
    assert runner.get_function_statuses() == expected
    good = set(expected.values()) <= {COMPLETED, NOT_INVOKED}
    assert runner.invocation.board.reason == ("All functions completed" if good else "All functions ended")
    assert runner.failure_detected is (FAILED in expected.values())


def test_a_run_costs_one_listing_an_interval_and_reads_only_logs_that_have_changed(file, player, store, tmp_path):
    calls = []
    go = tmp_path / "go"
    store.s3_client.meta.events.register("before-call.s3", lambda model, **_: calls.append(model.name))
    client = {"s3_client": store.s3_client, "bucket_name": store.bucket_name}
    runner = WorkflowRunner(
        file(RANKS), DEADLINE, INTERVAL, invoker=PlayInvoker(player, {"end": {"awaits": str(go)}}), **client
    )
    flushes = 3  # of each of the seven logs
    runner.trigger_workflow()
    assert runner.wait_for(lambda: runner.watch.poller.listings > 2 * flushes, DEADLINE)
    go.touch()
    assert runner.wait_for(lambda: runner.monitoring_complete, DEADLINE)
    runner.cleanup()
    listings = runner.watch.poller.listings
    assert set(calls) == {"ListObjectsV2", "GetObject"}
    assert calls.count("ListObjectsV2") == listings
    assert 7 <= calls.count("GetObject") <= 7 * flushes < 7 * listings


def test_what_the_user_logs_is_kept(watched):
    """Fact 8: lines before the first entry, in brackets, and behind the last entry, were lost."""
    lines = ["USER MESSAGE", "[x] in brackets", "last words"]
    runner = watched(ONE, {"a": {"says": lines}})
    log = runner.get_function_logs_content("a")
    assert [line for line in lines if line not in log.splitlines()] == []
    assert runner.monitor("a").logs_complete


def test_fact_9_invocations_are_told_once_the_log_is_complete(watched):
    runner = watched(DIAMOND, {"s": {"platform": "GoogleCloud"}})
    invocations = runner.monitor("s").invocations
    assert invocations == {"a", "b"}
    invocations.clear()
    assert runner.monitor("s").invocations == {"a", "b"}
    assert runner.monitor("s").get_invocation_status("b(3)").value == "invoked"
    assert runner.monitor("s").get_invocation_status("j").value == "not_invoked"


def test_a_function_that_is_silent_times_out(watched):
    """Fact 11."""
    runner = watched(ONE, {"s": {"fails": "silent"}}, timeout=0.5)
    assert runner.get_function_statuses() == all_of("s a", TIMEOUT)
    assert runner.invocation.board.reason.startswith("Timed out: nothing changed in the store for 0.5 seconds")
    assert runner.monitoring_complete


def test_a_join_that_the_backend_never_runs_says_why(watched):
    """Fact 20."""
    below = {"s": ["c"], "c": [{"True": ["t"], "False": ["f"]}], "t": ["j"], "f": ["j"], "j": None}
    runner = watched(below, {"c": {"value": True}}, timeout=1)
    assert runner.get_function_statuses() == all_of("s c t", COMPLETED) | {"f": NOT_INVOKED, "j": TIMEOUT}
    assert "never runs" in runner.why("j")
    static = watched(below, {"c": {"value": True}}, join="faasr")
    assert static.get_function_statuses() == all_of("s c t", COMPLETED) | all_of("f j", NOT_INVOKED)


def test_nothing_is_left_behind_and_nothing_taken(watched):
    handlers = list(logging.getLogger().handlers), logging.getLogger().level
    signals = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    runner = watched(ONE)
    runner.cleanup()
    assert [thread for thread in threading.enumerate() if thread.name.startswith("testd")] == []
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == handlers
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == signals


def test_a_run_can_be_watched_from_any_thread(watched):
    """Signal handlers, which only the main thread may set, made this impossible."""
    found = []
    thread = threading.Thread(target=lambda: found.append(watched(ONE).get_function_statuses()))
    thread.start()
    thread.join(DEADLINE)
    assert found == [all_of("s a", COMPLETED)]


def test_fact_11_a_shutdown_skips_what_goes_on(file, player, store):
    client = {"s3_client": store.s3_client, "bucket_name": store.bucket_name}
    runner = WorkflowRunner(file(ONE), DEADLINE, INTERVAL, invoker=PlayInvoker(player, {"s": {"seconds": 1}}), **client)
    runner.trigger_workflow()
    assert runner.wait_for(lambda: runner.get_function_statuses()["s"] is FunctionStatus.RUNNING, DEADLINE)
    assert runner.shutdown(DEADLINE)
    assert runner.get_function_statuses() == all_of("s a", SKIPPED)
    assert (runner.monitoring_complete, runner.shutdown_requested) == (True, True)


def test_a_run_of_somebody_else_is_joined_by_its_payload(file, player, store):
    payload = document(ONE, InvocationID="theirs", InvocationTimestamp="2026-11-21T20-56-38")
    client = {"s3_client": store.s3_client, "bucket_name": store.bucket_name}
    runner = WorkflowRunner(
        faasr_payload=payload, timeout=DEADLINE, check_interval=INTERVAL, stream_logs=False, **client
    )
    assert runner.get_function_statuses() == {"s": FunctionStatus.INVOKED, "a": FunctionStatus.PENDING}
    player.play(payload, "theirs")
    runner.start_monitoring()
    assert runner.wait_for(lambda: runner.monitoring_complete, DEADLINE)
    runner.cleanup()
    assert runner.get_function_statuses() == all_of("s a", COMPLETED)


def test_a_logger_and_a_monitor_work_on_their_own(player, store):
    folder = "FaaSrLog/Testing/2026-11-21T20-56-38/alone"
    player.play(document(ONE), "alone", {"a": {"says": ["hello"]}})
    common = {"invocation_folder": folder, "s3_client": store.s3_client, "bucket_name": store.bucket_name}
    monitor = FunctionMonitor(function_name="s", workflow_name="Testing", interval_seconds=INTERVAL, **common)
    logger = FunctionLogger(function_name="a", workflow_name="Testing", interval_seconds=INTERVAL, **common)
    events = []
    logger.register_callback(lambda event: events.append(event.value))
    logger.register_callback(lambda event: 1 / 0)  # must disturb nobody
    monitor.start()
    logger.start()
    assert monitor.logger.wait(DEADLINE)
    assert (monitor.status, monitor.function_complete, monitor.function_failed) == (COMPLETED, True, False)
    assert monitor.invocations == {"a"}
    assert monitor.done_key == f"{folder}/function_completions/s.done"
    player.end()
    logger.stop()
    assert logger.wait(DEADLINE)
    assert logger.logs_key == f"{folder}/a.txt"
    assert "hello" in logger.logs_content
    assert (events[0], events[-1]) == ("log_created", "log_complete")
    assert monitor.stop(DEADLINE)


def test_logs_are_streamed_to_the_logger_of_the_function(watched, caplog):
    caplog.set_level(logging.INFO, logger="a")
    watched(ONE, {"a": {"says": ["hello"]}})
    assert [record for record in caplog.records if record.name == "a"] == []
    runner = watched(ONE, {"a": {"says": ["hello"]}}, stream_logs=True)
    streamed = [record.message.removeprefix("[a] ") for record in caplog.records if record.name == "a"]
    assert streamed == runner.monitor("a").logs


def test_fact_33_waiting_for_a_function_tells_how_it_ended(file, player, store):
    client = {"s3_client": store.s3_client, "bucket_name": store.bucket_name}
    invoker = PlayInvoker(player, {"fail": {"fails": "raise"}})
    with WorkflowTester(file(FAILING), DEADLINE, INTERVAL, invoker=invoker, **client) as tester:
        assert tester.wait_for("okay") is COMPLETED
        with pytest.raises(FunctionFailed, match=r"^Error|^Function fail failed: .*(?s:.*)boom-message"):
            tester.wait_for("fail")
        assert tester.wait_for("fail", should_fail=True) is FAILED
        with pytest.raises(FunctionSkipped, match=r"^Function after2 skipped: after was skipped"):
            tester.wait_for("after2")
        with pytest.raises(UnknownFunction, match=r"no function 'aftr'\nDid you mean 'after'"):
            tester.wait_for("aftr")


def test_fact_33_waiting_for_a_function_that_times_out(file, player, store):
    client = {"s3_client": store.s3_client, "bucket_name": store.bucket_name}
    invoker = PlayInvoker(player, {"s": {"fails": "silent"}}, ended=True)
    with WorkflowTester(file(ONE), 0.5, INTERVAL, invoker=invoker, **client) as tester:
        with pytest.raises(
            FunctionTimedOut, match=r"^Function s timed out: nothing more was heard of it\n\nlog of s:\n\["
        ):
            tester.wait_for("s")
        assert tester.runner.monitoring_complete


def test_logs_and_files_may_be_in_different_stores(file, player, store, address, endpoint, monkeypatch):
    """The logging data store was ignored, and so were names of stores in the names of variables."""
    common = {"Endpoint": endpoint, "Region": "us-east-1"}
    stores = {"Files": {"Bucket": f"{address.bucket}-files", **common}, "Logs": {"Bucket": address.bucket, **common}}
    store.s3_client.create_bucket(Bucket=f"{address.bucket}-files")
    for name in stores:
        monkeypatch.setenv(f"{name}_AccessKey", address.access_key)
        monkeypatch.setenv(f"{name}_SecretKey", address.secret_key)
    path = file(DIAMOND, DataStores=stores, DefaultDataStore="Files", LoggingDataStore="Logs")
    script = {"completions": f"{address.bucket}-files", "j": {"puts": {"out/a.txt": "x"}}}
    with WorkflowTester(path, DEADLINE, INTERVAL, invoker=PlayInvoker(player, script), folder="out") as tester:
        assert tester.wait_for("j") is COMPLETED
        tester.assert_content_equals("a.txt", "x")
        assert tester.bucket_name == f"{address.bucket}-files"
        assert "Starting function" in tester.runner.get_function_logs_content("j")


def test_figures_of_a_run_come_from_its_logs_and_the_times_of_objects(watched):
    runner = watched(RANKS, {"r(4)": {"seconds": 1.5}})
    figures = runner.get_figures()
    assert {each.function for each in figures.functions} == {"start", *FIVE.split(), "end"}
    assert figures.critical  # which it is hangs on times of objects, which are whole seconds here
    assert (figures.skew["r"].ranks, figures.skew["r"].slowest) == (5, "r(4)")


class Unsteady(ObjectStore):
    """A store that answers once in a while."""

    def __init__(self, bucket, errors):
        super().__init__(bucket)
        self.errors = errors

    def listing(self, prefix):
        if self.errors:
            raise self.errors.pop(0)
        return super().listing(prefix)


def test_a_store_that_does_not_answer_for_a_while_is_asked_again(store):
    errors = [StoreUnreachable("it does not answer"), StoreUnreachable("it does not answer"), ZeroDivisionError("ours")]
    poller = Poller(Unsteady(store.bucket, errors), "folder", 0.01)
    seen, troubles = [], []
    done = threading.Event()

    def reader(listing):
        seen.append(listing)
        troubles.append(poller.trouble)
        if listing is not None:
            done.set()
            raise StopMonitoring

    poller.add(reader)
    poller.start()
    assert done.wait(DEADLINE)
    assert poller.stop(DEADLINE)
    assert seen == [None, None, None, {}]
    assert troubles == ["it does not answer", "it does not answer", "ZeroDivisionError: ours", ""]


def test_a_store_that_is_gone_is_the_reason_of_the_timeout(file, player, store):
    client = {"s3_client": store.s3_client, "bucket_name": "there-is-none"}
    runner = WorkflowRunner(file(ONE), 0.2, INTERVAL, invoker=PlayInvoker(player), **client)
    runner.trigger_workflow()
    assert runner.wait_for(lambda: runner.monitoring_complete, DEADLINE)
    runner.cleanup()
    assert runner.get_function_statuses() == all_of("s a", TIMEOUT)
    assert "S3 bucket not found: s3://there-is-none" in runner.invocation.board.reason
