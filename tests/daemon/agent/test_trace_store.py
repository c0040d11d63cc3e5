"""What the agent keeps of traces: whole ones, within the limits, found by what is known of them."""

from __future__ import annotations

import time

import msgspec
import pytest

from testd_daemon.agent.traces.store import Limits, Store
from testd_daemon.errors import UsageError
from testd_protocol.messages import ReadTrace, TraceEntry, TracePage
from testd_protocol.messages import Traces as AskTraces


def trace(number):
    return f"{number:032x}"


def page(number, at=0, data=b"data", *, last=True, **known):
    said = {"trace": trace(number), "name": f"f{number}", "module": "shop.cart", "file": "/p/shop/cart.py", "line": 1,
            "at": 1.0, "duration": 0.5, "successful": True, **known}  # fmt: skip
    return TracePage(trace(number), at, data, TraceEntry(**said) if last else None)


def ask(**which):
    return AskTraces(**{"workspace": "/p", **which})


def read(beginning, at=0):
    return ReadTrace(workspace="/p", trace=beginning, page=at)


@pytest.fixture
def store(tmp_path):
    made = Store(str(tmp_path / "state" / "traces.sqlite"))
    yield made
    made.close()


def names(store, **which):
    return [entry.name for entry in store.find(ask(**which))[0]]


def test_a_trace_is_there_once_its_last_page_is(store):
    assert store.keep([page(1, 0, b"one", last=False)], "", 0, Limits()) == {}
    assert names(store) == []
    assert store.keep([page(1, 1, b"two")], "r", 0, Limits()) == {}
    found = store.find(ask())[0][0]
    assert (found.trace, found.size, found.recording) == (trace(1), 6, "r")
    assert [store.read(read(trace(1), at)).data for at in (0, 1)] == [b"one", b"two"]
    assert store.read(read(trace(1))).pages == 2


def test_a_trace_that_is_sent_again_is_kept_once(store):
    store.keep([page(1, 0, b"old", last=False)], "", 0, Limits())
    store.keep([page(1, 0, b"new")], "", 0, Limits())
    store.keep([page(1, 0, b"newer")], "", 0, Limits())
    assert names(store) == ["f1"]
    assert store.read(read(trace(1))).data == b"newer"


def test_the_one_too_many_evicts_the_oldest_with_its_pages(store):
    for number in range(5):
        store.keep([page(number)], "", 0, Limits(number=3))
    assert names(store) == ["f4", "f3", "f2"]
    with pytest.raises(UsageError, match=f"there is no trace {trace(1)}"):
        store.read(read(trace(1)))
    assert store._connection.execute("SELECT count(*) FROM pages").fetchone() == (3,)


def test_no_limit_is_none(store):
    store.keep([page(number) for number in range(30)], "", 0, Limits(number=0, age=0, size=0))
    assert store.find(ask(limit=2))[1] == 28


def test_what_is_too_old_goes_and_what_is_too_much_as_well(store, monkeypatch):
    store.keep([page(1)], "", 0, Limits())
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 100)
    store.keep([page(2)], "", 0, Limits(age=50))
    assert names(store) == ["f2"]
    store.keep([page(3, 0, b"x" * 90), page(4, 0, b"x" * 90)], "", 0, Limits(size=100))
    assert names(store) == ["f4"]


def test_one_that_is_too_large_is_refused_and_nothing_of_it_stays(store):
    sent = [page(1, 0, b"x" * 60, last=False), page(1, 1, b"x" * 60), page(2)]
    assert store.keep(sent, "", 0, Limits(largest=100)) == {trace(1): "it has more than 100 bytes"}
    assert names(store) == ["f2"]
    assert store._connection.execute("SELECT count(*) FROM pages").fetchone() == (1,)


def test_pages_out_of_order_are_refused(store):
    assert store.keep([page(1, 1)], "", 0, Limits()) == {trace(1): "page 1 came without those before it"}
    store.keep([page(2, 0, last=False)], "", 0, Limits())
    assert list(store.keep([page(2, 2)], "", 0, Limits())) == [trace(2)]


@pytest.mark.parametrize("bad", ["../../etc/passwd", "", "A" * 32, "0" * 31, "0" * 33, "0" * 32 + "\n"])
def test_an_id_that_is_none_is_refused(store, bad):
    entry = msgspec.structs.replace(page(1).entry, trace=bad)
    assert store.keep([TracePage(bad, 0, b"", entry)], "", 0, Limits()) == {bad: "its id is not 32 hexadecimal digits"}
    assert names(store) == []


def test_the_entry_must_be_that_of_the_page(store):
    assert list(store.keep([TracePage(trace(1), 0, b"", page(2).entry)], "", 0, Limits())) == [trace(1)]


def test_filters_must_all_match(store):
    store.keep([page(1), page(2, successful=False), page(3, module="shop.db", file="/p/db.py")], "r1", 0, Limits())
    store.keep([page(4, name="a%b_c")], "r2", 0, Limits())
    assert names(store, failed=True) == ["f2"]
    assert names(store, module="db") == ["f3"]
    assert names(store, file="/p/shop", recording="r1") == ["f2", "f1"]
    assert names(store, name="f", module="db", failed=True) == []
    assert names(store, name="%") == ["a%b_c"]  # characters as they are
    assert names(store, trace="0" * 31 + "3") == ["f3"]


def test_a_beginning_is_enough_where_it_is_one_s_own(store):
    store.keep([page(0x10 << 120), page(0x11 << 120), page(0x20 << 120)], "", 0, Limits())
    assert store.read(read("2")).entry.trace.startswith("20")
    with pytest.raises(UsageError, match="several traces begin with 1: 10"):
        store.read(read("1"))
    with pytest.raises(UsageError, match="'%' is no trace's id"):
        store.read(read("%"))
    with pytest.raises(UsageError, match="has 1 pages, and none is number 7"):
        store.read(read("2", 7))


def test_what_is_dropped_is_gone_and_one_that_is_not_there_keeps_all(store):
    store.keep([page(1), page(2), page(3)], "", 5, Limits())
    with pytest.raises(UsageError, match="there is no trace ff"):
        store.drop([trace(1), "ff"], everything=False)
    assert len(names(store)) == 3
    assert [entry.name for entry in store.drop([trace(1)], everything=False)] == ["f1"]
    assert names(store) == ["f3", "f2"]
    assert len(store.drop([], everything=True)) == 2
    assert (names(store), store.dropped("")) == ([], 0)


def test_drops_are_added_up_by_recording(store):
    for recording, dropped in (("r", 2), ("", 1), ("r", 3)):
        store.keep([], recording, dropped, Limits())
    assert (store.dropped("r"), store.dropped("other"), store.dropped("")) == (5, 0, 6)


def test_traces_outlive_the_process_and_unfinished_ones_do_not(tmp_path):
    path = str(tmp_path / "traces.sqlite")
    first = Store(path)
    first.keep([page(1), page(2, 0, last=False)], "", 0, Limits())
    first.close()
    second = Store(path)
    assert names(second) == ["f1"]
    assert second._connection.execute("SELECT count(*) FROM pages").fetchone() == (1,)
    second.close()


def test_a_file_that_is_none_of_ours_is_put_aside(tmp_path):
    path = tmp_path / "traces.sqlite"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    store = Store(str(path))
    assert store.keep([page(1)], "", 0, Limits()) == {}
    store.close()
    assert (tmp_path / "traces.sqlite.broken").exists()
