import msgspec
import pytest

from testd_protocol import framing, messages
from testd_protocol.framing import ProtocolError, Unknown, decode, decoder, encode

CLIENT = decoder(messages.ClientMessage)


def packed(**fields):
    return msgspec.msgpack.encode(fields)


def test_a_message_is_a_frame_with_type_first():
    assert encode(messages.Ping(id=1)) == b"\0\0\0\x0f\x82\xa4type\xa4Ping\xa2id\x01"


def test_a_type_of_another_version_is_unknown_not_an_error():
    unknown = decode(packed(type="Dance", steps=[1, {"left": None}]), CLIENT)
    assert isinstance(unknown, Unknown)
    assert unknown.type == "Dance"
    assert "it has Attach, Cancel, Command, DropTraces, Hello" in unknown.reason


def test_a_message_of_another_direction_is_unknown():
    assert isinstance(decode(encode(messages.Welcome(pid=1))[framing.HEADER :], CLIENT), Unknown)


def test_a_decoder_of_one_message_works_too():
    only = decoder(messages.Ping)
    assert decode(packed(type="Ping", id=3), only) == messages.Ping(id=3)
    assert isinstance(decode(packed(type="Pong", id=3), only), Unknown)


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"", r"not MessagePack: .*\(0 bytes"),
        (b"\xc1\x02", "not MessagePack: .*c1 02"),
        (packed(type="Ping", id=1)[:-1], "not MessagePack: .*truncated"),
        (packed(type="Ping", id=1) + b"\xc0", "not MessagePack"),
        (b"\x91" * 100_000 + b"\xc0", "not MessagePack: .*recursion"),
        (b"\x81\x80\x01", "not MessagePack"),
        (b"\x82\xa4type\xa4Ping\xa2id\xa1\xff", "not MessagePack: .*utf-8"),
        (msgspec.msgpack.encode([1]), "this is an array"),
        (msgspec.msgpack.encode("Ping"), "this is text"),
        (msgspec.msgpack.encode(None), "this is nil"),
        (packed(id=1), "`type` of text: it is missing"),
        (packed(type=7), "`type` of text: it is int 7"),
        (packed(type="Ping"), "Ping: Object missing required field `id`"),
        (packed(type="Ping", id="1"), r"Ping: Expected `int`, got `str` - at `\$.id`"),
        (packed(type="Submit", request={"workspace": "/w", "cwd": "/w", "mode": "warm"}), r"Submit: .*\$.request.mode"),
    ],
)
def test_a_broken_message_is_told_with_type_and_field(payload, told):
    with pytest.raises(ProtocolError, match=told):
        decode(payload, CLIENT)


def test_an_oversized_message_names_its_type():
    with pytest.raises(framing.FrameError, match=r"Output: a frame of 1\d{7} bytes"):
        encode(messages.Output(worker=1, stream="stdout", text="x" * framing.MAX_FRAME))


def test_an_old_reader_skips_fields_that_it_does_not_know():
    assert decode(packed(type="Ping", id=1, sent_at=12.5), CLIENT) == messages.Ping(id=1)


def test_a_new_reader_fills_in_fields_that_an_old_message_lacks():
    assert decode(packed(type="Attach", run="r"), CLIENT) == messages.Attach(run="r", after=0)


def test_an_array_like_document_may_grow_at_its_end():
    row = ["t", "py", "passed", 0.5, 1, 2, None, "something new"]
    events = decoder(messages.RunEvent)
    outcomes = decode(packed(type="Outcomes", rows=[row]), events)
    assert outcomes.rows == [messages.Row("t", "py", "passed", 0.5, 1, 2, None)]


def test_a_body_is_passed_on_unread():
    body = packed(type="FromTheFuture", anything=[1, 2])
    report = decode(packed(type="Report", run="r", body=msgspec.Raw(body)), decoder(messages.AgentMessage))
    event = encode(messages.Event(run="r", seq=1, body=report.body))
    assert event.endswith(body)
