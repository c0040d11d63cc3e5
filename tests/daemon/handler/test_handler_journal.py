"""The journal: what it keeps, and what happens when it cannot. The disk is really full."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from daemon_house import kinds, outcomes, until

from testd_daemon.errors import FaultError, JournalError, JournalFull
from testd_daemon.handler.store import Entry, RunRow, Store


def row(run="r1", **changes):
    fields = {
        "run": run,
        "key": "",
        "workspace": "/w",
        "request": b"",
        "state": "accepted",
        "accepted_at": 1.0,
        "detach": False,
    }
    return RunRow(**(fields | changes))


def entry(number, seq, body=b"x", *, exit_code=None):
    return Entry(number, seq, body, "finished" if exit_code is not None else "running", {"passed": seq}, 9, exit_code)


@pytest.fixture
def store(tmp_path):
    made = Store(str(tmp_path / "journal.sqlite"))
    yield made
    made.close()


# ── the database ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_events_come_back_in_order_and_in_pieces(store):
    first, second = store.add(row("r1")), store.add(row("r2"))
    store.append([entry(first.number, seq, b"%d" % seq) for seq in range(1, 6)] + [entry(second.number, 1, b"other")])
    assert store.read(first.number, 0, 1000) == [(seq, b"%d" % seq) for seq in range(1, 6)]
    assert store.read(first.number, 2, 2) == [(3, b"3"), (4, b"4")]
    assert store.read(first.number, 4, 1) == [(5, b"5")]
    assert store.read(first.number, 5, 1) == []


def test_a_run_knows_how_far_it_is(store):
    number = store.add(row(request=b"what was asked")).number
    store.append([entry(number, 1), entry(number, 2)])
    found = store.find("r1")
    assert (found.state, found.counts, found.tests, found.events, found.bytes) == ("running", {"passed": 2}, 9, 2, 2)
    assert [each.run for each in store.unfinished()] == ["r1"]
    assert found.request == b"what was asked"
    store.append([entry(number, 3, exit_code=1)])
    assert store.find("r1").request == b""  # it holds an environment, and nobody needs it any more
    assert store.unfinished() == []
    assert store.recent(5)[0].exit_code == 1
    assert store.find("") == store.find("r1")
    assert store.find("r7") is None


def test_a_key_is_one_run(store):
    first = store.add(row("r1", key="k"))
    assert store.add(row("r2", key="k")) == first
    assert store.find("r2") is None
    assert store.add(row("r3")).number != store.add(row("r4")).number  # no key is no key


def test_a_number_is_given_once(store):
    number = store.add(row()).number
    store.append([entry(number, 1)])
    with pytest.raises(JournalError, match="UNIQUE"):
        store.append([entry(number, 2), entry(number, 1)])
    assert [seq for seq, _ in store.read(number, 0, 100)] == [1]  # all or none


def test_the_journal_survives_its_process(tmp_path):
    path = str(tmp_path / "journal.sqlite")
    store = Store(path)
    store.append([entry(store.add(row()).number, 1)])
    other = str(tmp_path / "copy.sqlite")
    for suffix in ("", "-wal"):  # as a killed process leaves it: not closed, not folded in
        Path(other + suffix).write_bytes(Path(path + suffix).read_bytes())
    store.close()
    again = Store(other)
    assert again.read(again.find("r1").number, 0, 100) == [(1, b"x")]
    again.close()


@pytest.mark.parametrize(
    ("keep_runs", "keep_bytes", "kept"), [(2, 10**9, ["r5", "r4"]), (9, 250, ["r5", "r4"]), (9, 0, ["r5"])]
)
def test_the_oldest_finished_runs_are_pruned(store, keep_runs, keep_bytes, kept):
    for index in range(1, 6):
        number = store.add(row(f"r{index}")).number
        store.append([entry(number, 1, b"x" * 100, exit_code=0)])
    unfinished = store.add(row("r6")).number
    store.append([entry(unfinished, 1, b"x" * 1000)])
    while store.prune(keep_runs, keep_bytes):
        pass
    assert [each.run for each in store.recent(10)] == kept
    assert [each.run for each in store.unfinished()] == ["r6"]
    assert store.read(1, 0, 1000) == []
    assert len(store.read(unfinished, 0, 1)) == 1


@pytest.mark.parametrize("damage", [b"this is no database at all" * 500, None])
def test_a_journal_that_cannot_be_read_is_moved_aside(tmp_path, damage):
    path = tmp_path / "journal.sqlite"
    store = Store(str(path))
    for index in range(200):
        store.add(row(f"r{index}", request=b"x" * 1000))
    store.close()
    data = path.read_bytes()
    path.write_bytes(damage or data[:4096] + b"\xff" * (len(data) - 8192) + data[-4096:])
    store = Store(str(path))
    assert "it was moved to" in store.notice
    assert store.unfinished() == []
    (aside,) = [each for each in tmp_path.iterdir() if "unreadable" in each.name]
    assert aside.name in store.notice
    store.close()


def test_a_journal_of_another_version_is_moved_aside(tmp_path):
    path = str(tmp_path / "journal.sqlite")
    store = Store(path)
    store._connection.execute("PRAGMA user_version=99")
    store.close()
    store = Store(path)
    assert "another version of testd (schema 99)" in store.notice
    store.close()


def test_a_full_database_is_told_from_a_broken_one(tmp_path):
    store = Store(str(tmp_path / "journal.sqlite"), max_pages=20)
    number = store.add(row()).number
    store.append([entry(number, 1)])
    with pytest.raises(JournalFull, match="no room for the journal") as caught:
        store.append([entry(number, 2, b"x" * 200_000)])
    assert "TESTD_STATE_DIR" in caught.value.hint
    store.append([entry(number, 2, b"small")])  # it goes on
    assert [seq for seq, _ in store.read(number, 0, 100)] == [1, 2]
    store.close()


# ── the handler ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def small_disk(daemon):
    """A file system of its own for the state, of one megabyte."""
    path = Path(daemon.folders.state)
    path.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield path
    daemon.end()
    subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_disk_ends_the_run_with_a_reason_and_not_the_handler(daemon, small_disk):
    process = daemon.start()
    client = daemon.client()
    events = list(client.events(client.submit(daemon.request(TESTS=200, BODY=20_000))))
    body = events[-1]["body"]
    assert body["exit_code"] == 3
    assert "outcomes could not be stored: no room for the journal" in body["reason"]
    assert "TESTD_STATE_DIR" in body["hint"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    # None at all where the first group of commits was too large already: on a busy machine much comes at once.
    assert body["counts"].get("passed", 0) == len(outcomes(events)) < 200
    filler = small_disk / "filler"
    fill(filler)
    with pytest.raises(FaultError, match="no room for the journal") as caught:
        # More than the whole disk: a log that was just checkpointed is written over in place, and takes a little more.
        client.submit(daemon.request(PAD="x" * 2_000_000))
    assert caught.value.code == "journal"
    assert process.poll() is None
    filler.unlink()
    client.status()  # it answers
    subprocess.run(["mount", "-o", "remount,size=16m", str(small_disk)], check=True)
    events = list(client.events(client.submit(daemon.request(TESTS=2))))  # and once there is room, all is well
    assert kinds(events) == ["Planned", "Outcomes", "Outcomes", "RunCompleted"]


def fill(path):
    with path.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left"):  # noqa: PT012
        while True:
            file.write(b"x" * 512)


def test_a_limit_that_is_reached_in_the_middle_of_a_run(daemon):
    daemon.configure(max_pages=120)
    daemon.start()
    client = daemon.client()
    events = list(client.events(client.submit(daemon.request(TESTS=100, BODY=20_000))))
    assert events[-1]["body"]["exit_code"] == 3
    other = daemon.client()
    assert kinds(list(other.events(other.submit(daemon.request(TESTS=2))))) == [
        "Planned",
        "Outcomes",
        "Outcomes",
        "RunCompleted",
    ]


def test_a_journal_that_was_replaced_is_told_with_the_next_run(daemon):
    Path(daemon.folders.state).mkdir()
    Path(daemon.folders.journal).write_bytes(b"not a database " * 1000)
    daemon.start()
    client = daemon.client()
    events = list(client.events(client.submit(daemon.request(TESTS=1))))
    assert events[0]["body"]["type"] == "Notice"
    assert "could not be read" in events[0]["body"]["text"]
    assert events[-1]["body"]["exit_code"] == 0


def test_old_runs_are_pruned_as_new_ones_end(daemon):
    daemon.configure(keep_runs=2)
    daemon.start()
    client = daemon.client()
    runs = []
    for _ in range(4):
        runs.append(client.submit(daemon.request(TESTS=1)))
        list(client.events(runs[-1]))
    until(lambda: len(client.status()["runs"]) == 2)
    assert [each["run"] for each in client.status()["runs"]] == [runs[3], runs[2]]


def test_events_outlive_the_window(daemon):
    daemon.configure(window=1000)
    daemon.start()
    client = daemon.client()
    run = client.submit(daemon.request(TESTS=300, detach=True))
    events = list(client.events(run))
    assert [event["seq"] for event in events] == list(range(1, 303))
    assert list(daemon.client().events(run)) == events


def test_the_handler_does_not_start_without_a_journal(daemon):
    Path(daemon.folders.state).mkdir()
    os.mkdir(daemon.folders.journal)
    assert "Is a directory" in daemon.start().ready


def test_two_daemons_do_not_share_a_journal(daemon, monkeypatch):
    first = daemon.start()
    monkeypatch.setenv("TESTD_RUNTIME_DIR", str(daemon.base / "other"))
    assert "in use by another daemon" in daemon.start().ready
    assert first.poll() is None
