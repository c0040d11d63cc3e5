"""A store as it was: what is kept of it, and what is seen of it while it goes on changing."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from testd_daemon.workflows.store.bucket import Bucket
from testd_daemon.workflows.store.client import Store
from testd_daemon.workflows.store.errors import ObjectMissing
from testd_daemon.workflows.store.versions import History, Limits, NotKept, Versions

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(address):
    store = Store(address)
    yield store
    store.close()


@pytest.fixture
def versions(tmp_path):
    versions = Versions(tmp_path)
    yield versions
    versions.close()


async def put(versions, store, key, content):
    async with versions.changing("f", "put", store, key, len(content)) as change:
        await store.put(key, content)
    return change


async def delete(versions, store, key):
    async with versions.changing("g", "delete", store, key) as change:
        await store.delete(key)
    return change


async def test_the_store_at_any_moment(versions, store, bucket, tmp_path):
    """After each of these changes it is seen as it was then, whatever came later."""
    await store.put("old", b"from before")
    made = [
        (put, "a", b"1"),
        (put, "a", b"2"),
        (put, "old", b"new"),
        (delete, "a"),
        (delete, "never there"),
        (put, "a", b"3"),
    ]
    seen = [{"old": b"from before"}]
    for action, key, *content in made:
        change = await action(versions, store, key, *content)
        assert change.sequence == len(seen) == versions.sequence
        seen.append({entry.key: await store.get(entry.key) for entry in await store.listing()})
    history = History(tmp_path)
    for sequence, expected in enumerate(seen):
        view = history.view(bucket, sequence)
        assert {key: view.get(key) for key in view.listing()} == expected
        for key in ("a", "old", "never there"):
            assert view.exists(key) == (key in expected)
            if key not in expected:
                with pytest.raises(ObjectMissing, match=f"S3 object not found: s3://{bucket.address.bucket}/{key}"):
                    view.get(key)


async def test_what_a_successor_deletes_at_once(versions, store, bucket, tmp_path):
    """Fact 34: `create-input` has completed, and its successor has deleted its output before anybody looked."""
    await put(versions, store, "input1.txt", b"one")
    completed = versions.sequence
    await delete(versions, store, "input1.txt")
    view = History(tmp_path).view(bucket, completed)
    assert view.get("input1.txt") == b"one"
    assert view.exists("input1.txt")
    assert view.listing() == ["input1.txt"]


class Interfering(Bucket):
    """A bucket that is changed as soon as somebody has looked, or just before."""

    def __init__(self, address, act, *, first):
        super().__init__(address)
        self.act, self.first = act, first

    def _try(self, verb, key, call):
        if self.first:
            self.act()
        try:
            return super()._try(verb, key, call)
        finally:
            if not self.first:
                self.act()


@pytest.mark.parametrize("first", [True, False])
async def test_what_changes_while_it_is_looked_at(versions, store, address, tmp_path, first):
    """The race itself: the line of a change is there before the change."""
    await put(versions, store, "k", b"then")
    sequence = versions.sequence
    plain = Bucket(address)
    acted = []

    async def change():
        async with versions.changing("g", "delete", store, "k"):
            plain.delete("k")

    def act():
        if not acted:
            acted.append(anyio.from_thread.run(change))

    view = History(tmp_path).view(Interfering(address, act, first=first), sequence)
    assert await anyio.to_thread.run_sync(view.get, "k") == b"then"
    plain.close()


async def test_a_change_that_failed(versions, store, bucket, tmp_path):
    """Its line is there, and what is seen is what was there."""
    await put(versions, store, "k", b"v")
    sequence = versions.sequence
    with pytest.raises(OSError, match="vanished"):
        async with versions.changing("f", "put", store, "k", 1):
            raise OSError("vanished")
    view = History(tmp_path).view(bucket, sequence)
    assert view.get("k") == b"v"
    assert versions.sequence == 2


async def test_changes_of_one_object_side_by_side(versions, store, bucket, tmp_path):
    """The order of the numbers is that of the contents."""
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(put, versions, store, "k", b"%d" % number)
    history = History(tmp_path)
    contents = [history.view(bucket, sequence).get("k") for sequence in range(1, 21)]
    assert sorted(map(int, contents)) == list(range(20))
    assert contents[-1] == bucket.get("k")
    assert not versions._turns


async def test_what_is_too_much(store, bucket, tmp_path):
    versions = Versions(tmp_path, Limits(one=10, all=15))
    await put(versions, store, "large", b"x" * 11)
    change = await put(versions, store, "large", b"y")
    assert change.lost == "it had 11 bytes, and 10 are kept of an object"
    await put(versions, store, "a", b"x" * 10)
    await put(versions, store, "a", b"z" * 10)
    change = await put(versions, store, "a", b"")
    assert change.lost == "15 bytes are kept of a run, and these were full"
    history = History(tmp_path)
    assert history.view(bucket, 3).get("a") == b"x" * 10
    assert history.view(bucket, 1).exists("large")
    assert "large" in history.view(bucket, 1).listing()
    with pytest.raises(NotKept, match=r"(?s)large was replaced by f, .* 10 are kept of an object\nassert on it in a"):
        history.view(bucket, 1).get("large")
    versions.close()


async def test_it_goes_on_after_a_kill(store, bucket, tmp_path):
    """The next process goes on with the numbers; a line that was cut off is none."""
    versions = Versions(tmp_path)
    await put(versions, store, "k", b"1")
    await put(versions, store, "k", b"2")
    versions.close()
    history = History(tmp_path)
    assert len(history.since(bucket.address.place, bucket.address.bucket, 0)) == 1
    with (tmp_path / "changes.jsonl").open("ab") as file:
        file.write(b'{"sequence": 3, "func')
    versions = Versions(tmp_path)
    assert versions.sequence == 2
    change = await put(versions, store, "k", b"3")
    assert change.sequence == 3
    assert history.view(bucket, 1).get("k") == b"1"
    assert history.view(bucket, 2).get("k") == b"2"
    assert history.view(bucket, 3).get("k") == b"3"
    versions.close()


async def test_buckets_of_one_name_in_two_stores(versions, store, bucket, tmp_path):
    await put(versions, store, "k", b"1")
    assert History(tmp_path).since("http://elsewhere", bucket.address.bucket, 0) == {}


async def test_an_embedded_store_that_was_started_again(versions, store, address, tmp_path):
    """It has another port then, and is the same store."""
    await put(versions, store, "k", b"1")
    await delete(versions, store, "k")
    moved = replace(address, endpoint="http://127.0.0.1:1")
    assert list(History(tmp_path).since(moved.place, moved.bucket, 1)) == ["k"]
