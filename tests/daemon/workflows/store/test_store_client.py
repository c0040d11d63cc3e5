"""The client against moto's server: what it does, and what it says where it cannot."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio
import pytest
from anyio.to_thread import run_sync

from store_server import SHORT
from testd_daemon.errors import UsageError
from testd_daemon.workflows.store.address import Keys, parse
from testd_daemon.workflows.store.bucket import Bucket
from testd_daemon.workflows.store.client import Store
from testd_daemon.workflows.store.errors import (
    BucketMissing,
    ObjectMissing,
    StoreDenied,
    StoreError,
    StoreUnreachable,
    StoreVanished,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(address):
    store = Store(address)
    yield store
    store.close()


async def test_objects(store, tmp_path):
    await store.put("a/b.txt", b"one")
    assert await store.get("a/b.txt") == b"one"
    (tmp_path / "file").write_bytes(b"two")
    await store.put("a/c d+é.txt", tmp_path / "file")
    assert await store.fetch("a/c d+é.txt", tmp_path / "got") == 3
    assert (tmp_path / "got").read_bytes() == b"two"
    assert [(entry.key, entry.size) for entry in await store.listing("a/")] == [("a/b.txt", 3), ("a/c d+é.txt", 3)]
    found = await store.head("a/b.txt")
    assert found is not None
    assert found == (await store.listing("a/b"))[0]
    await store.delete("a/b.txt")
    await store.delete("a/b.txt")  # fact 25: what is not there is no error
    assert await store.head("a/b.txt") is None


async def test_a_missing_object(store):
    """Fact 24."""
    with pytest.raises(ObjectMissing, match=rf"^S3 object not found: s3://{store.address.bucket}/nope.txt$"):
        await store.get("nope.txt")


async def test_a_missing_bucket(address):
    store = Store(address.of("missing"))
    for operation in (store.check(), store.get("x"), store.put("x", b""), store.listing()):
        with pytest.raises(BucketMissing, match=r"s3://missing at http://127.0.0.1:\d+\nmake the bucket missing"):
            await operation
    store.close()


async def test_a_bucket_is_made_once(store):
    await store.make()
    await store.check()


def test_one_of_many_puts_what_is_absent(address):
    """Fact 14: as many as try at once, and a content that is asked about again is recognized."""
    buckets = [Bucket(address) for _ in range(8)]
    won: list[int] = []

    def compete(number):
        if buckets[number].put_if_absent("j.candidate", b"%d" % number):
            won.append(number)

    threads = [threading.Thread(target=compete, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert buckets[0].get("j.candidate") == b"%d" % won[0]
    assert buckets[0].put_if_absent("j.candidate", b"%d" % won[0])
    for each in buckets:
        each.close()


async def test_all_pages_of_a_listing(store):
    """The public system stops at 1000 keys."""
    async with anyio.create_task_group() as tasks:
        for number in range(2500):
            tasks.start_soon(store.put, f"many/{number:04}", b"")
    found = await store.listing("many/")
    assert [entry.key for entry in found] == [f"many/{number:04}" for number in range(2500)]


async def test_a_large_object(store, tmp_path):
    """50 MB."""
    path = tmp_path / "large"
    path.write_bytes(bytes(range(256)) * 4 * 50 * 1024)
    await store.put("large", path)
    assert await store.fetch("large", tmp_path / "got") == 50 * 1024 * 1024
    assert (tmp_path / "got").read_bytes() == path.read_bytes()


# --- where it cannot ---------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_unreachable(address):
    endpoint = f"http://127.0.0.1:{free_port()}"
    store = Store(replace(address, endpoint=endpoint), SHORT)
    with pytest.raises(StoreUnreachable) as caught:
        await store.put("k", b"")
    assert caught.value.message == (
        f"store S3 at {endpoint}: cannot put s3://{address.bucket}/k: Connection refused"
    )
    assert "Endpoint of the data store S3" in caught.value.hint
    assert caught.value.passing
    store.close()


class Answering:
    """A local HTTP server that has an answer for each request in turn; the last one stays."""

    def __init__(self, *answers):
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_PUT(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.do_GET()

            def do_GET(self):
                status, body = answers[min(outer.asked, len(answers) - 1)]
                outer.asked += 1
                outer.heard.set()
                if status is None:  # it vanishes
                    self.close_connection = True
                    return
                if status == "slow":
                    outer.leave.wait(30)
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body[: len(body) // 2] if status == 206 else body)
                self.close_connection = status == 206

            def log_message(self, *_):
                pass

        self.leave = threading.Event()
        self.heard = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.01,)).start()
        return self

    def __exit__(self, *_):
        self.leave.set()
        self.server.shutdown()
        self.server.server_close()


def error(code, message="no"):
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


DENIED = 403, error("AccessDenied", "Access Denied")
BUSY = 503, error("SlowDown", "Please reduce your request rate.")


async def test_denied(address):
    with Answering(DENIED) as server:
        store = Store(replace(address, endpoint=server.endpoint), SHORT)
        with pytest.raises(StoreDenied) as caught:
            await store.put("k", b"")
        assert server.asked == 1  # it will not pass
        store.close()
    assert "cannot put s3://" in caught.value.message
    assert "Access Denied (AccessDenied)" in caught.value.message
    assert "correct S3_AccessKey and S3_SecretKey" in caught.value.hint


async def test_a_name_that_no_bucket_can_have(address):
    """The store's own words say that it is wrong, and not what would be right."""
    store = Store(address.of("b"), SHORT)
    with pytest.raises(StoreError) as caught:
        await store.make()
    store.close()
    assert caught.value.hint == "correct Bucket of the data store S3: 3 to 63 small letters, digits, dashes and dots"


