"""The embedded store as a process: its start, its end, what it keeps, and what its death costs."""

from __future__ import annotations

import http.client
import os
import select
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from io import BytesIO

import anyio
import boto3
import psutil
import pytest
from boto3.s3.transfer import TransferConfig

from store_server import SHORT, end_server, start_server
from testd_daemon.errors import ProcessCrashed
from testd_daemon.workflows.store import embedded as module
from testd_daemon.workflows.store.address import EMBEDDED_KEY, Address
from testd_daemon.workflows.store.bucket import Bucket
from testd_daemon.workflows.store.client import Store
from testd_daemon.workflows.store.embedded import JOURNAL, Embedded, embedded
from testd_daemon.workflows.store.errors import ExtraMissing, StoreVanished

pytestmark = pytest.mark.anyio


def opened(endpoint, name="bucket"):
    return Bucket(
        Address(name="S3", bucket=name, endpoint=endpoint, access_key=EMBEDDED_KEY, secret_key=EMBEDDED_KEY)
    )


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_it_serves_for_the_length_of_a_block(tmp_path):
    async with embedded(tmp_path / "run") as store:
        client = Store(store.address("bucket"))
        await client.make()
        await client.put("k", b"v")
        pid = store.pid
        assert alive(pid)
        client.close()
    assert not alive(pid)
    async with embedded(tmp_path / "run") as store:
        client = Store(store.address("bucket"))
        assert await client.get("k") == b"v"
        client.close()


async def test_when_it_dies_another_one_takes_its_place(tmp_path):
    """Killed in the middle: requests meanwhile are tried again, and all objects are there."""
    async with embedded(tmp_path) as store:
        client = Store(store.address("bucket"))
        await client.make()
        await client.put("k", b"v")
        first, endpoint = store.pid, store.endpoint
        os.kill(first, signal.SIGKILL)
        assert await client.get("k") == b"v"
        assert store.endpoint == endpoint
        assert store.pid != first
        client.close()


@pytest.mark.parametrize("kill", [False, True])
async def test_one_that_is_ready_before_it_is_wanted(tmp_path, kill):
    """It loads ahead; killed while it waits it costs a start."""
    before = {child.pid for child in psutil.Process().children()}
    async with anyio.create_task_group() as tasks:
        store = Embedded()
        tasks.start_soon(store.serve)
        await anyio.wait_all_tasks_blocked()
        (waiting,) = {child.pid for child in psutil.Process().children()} - before
        if kill:
            os.kill(waiting, signal.SIGKILL)
        await store.begin(tmp_path)
        client = Store(store.address("bucket"))
        await client.make()
        assert (store.pid == waiting) is not kill
        client.close()
        tasks.cancel_scope.cancel()


async def test_when_it_cannot_come_back(tmp_path, monkeypatch):
    """Whoever uses it is told; the block goes on."""
    async with embedded(tmp_path) as store:
        client = Store(store.address("bucket"), SHORT)
        await client.make()
        monkeypatch.setattr(module, "PROGRAM", "testd_daemon.there_is_no_such_program")
        os.kill(store.pid, signal.SIGKILL)
        with pytest.raises(StoreVanished, match="cannot put s3://bucket/k: Connection refused"):
            await client.put("k", b"v")
        client.close()


async def test_what_hinders_its_start(tmp_path):
    (tmp_path / JOURNAL).write_bytes(b"this is no database" * 100)
    with pytest.raises(ProcessCrashed) as caught:
        async with embedded(tmp_path):
            pass
    assert "file is not a database" in caught.value.stderr


async def test_a_failure_of_the_block_is_its_own(tmp_path):
    with pytest.raises(KeyError):
        async with embedded(tmp_path):
            raise KeyError


