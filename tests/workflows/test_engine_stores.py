"""Stores of a workflow from outside: which one it has, what keeps runs apart, and what follows where one fails."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from flows import BUCKET, Flow, Told

from store_server import end_server, start_server
from testd_daemon.workflows.store.address import EMBEDDED_KEY, Address
from testd_daemon.workflows.store.bucket import Bucket
from testd_daemon.workflows.store.errors import BucketMissing
from testd_daemon.workflows.store.versions import History

KEYS = {"S3_AccessKey": EMBEDDED_KEY, "S3_SecretKey": EMBEDDED_KEY}
#: Copies what it finds, says what there is, and removes what it began with.
FUNCTIONS = """
    def write():
        with open("x", "w") as file: file.write(faasr_invocation_id())
        faasr_put_file("x", remote_folder="out", remote_file="x.txt")

    def look():
        faasr_log(" ".join(faasr_get_folder_list(prefix="out")))
        faasr_get_file("y", remote_folder="out", remote_file="x.txt")
        with open("y") as file:
            faasr_log(file.read())
        faasr_log(faasr_get_s3_creds()["bucket"])

    def remove():
        faasr_delete_file("out/x.txt")

    def read_input():
        faasr_get_file("in", remote_folder="given", remote_file="in.txt")
        with open("in") as file:
            faasr_log(file.read())