async def test_no_credentials(address, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    store = Store(replace(address, access_key="", secret_key=""), SHORT)
    with pytest.raises(StoreDenied, match="there are no credentials\nset S3_AccessKey and S3_SecretKey"):
        await store.get("k")
    store.close()


async def test_without_credentials(address):
    """Anonymous requests are not signed, and need no credentials."""
    named = Bucket(address)
    named.client.put_object(Bucket=address.bucket, Key="k", Body=b"open", ACL="public-read")
    named.close()
    store = Store(replace(address, access_key="", secret_key="", anonymous=True))
    assert await store.get("k") == b"open"
    store.close()


async def test_what_passes_is_tried_again(address):
    with Answering(BUSY, (None, b""), (206, b"half of it"), (200, b"whole")) as server:
        store = Store(replace(address, endpoint=server.endpoint), replace(SHORT, tries=4))
        assert await store.get("k") == b"whole"
        assert server.asked == 4
        store.close()


@pytest.mark.parametrize("last", [BUSY, (None, b""), ("slow", b"")])
async def test_vanished(address, last):
    """It has answered, and then does not any more, or not in time."""
    with Answering((200, b"x"), last) as server:
        store = Store(replace(address, endpoint=server.endpoint), SHORT)
        await store.get("k")
        with pytest.raises(StoreVanished, match=r"cannot put s3://bucket\d+/k: "):
            await store.put("k", b"x")
        assert server.asked == 1 + SHORT.tries
        store.close()


async def test_whoever_is_cancelled_does_not_wait_for_tries(address):
    with Answering(BUSY) as server:
        patience = replace(SHORT, tries=20, pause=3600.0, longest=3600.0, deadline=1e6)
        store = Store(replace(address, endpoint=server.endpoint), patience)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(store.put, "k", b"")
            await run_sync(server.heard.wait)
            tasks.cancel_scope.cancel()
        store.close()


async def test_another_answer(address):
    with Answering((400, error("InvalidRequest", "never"))) as server:
        store = Store(replace(address, endpoint=server.endpoint), SHORT)
        with pytest.raises(StoreError, match=r"never \(InvalidRequest\)"):
            await store.put("k", b"")
        assert server.asked == 1
        store.close()


def test_store_urls():
    found = parse("s3://data?endpoint=http://localhost:9000&region=eu-west-1", "S3").signed(Keys("me", "secret"))
    assert (found.bucket, found.endpoint, found.region, found.anonymous) == (
        "data",
        "http://localhost:9000",
        "eu-west-1",
        False,
    )
    assert "secret" not in repr(found)
    assert parse("s3://data?anonymous=true", "S3").anonymous
    assert not parse("s3://data?anonymous=False", "S3").anonymous


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://x", "begins with http"),
        ("data", "begins with no scheme"),
        ("s3://", "has no bucket"),
        ("s3://data/folder", "has a path, /folder,"),
        ("s3://data?bucket=x", "has bucket, which is not known"),
        ("s3://data?endpoint=localhost:9000", "has the endpoint localhost:9000, which is no URL"),
    ],
)
def test_wrong_store_urls(url, why):
    with pytest.raises(UsageError, match=why):
        parse(url, "S3")
