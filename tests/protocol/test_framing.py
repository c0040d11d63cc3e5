import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testd.framing import HEADER, MAX_FRAME, FrameBuffer, FrameError, frame

PAYLOADS = st.lists(st.binary(min_size=1, max_size=300), max_size=20)


def pieces(data, cuts):
    """Cut the data at these places (and at the ends)."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


@given(PAYLOADS, st.lists(st.integers(0, 10_000), max_size=30))
def test_frames_come_out_however_the_bytes_come_in(payloads, cuts):
    buffer, found = FrameBuffer(), []
    for piece in pieces(b"".join(map(frame, payloads)), cuts):
        buffer.feed(piece)
        found += buffer.frames()
    assert found == payloads
    assert len(buffer) == 0


@given(PAYLOADS, st.lists(st.integers(0, 10_000), max_size=30))
def test_whole_passes_on_every_byte_and_only_whole_frames(payloads, cuts):
    data = b"".join(map(frame, payloads))
    buffer, forwarded = FrameBuffer(), b""
    for piece in pieces(data, cuts):
        buffer.feed(piece)
        raw = buffer.whole()
        check = FrameBuffer()
        check.feed(raw)
        assert b"".join(map(frame, check.frames())) == raw
        assert not len(check)
        forwarded += raw
    assert forwarded == data
    assert len(buffer) == 0


@given(PAYLOADS, st.lists(st.tuples(st.integers(0, 10_000), st.booleans()), max_size=30))
def test_frames_and_whole_may_take_turns(payloads, cuts):
    data = b"".join(map(frame, payloads))
    turns = [turn for _, turn in cuts] + [True]
    buffer, found = FrameBuffer(), []
    for piece, turn in zip(pieces(data, [cut for cut, _ in cuts]), turns, strict=True):
        buffer.feed(piece)
        if turn:
            found += buffer.frames()
        else:
            inner = FrameBuffer()
            inner.feed(buffer.whole())
            found += inner.frames()
    assert found == payloads


def test_nothing_comes_out_of_half_a_frame():
    buffer = FrameBuffer()
    assert buffer.frames() == []
    assert buffer.whole() == b""
    data = frame(b"payload")
    for end in range(1, len(data)):
        buffer.feed(data[end - 1 : end])
        assert buffer.frames() == []
        assert buffer.whole() == b""
        assert len(buffer) == end
    buffer.feed(data[-1:])
    assert buffer.whole() == data


def test_the_largest_frame_in_many_pieces_is_joined_once(monkeypatch):
    data = frame(b"x" * MAX_FRAME)
    buffer = FrameBuffer()
    copies = []
    monkeypatch.setattr(FrameBuffer, "_joined", counted(FrameBuffer._joined, copies))
    taken = []
    for start in range(0, len(data), 65536):
        buffer.feed(data[start : start + 65536])
        taken += buffer.frames()
    assert [len(payload) for payload in taken] == [MAX_FRAME]
    assert len(copies) == 2  # once to learn the length, once at the end


def counted(function, calls):
    def call(self):
        calls.append(len(self))
        return function(self)

    return call


def test_what_was_fed_may_change_afterwards():
    """A reader reuses its buffer for the next read."""
    shared = bytearray(frame(b"first"))
    buffer = FrameBuffer()
    buffer.feed(memoryview(shared)[:6])
    shared[:6] = b"\xff" * 6
    buffer.feed(frame(b"first")[6:])
    assert buffer.frames() == [b"first"]


@pytest.mark.parametrize("take", [FrameBuffer.frames, FrameBuffer.whole])
@pytest.mark.parametrize(("length", "told"), [(0, "a frame of 0 bytes"), (MAX_FRAME + 1, f"the most is {MAX_FRAME}")])
def test_an_impossible_length_is_told_after_the_frames_before_it(take, length, told):
    bad = length.to_bytes(HEADER, "big")
    buffer = FrameBuffer()
    buffer.feed(frame(b"good") + bad)
    assert take(buffer) in ([b"good"], frame(b"good"))
    for _ in range(2):  # and it stays told: the stream is out of step for good
        with pytest.raises(FrameError, match=told):
            take(buffer)


def test_text_in_place_of_a_frame_is_told_with_its_bytes():
    buffer = FrameBuffer()
    buffer.feed(b"HTTP/1.1 200 OK\r\n")
    with pytest.raises(FrameError, match="0x48545450"):
        buffer.frames()


def test_a_payload_has_a_size():
    assert frame(b"x") == b"\0\0\0\1x"
    with pytest.raises(FrameError, match="0 bytes"):
        frame(b"")
    with pytest.raises(FrameError, match=str(MAX_FRAME + 1)):
        frame(bytes(MAX_FRAME + 1))
