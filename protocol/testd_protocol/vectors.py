r"""The byte-exact vectors that every implementation of the protocol has to pass.

    python -m testd_protocol.vectors > tests/protocol/vectors.jsonl

No process imports this. One vector a line, `{"name", "routes", "value", "hex"}`:

- `NAME/full` and `NAME/minimal`: a message, the routes it travels, its plain value, its payload. Encoding the value
  gives the bytes, decoding the bytes gives the value.
- `value/…`: the same for single values, at the borders of every width.
- `frames/…`: `hex` is a stream of frames, `value` the list of their payloads.
- `malformed/…`: `hex` has to be refused; `value` is the reason.

JSON cannot say everything, so a map with one key that begins with `$` stands for `{"$float": "1.0"}` (a float that is
a whole number, infinite, or not a number), `{"$int": "18446744073709551615"}` (beyond 2**53) and `{"$hex": "00ff"}`
(binary).
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator

import msgspec

from testd_protocol import directions, messages
from testd_protocol.examples import EXAMPLES, minimal
from testd_protocol.framing import MAX_FRAME, frame

__all__ = ["Vector", "plain", "to_json", "vectors"]

_BORDERS = [2**bits + step for bits in (7, 8, 15, 16, 31, 32, 53, 63) for step in (-1, 0)]
_INTEGERS = [0, 1, *_BORDERS, 2**64 - 1, -1, -32, -33, *(-number - 1 for number in _BORDERS if number < 2**63)]
_FLOATS = {"zero": 0.0, "minus-zero": -0.0, "one": 1.0, "tenth": 0.1, "largest": sys.float_info.max, "inf": math.inf,
           "minus-inf": -math.inf, "nan": math.nan, "smallest": 5e-324}  # fmt: skip
_TEXTS = {"empty": "", "31": "x" * 31, "32": "x" * 32, "255": "é" * 127 + "x", "256": "é" * 128, "emoji": "🐍" * 70,
          "nul": "a\x00b"}  # fmt: skip
_MALFORMED = {
    "empty": ("", "no value at all"),
    "text-cut-off": ("a56162", "2 of 5 bytes"),
    "array-cut-off": ("9301", "1 of 3 values"),
    "map-cut-off": ("81a161", "a key without its value"),
    "float-cut-off": ("cb3ff0", "2 of 8 bytes"),
    "size-cut-off": ("da01", "a size of 2 bytes, 1 is there"),
    "huge-array": ("ddffffffff", "4294967295 values in no bytes"),
    "huge-text": ("dbffffffff61", "4294967295 bytes of text in one"),
    "left-over": ("c0c0", "a second value"),
    "no-type": ("c1", "0xc1 is no type"),
    "extension": ("d40100", "an extension type"),
    "timestamp": ("d6ff00000000", "an extension type"),
    "not-utf-8": ("a1ff", "0xff in text"),
    "surrogate": ("a3eda080", "a surrogate in text"),
    "key-is-map": ("818001", "a map as a key"),
}


class Vector(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `value` is in the form that `to_json` gives."""

    name: str
    routes: tuple[str, ...] = ()
    value: object
    hex: str


def plain(message: messages.Message) -> dict[str, object]:
    """Return a message as the map that crosses the wire: what the standard library's side packs and unpacks."""
    decoded = msgspec.msgpack.decode(msgspec.msgpack.encode(message))
    assert isinstance(decoded, dict)
    return decoded


def to_json(value: object) -> object:
    """Return `value` with what JSON cannot say replaced by `$` maps."""
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_json(item) for item in value]
    if isinstance(value, bytes):
        return {"$hex": value.hex()}
    if isinstance(value, float) and not (math.isfinite(value) and value % 1):
        return {"$float": repr(value)}
    if type(value) is int and abs(value) > 2**53:
        return {"$int": str(value)}
    return value


def vectors() -> Iterator[Vector]:
    """Yield all vectors, always in the same order."""
    for name, example in EXAMPLES.items():
        routes = directions.of(type(example))
        for form, message in (("full", example), ("minimal", minimal(example))):
            value = to_json(plain(message))
            yield Vector(name=f"{name}/{form}", routes=routes, value=value, hex=msgspec.msgpack.encode(message).hex())
    for name, single in _values():
        yield Vector(name=f"value/{name}", value=to_json(single), hex=msgspec.msgpack.encode(single).hex())
    yield from _frames()
    for name, (payload, reason) in _MALFORMED.items():
        yield Vector(name=f"malformed/{name}", value=reason, hex=payload)


def _values() -> Iterator[tuple[str, object]]:
    yield from (("nil", None), ("false", False), ("true", True))
    yield from ((f"int/{number}", number) for number in _INTEGERS)
    yield from ((f"float/{name}", number) for name, number in _FLOATS.items())
    yield from ((f"text/{name}", text) for name, text in _TEXTS.items())
    yield from ((f"binary/{size}", bytes(range(256)) * (size // 256) + bytes(size % 256)) for size in (0, 255, 256))
    yield from ((f"array/{size}", [None] * size) for size in (0, 15, 16, 300))
    yield from ((f"map/{size}", {f"k{number}": number for number in range(size)}) for size in (0, 15, 16))
    yield "nested", {"a": [{"b": [[], {}, [None]]}], "": {"": ""}}


def _frames() -> Iterator[Vector]:
    ping, pong = (msgspec.msgpack.encode(EXAMPLES[name]) for name in ("Ping", "Pong"))
    yield Vector(name="frames/two", value=to_json([ping, pong]), hex=(frame(ping) + frame(pong)).hex())
    yield Vector(name="malformed/frame-empty", value="a frame of 0 bytes", hex="00000000")
    too_long = (MAX_FRAME + 1).to_bytes(4, "big").hex()
    yield Vector(name="malformed/frame-too-long", value=f"a frame of {MAX_FRAME + 1} bytes", hex=too_long)


def main() -> None:
    """Write all vectors to standard output."""
    for vector in vectors():
        sys.stdout.write(json.dumps(msgspec.to_builtins(vector), ensure_ascii=True, separators=(", ", ": ")) + "\n")


if __name__ == "__main__":
    main()
