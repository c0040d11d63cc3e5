"""One run's numbers and its window, without an event loop."""

from __future__ import annotations

import msgspec
import pytest

from testd.framing import FrameBuffer
from testd_daemon.handler.run import Run, RunState, Step, raw
from testd_daemon.handler.store import RunRow
from testd_protocol.messages import Event, Planned, RunCompleted

BODY = raw(Planned(tests=1))


def make(window=10**6, events=0, state="accepted"):
    row = RunRow(
        run="r",
        key="",
        workspace="/w",
        request=b"",
        state=state,
        accepted_at=0.0,
        detach=False,
        number=3,
        events=events,
    )
    return Run(row, window)


def numbers(chunk):
    buffer = FrameBuffer()
    buffer.feed(chunk[0])
    return [msgspec.msgpack.decode(frame, type=Event).seq for frame in buffer.frames()]


def test_numbers_begin_behind_what_the_journal_has():
    run = make(events=7, state="suspended")
    entry = run.record(BODY, counts={"passed": 2}, tests=5)
    assert (entry.number, entry.seq, entry.body, entry.counts, entry.tests) == (3, 8, bytes(BODY), {"passed": 2}, 5)
    assert run.record(BODY, counts={"passed": 1, "failed": 1}).counts == {"passed": 3, "failed": 1}


def test_nothing_is_shown_before_it_is_committed():
    run = make()
    run.record(BODY)
    run.record(BODY)
    assert run.frames_after(0, 1000) == (b"", 0)
    run.commit(1)
    assert numbers(run.frames_after(0, 1000)) == [1]
    run.commit(2)
    assert numbers(run.frames_after(1, 1000)) == [2]
    assert run.frames_after(2, 1000) == (b"", 2)


def test_a_chunk_has_about_its_size_and_at_least_one_event():
    run = make()
    for _ in range(5):
        run.record(BODY)
    run.commit(5)
    chunk = run.frames_after(0, 1)
    assert (numbers(chunk), chunk[1]) == ([1], 1)
    chunk = run.frames_after(1, 2 * len(chunk[0]))
    assert (numbers(chunk), chunk[1]) == ([2, 3], 3)


def test_what_is_over_the_window_is_left_to_the_journal():
    run = make(window=1)
    for _ in range(5):
        run.record(BODY)
    run.commit(3)
    assert run.frames_after(0, 1000) is None
    assert numbers(run.frames_after(2, 1000)) == [3]  # the newest committed one stays
    run.commit(5)
    assert run.frames_after(3, 1000) is None
    assert numbers(run.frames_after(4, 1000)) == [5]


def test_what_the_journal_could_not_take_never_was():
    run = make()
    run.record(BODY, counts={"passed": 1})
    run.commit(1)
    run.record(BODY, counts={"passed": 5})
    run.drop_uncommitted()
    assert run.counts == {"passed": 1}
    run.machine.advance(Step.FAIL)
    entry = run.complete_with(RunCompleted(exit_code=3, counts=run.counts, duration=0.0, reason="no room"))
    assert (entry.seq, entry.exit_code, entry.state) == (2, 3, "finished")
    assert not run.complete
    run.commit(2)
    assert run.complete


@pytest.mark.parametrize("state", [state for state in RunState if state is not RunState.FINISHED])
def test_status_says_the_state(state):
    assert make(state=state.value).status().state == state.value
