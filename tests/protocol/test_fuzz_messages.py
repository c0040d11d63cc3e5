"""Whatever bytes a peer sends, a reader gets a message, `Unknown` or `ProtocolError`: nothing else reaches its loop."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from testd_protocol import directions, framing, messages

LINES = (Path(__file__).parent / "vectors.jsonl").read_text(encoding="utf-8").splitlines()
PAYLOADS = [bytes.fromhex(vector["hex"]) for vector in map(json.loads, LINES) if vector["routes"]]
DECODERS = [framing.decoder(getattr(messages, direction.union)) for direction in directions.DIRECTIONS]


@given(st.sampled_from(PAYLOADS), st.sampled_from(DECODERS), st.data())
def test_changed_messages_raise_only_protocol_error(payload, decoder, data):
    changed = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    try:
        result = framing.decode(bytes(changed[: data.draw(st.integers(1, len(changed)))]), decoder)
    except framing.ProtocolError as error:
        result = error
    assert isinstance(result, (messages.Message, framing.Unknown, framing.ProtocolError))
    assert str(result)
