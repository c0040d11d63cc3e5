"""What waits to be sent: bounded, and what is beyond is counted. Nothing waits but who takes out."""

from __future__ import annotations

from types import SimpleNamespace

from testd.tracing.sending import outbox as subject
from testd.tracing.sending.outbox import Outbox


def root(total=1):
    return SimpleNamespace(total=total)


def test_roots_come_out_as_they_went_in_and_make_room_when_they_are_done(monkeypatch):
    monkeypatch.setattr(subject, "_ROOTS", 3)
    box, roots = Outbox(), [root() for _ in range(5)]
    for one in roots:
        box.put(one)
    assert (len(box), box.dropped) == (3, 2)
    load = box.take(0.0)
    assert load == roots[:3]
    box.put(root())
    assert box.dropped == 3  # what is on its way still has its room
    box.done(load)
    box.put(root())
    assert (len(box), box.dropped) == (1, 3)


def test_calls_are_bounded_and_one_root_of_any_size_has_room(monkeypatch):
    monkeypatch.setattr(subject, "_CALLS", 100)
    box = Outbox()
    box.put(root(1000))
    box.put(root(1))
    assert (len(box), box.dropped) == (1, 1)


def test_a_load_is_not_larger_than_it_need_be(monkeypatch):
    monkeypatch.setattr(subject, "_LOAD", 10)
    box = Outbox()
    for _ in range(5):
        box.put(root(4))
    assert [len(box.take(0.0)), len(box.take(0.0))] == [3, 2]
    assert box.take(0.0) == []


def test_a_nudge_ends_a_wait_without_roots():
    box = Outbox()
    box.nudge()
    assert box.take(None) == []


def test_drops_are_told_once_unless_that_did_not_arrive():
    box = Outbox()
    box.done([], lost=2)
    assert (box.drops(), box.drops()) == (2, 0)
    box.not_told(2)
    assert box.dropped == 2