"""


class StoreProcess(NamedTuple):
    """A store's process, which can be held."""

    process: subprocess.Popen[bytes]
    endpoint: str

    def hold(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def store_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """A store that is not the run's own, and can be held."""
    made = StoreProcess(*start_server(tmp_path_factory.mktemp("store") / "journal"))
    address = Address(
        name="S3", bucket=BUCKET, endpoint=made.endpoint, access_key=EMBEDDED_KEY, secret_key=EMBEDDED_KEY
    )
    bucket = Bucket(address)
    bucket.make()
    bucket.close()
    yield made
    made.go_on()
    end_server(made.process)


@pytest.fixture
def writing(flow: Flow) -> Flow:
    flow.functions(FUNCTIONS)
    flow.workflow({"write": ["look"], "look": []})
    return flow


@pytest.fixture
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """A store that is not the run's own."""
    process, endpoint = start_server(tmp_path_factory.mktemp("store") / "journal")
    address = Address(
        name="S3", bucket=BUCKET, endpoint=endpoint, access_key=EMBEDDED_KEY, secret_key=EMBEDDED_KEY
    )
    bucket = Bucket(address)
    bucket.make()
    bucket.close()
    yield address
    if process.poll() is None:
        end_server(process)


def all_right(told: Told) -> None:
    assert told.code == 0, told.failures()


def keys(address: Address) -> list[str]:
    bucket = Bucket(address)
    found = [entry.key for entry in bucket.listing()]
    bucket.close()
    return found


def test_buckets_of_a_run_stay_until_they_are_cleaned(writing: Flow, store: Address) -> None:
    """Not those of another run, nor the bucket that they stand for; once they are gone that is said."""
    url = f"s3://{BUCKET}?endpoint={store.endpoint}"
    one, two = (writing.run("--store", url, "--isolation", "bucket", "--id", name, **KEYS) for name in ("one", "two"))
    all_right(one)
    (own,) = one.plan["own"]
    assert own == {"name": "S3", "bucket": one.plan["store"]["bucket"], "endpoint": store.endpoint, "region": ""}
    assert keys(store.of(own["bucket"]))
    run = one.completed["run"]
    assert _clean(writing, run) == f"removed {own['bucket']} of {store.endpoint}\n"
    with pytest.raises(BucketMissing):
        keys(store.of(own["bucket"]))
    assert keys(store.of(two.plan["own"][0]["bucket"]))
    assert f"{one.plan['folder']}/look.txt" in keys(store)
    assert _clean(writing, run) == f"{own['bucket']} is not there any more\n"


@pytest.mark.parametrize("options", [(), ("--isolation", "bucket"), ("--isolation", "prefix")])
def test_what_is_not_a_bucket_of_its_own_is_not_cleaned(writing: Flow, options: tuple[str, ...]) -> None:
    told = writing.run(*options)
    all_right(told)
    assert told.plan["own"] == []
    assert "has no buckets of its own that stay" in _clean(writing, told.completed["run"])


def test_which_run_is_cleaned_has_to_be_said(flow: Flow) -> None:
    """The newest one was taken: while a run was about to begin, that was another one than its user meant."""
    done = subprocess.run(
        flow.command("workflow", "clean"), cwd=flow.root, env=flow.environment, check=False, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 4
    assert "RUN" in done.stderr


def _clean(flow: Flow, run: str) -> str:
    return subprocess.run(
        flow.command("workflow", "clean", run), cwd=flow.root, env={**flow.environment, **KEYS}, check=True,
        capture_output=True, text=True,
    ).stdout  # fmt: skip


@pytest.mark.parametrize("mode", ["none", "prefix", "bucket"])
def test_functions_see_the_names_that_they_give(writing: Flow, store: Address, mode: str) -> None:
    """Two runs in one store: with prefix and bucket they do not meet. The logs are where they always are."""
    url = f"s3://{BUCKET}?endpoint={store.endpoint}"
    told = {name: writing.run("--store", url, "--isolation", mode, "--id", name, **KEYS) for name in ("one", "two")}
    for name, run in told.items():
        all_right(run)
        listed, content, bucket = run.printed("look").splitlines()
        assert (listed, content) == ("out/x.txt", name)
        found = keys(store)
        assert f"{run.plan['folder']}/look.txt" in found
        assert f"{run.plan['folder']}/function_completions/look.done" in found
        assert run.plan["prefix"] == {"none": "", "prefix": f"{name}/", "bucket": ""}[mode]
        assert (bucket == BUCKET) is (mode != "bucket")
        assert run.plan["store"]["bucket"] == bucket
        assert run.plan["prefix"] + "out/x.txt" in keys(store.of(bucket))
    assert (told["one"].plan["store"]["bucket"] == told["two"].plan["store"]["bucket"]) is (mode != "bucket")


@pytest.mark.parametrize("mode", ["none", "prefix", "bucket"])
def test_input_is_there_before_it_begins(writing: Flow, tmp_path_factory: pytest.TempPathFactory, mode: str) -> None:
    folder = tmp_path_factory.mktemp("input")
    (folder / "given").mkdir()
    (folder / "given" / "in.txt").write_text("before the trigger")
    writing.workflow({"read-input": []})
    told = writing.run("--input", str(folder), "--isolation", mode)
    all_right(told)
    assert told.printed("read-input") == "before the trigger\n"


def test_input_that_is_none(writing: Flow) -> None:
    told = writing.run("--input", "nowhere")
    assert told.code == 4
    assert told.completed["reason"].endswith("nowhere does not exist")


def test_the_store_as_it_was_when_a_function_completed(writing: Flow) -> None:
    """Fact 34: what a successor has deleted since."""
    writing.workflow({"write": ["remove"], "remove": []})
    told = writing.run()
    all_right(told)
    at = {event["function"]: event["sequence"] for event in told.of("function") if event["status"] == "completed"}
    shown = told.plan["store"]
    bucket = Bucket(
        Address(
            name="S3", bucket=shown["bucket"], endpoint=shown["endpoint"], access_key=shown["access_key"],
            secret_key=shown["secret_key"],
        )
    )  # fmt: skip
    history = History(Path(told.plan["state"]))
    assert history.view(bucket, at["write"]).get("out/x.txt").decode() == told.plan["invocation"]
    assert not history.view(bucket, at["remove"]).exists("out/x.txt")
    bucket.close()
    (deleted,) = [event for event in told.of("store") if event["verb"] == "delete"]
    assert Path(deleted["kept"]).read_text() == told.plan["invocation"]


# --- which store it has ------------------------------------------------------------------------------------------


def test_the_data_stores_of_the_document(writing: Flow, store: Address) -> None:
    """With credentials for it in the environment, the document's own data store is used."""
    writing.workflow(
        {"write": ["look"], "look": []},
        DataStores={"S3": {"Bucket": BUCKET, "Endpoint": store.endpoint, "Region": "us-east-1"}},
    )
    told = writing.run("--store", "document", **KEYS)
    all_right(told)
    assert "out/x.txt" in keys(store)
    assert "access_key" not in told.plan["store"]
    assert EMBEDDED_KEY not in str(told.plan["store"])


def test_credentials_for_one_of_two(writing: Flow, store: Address) -> None:
    data = {"Bucket": BUCKET, "Endpoint": store.endpoint}
    writing.workflow({"write": []}, DataStores={"S3": data, "Other": data})
    told = writing.run("--store", "document", **KEYS)
    assert told.code == 4
    assert told.completed["reason"] == "there are no credentials for the data store Other"
    assert "set Other_AccessKey and Other_SecretKey" in told.completed["hint"]


def test_what_may_not_be_written(writing: Flow, store: Address) -> None:
    data = {"Bucket": BUCKET, "Endpoint": store.endpoint}
    writing.workflow({"write": []}, DataStores={"S3": data | {"Writable": "False"}})
    told = writing.run("--store", "document", **KEYS)
    assert told.code == 1
    assert "S3 may not be written: its Writable is false" in told.message("write")


# --- where it fails ----------------------------------------------------------------------------------------------


def test_a_bucket_that_is_not_there(writing: Flow, store: Address) -> None:
    told = writing.run("--store", f"s3://missing?endpoint={store.endpoint}", **KEYS)
    assert told.code == 4
    assert told.completed["reason"] == f"S3 bucket not found: s3://missing at {store.endpoint}"
    assert told.statuses == {}


def test_a_store_that_denies(writing: Flow) -> None:
    class Denying(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(403)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Denying)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    told = writing.run("--store", f"s3://{BUCKET}?endpoint=http://127.0.0.1:{server.server_port}", **KEYS)
    server.shutdown()
    server.server_close()
    assert told.code == 4
    assert f"cannot look at s3://{BUCKET}: Forbidden (403)" in told.completed["reason"]
    assert "correct S3_AccessKey and S3_SecretKey" in told.completed["hint"]


def test_a_store_that_vanishes(
    flow: Flow, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It is tried again, and then the run ends and says so; what was written is in the store when it is back."""
    marks, journal = tmp_path_factory.mktemp("marks"), tmp_path_factory.mktemp("store") / "journal"
    flow.functions(f"""
        import pathlib, time

        def first():
            open("x", "w").close()
            faasr_put_file("x", "first.txt")

        def second():
            faasr_log("here")
            while not pathlib.Path({str(marks)!r}, "go").exists():
                time.sleep(0.01)
            open("x", "w").close()
            faasr_put_file("x", "second.txt")

        def third():
            pass
    """)
    flow.workflow({"first": ["second"], "second": ["third"], "third": []})
    process, endpoint = start_server(journal)
    address = Address(name="S3", bucket=BUCKET, endpoint=endpoint, access_key=EMBEDDED_KEY, secret_key=EMBEDDED_KEY)
    bucket = Bucket(address)
    bucket.make()
    bucket.close()
    flow.environment.update(KEYS)
    running = flow.start("--store", f"s3://{BUCKET}?endpoint={endpoint}")
    running.until(event="output", test="second")
    process.kill()
    process.wait()
    (marks / "go").touch()
    told = running.end()
    assert told.code == 1
    assert told.statuses == {"first": "completed", "second": "failed", "third": "skipped"}
    assert "cannot look at" in told.message("second")
    assert "second.txt: Connection refused" in told.message("second")
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()
    process, endpoint = start_server(journal)
    left = keys(Address(name="S3", bucket=BUCKET, endpoint=endpoint, access_key=EMBEDDED_KEY, secret_key=EMBEDDED_KEY))
    assert "first.txt" in left
    assert f"{told.plan['folder']}/function_completions/first.done" in left
    assert "second.txt" not in left
    end_server(process)


def test_what_has_returned_never_runs_again(flow: Flow, store_process: StoreProcess) -> None:
    """The agent dies between a function's return and its completion in the store, which hangs at that moment."""
    marks = flow.root / "marks"
    marks.mkdir()
    flow.functions(f"""
        import pathlib, time
        MARKS = pathlib.Path({str(marks)!r})
        def start():
            with (MARKS / "ran").open("a") as file: file.write("start\\n")
            faasr_log("here")
            while not (MARKS / "go").exists(): time.sleep(0.01)
            return True
        def yes(): pass
    """)
    flow.workflow({"start": [{"True": ["yes"], "False": []}], "yes": []})
    flow.environment |= KEYS
    running = flow.start("--store", f"s3://{BUCKET}?endpoint={store_process.endpoint}")
    running.until(event="output", test="start")
    state = Path(running.seen(event="workflow")["state"])
    store_process.hold()
    (marks / "go").touch()
    flow.wait(lambda: b"returned" in (state / "journal.jsonl").read_bytes())
    os.kill(flow.agent(), signal.SIGKILL)
    store_process.go_on()
    told = running.end()
    assert told.code == 0, told.failures()
    assert told.statuses == {"start": "completed", "yes": "completed"}
    assert (marks / "ran").read_text() == "start\n"


# --- after a kill ------------------------------------------------------------------------------------------------


def test_the_record_of_changes_goes_on_after_a_kill(flow: Flow, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The agent is killed in the middle. The store has another port then; what was kept is still found, and goes on."""
    marks, folder = tmp_path_factory.mktemp("marks"), tmp_path_factory.mktemp("input")
    (folder / "x.txt").write_text("zero")
    flow.functions(f"""
        import pathlib, time

        def put(text):
            with open("x", "w") as file: file.write(text)
            faasr_put_file("x", "x.txt")

        def first():
            put("one")

        def second():
            faasr_log("here")
            while not pathlib.Path({str(marks)!r}, "go").exists():
                time.sleep(0.01)

        def third():
            put("two")
    """)
    flow.workflow({"first": ["second"], "second": ["third"], "third": []})
    running = flow.start("--isolation", "prefix", "--input", str(folder))
    running.until(event="output", test="second")
    os.kill(flow.agent(), signal.SIGKILL)
    (marks / "go").touch()
    told = running.end()
    all_right(told)
    assert [event["sequence"] for event in told.of("store")] == [1, 2]
    at = {event["function"]: event["sequence"] for event in told.of("function") if event["status"] == "completed"}
    shown, key = told.plan["store"], told.plan["prefix"] + "x.txt"
    bucket = Bucket(
        Address(
            name="S3", bucket=shown["bucket"], endpoint=shown["endpoint"], access_key=shown["access_key"],
            secret_key=shown["secret_key"],
        )
    )  # fmt: skip
    history = History(Path(told.plan["state"]))
    seen = [history.view(bucket, sequence).get(key) for sequence in (0, at["first"], at["second"], at["third"])]
    assert seen == [b"zero", b"one", b"one", b"two"]
    bucket.close()