async def test_a_missing_extra(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MODULES", ("boto3", "there_is_no_such_module"))
    with pytest.raises(ExtraMissing, match=r"there_is_no_such_module, which is not installed\npip install"):
        async with embedded(tmp_path):
            pass


PARENT = """
import sys, anyio
from pathlib import Path
from testd_daemon.workflows.store.embedded import embedded
async def main():
    async with embedded(Path(sys.argv[1])) as store:
        print(store.pid, flush=True)
        await anyio.sleep(1000)
anyio.run(main)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_when_its_parent_is_killed(tmp_path, number):
    """No orphan for more than two seconds, however the parent dies."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE)
    pid = int(parent.stdout.readline())
    os.kill(parent.pid, number)
    parent.wait()
    parent.stdout.close()
    descriptor = None
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    assert select.select([descriptor], [], [], 2.0)[0], "it lives on"
    os.close(descriptor)


def test_it_ends_while_it_starts():
    """The parent may die before the store serves."""
    argv = [sys.executable, "-m", "testd_daemon.workflows.store.server"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.close()
    assert process.wait(20) == 0
    process.stdout.close()


def test_it_listens_on_this_machine_alone(endpoint):
    port = int(endpoint.rpartition(":")[2])
    with pytest.raises(OSError, match=r"refused|unreachable"), socket.create_connection((other_address(), port), 1):
        pass


def other_address():
    """An address of this machine that is not 127.0.0.1."""
    return "127.0.0.2"


# --- what it keeps -----------------------------------------------------------------------------------------------


@pytest.fixture
def life(tmp_path):
    """Call with what to do: it is done with a store, which is killed; what is left is looked at in the next one."""

    def live(do):
        process, endpoint = start_server(tmp_path / JOURNAL)
        bucket = opened(endpoint)
        try:
            return do(bucket)
        finally:
            bucket.close()
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()

    return live


def all_of(bucket):
    return {entry.key: bucket.get(entry.key) for entry in bucket.listing()}


def test_what_was_put_and_deleted(life):
    def do(bucket):
        bucket.make()
        bucket.put("log", b"one")
        bucket.put("log", b"one, two")
        bucket.put("gone", b"x")
        bucket.delete("gone")
        bucket.put("back", b"x")
        bucket.delete("back")
        bucket.put("back", b"y")
        bucket.put_if_absent("won", b"1")
        bucket.put("ü +/%20&?=#", b"named")
        bucket.client.put_object(Bucket="bucket", Key="marked", Body=b"", Metadata={"my_key": "v"})
        return all_of(bucket)

    before = life(do)
    assert before["log"] == b"one, two"
    assert life(all_of) == before
    assert life(all_of) == before
    found = life(lambda bucket: bucket.client.head_object(Bucket="bucket", Key="marked"))
    assert found["Metadata"] == {"my_key": "v"}


def test_when_it_was_put(life):
    def do(bucket):
        bucket.make()
        bucket.put("k", b"v")
        return bucket.listing()

    before = life(do)
    time.sleep(1.1)  # times of objects are told in whole seconds
    assert life(Bucket.listing) == before


def test_copies_keep_what_was_copied(life):
    """What is put over the source of a copy must not take its place in the journal."""

    def do(bucket):
        bucket.make()
        bucket.put("a", b"1")
        bucket.client.copy_object(Bucket="bucket", Key="b", CopySource="bucket/a")
        bucket.put("a", b"2")
        bucket.put("a", b"3")

    life(do)
    assert life(all_of) == {"a": b"3", "b": b"1"}


def test_uploads_in_parts(life):
    """An upload has another number in the next life: its parts find it, also those that are still to come."""
    part = b"p" * 5 * 1024 * 1024

    def begin(bucket):
        bucket.make()
        settings = TransferConfig(multipart_threshold=1, multipart_chunksize=len(part), use_threads=False)
        bucket.client.upload_fileobj(BytesIO(part + b"end"), "bucket", "whole", Config=settings)

    life(begin)
    assert life(all_of) == {"whole": part + b"end"}


def test_what_failed_is_not_kept(life):
    def do(bucket):
        bucket.make()
        bucket.put("k", b"v")
        assert not bucket.put_if_absent("k", b"other")

    life(do)
    assert life(all_of) == {"k": b"v"}


def test_a_log_that_grows_is_kept_once(life, tmp_path):
    def do(bucket):
        bucket.make()
        for number in range(50):
            bucket.put("log", b"x" * number * 4096)

    life(do)
    life(all_of)  # SQLite takes its own journal in
    assert (tmp_path / JOURNAL).stat().st_size < 30 * 4096 * 50


def test_what_aws_would_mean(tmp_path, monkeypatch):
    """Variables for AWS, or for tests with moto, are the user's and not its own."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    process, endpoint = start_server(tmp_path / JOURNAL)
    bucket = opened(endpoint)
    bucket.make()
    bucket.close()
    end_server(process)


# --- clients of users --------------------------------------------------------------------------------------------


@pytest.fixture
def client(endpoint):
    """boto3 as it comes: with checksums in trailers, and whatever else it does by itself."""
    client = boto3.client(
        "s3", endpoint_url=endpoint, aws_access_key_id="testd", aws_secret_access_key="testd", region_name="us-east-1"
    )
    client.create_bucket(Bucket="theirs")
    yield client
    for entry in client.list_objects_v2(Bucket="theirs").get("Contents", ()):
        client.delete_object(Bucket="theirs", Key=entry["Key"])
    client.delete_bucket(Bucket="theirs")
    client.close()


def test_what_clients_of_users_do(client, tmp_path):
    client.put_object(Bucket="theirs", Key="a/one", Body=b"0123456789")
    (tmp_path / "file").write_bytes(b"x" * 20_000_000)
    client.upload_file(str(tmp_path / "file"), "theirs", "a/file")
    client.put_object(Bucket="theirs", Key="stream", Body=BytesIO(b"streamed"), ContentType="text/plain")
    assert client.get_object(Bucket="theirs", Key="a/one", Range="bytes=2-4")["Body"].read() == b"234"
    client.download_file("theirs", "a/file", str(tmp_path / "got"))
    assert (tmp_path / "got").read_bytes() == (tmp_path / "file").read_bytes()
    found = client.list_objects_v2(Bucket="theirs", Delimiter="/")
    assert [entry["Prefix"] for entry in found["CommonPrefixes"]] == ["a/"]
    assert [entry["Key"] for entry in found["Contents"]] == ["stream"]
    assert client.list_objects_v2(Bucket="theirs", Prefix="a/")["KeyCount"] == 2
    assert client.head_object(Bucket="theirs", Key="stream")["ContentType"] == "text/plain"
    url = client.generate_presigned_url("get_object", {"Bucket": "theirs", "Key": "stream"})
    with urllib.request.urlopen(url) as answered:
        assert answered.read() == b"streamed"
    client.delete_objects(Bucket="theirs", Delete={"Objects": [{"Key": "a/one"}, {"Key": "a/file"}]})
    assert client.list_objects_v2(Bucket="theirs")["KeyCount"] == 1


def test_a_body_in_chunks(client, endpoint):
    """As HTTP has them, from a client that does not know how much it will send."""
    connection = http.client.HTTPConnection(endpoint.removeprefix("http://"))
    url = client.generate_presigned_url("put_object", {"Bucket": "theirs", "Key": "chunks"})
    path = url.removeprefix(endpoint)
    for number in range(2):  # the connection is kept
        connection.request("PUT", path, iter([b"some", b" and ", str(number).encode()]), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})  # fmt: skip
        answered = connection.getresponse()
        assert (answered.status, answered.read()) == (200, b"")
    connection.close()
    assert client.get_object(Bucket="theirs", Key="chunks")["Body"].read() == b"some and 1"


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"what is this\r\n\r\n", b"this is not HTTP/1.1"),
        (b"GET / HTTP/1.1\r\nno header\r\n\r\n", b"this is not a header: no header"),
        (b"PUT /b/k HTTP/1.1\r\nContent-Length: -1\r\n\r\n", b"Content-Length is -1"),
        (b"PUT /b/k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", b"a chunk has no size"),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 500 + b"\r\n", b"its head has too many lines"),
    ],
)
def test_what_is_no_request(endpoint, sent, why):
    """It is told, and the next client is served."""
    port = int(endpoint.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(sent)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert answer.endswith(why)
