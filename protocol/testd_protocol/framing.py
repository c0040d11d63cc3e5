"""Typed messages to frames and back, with msgspec. Imported by the handler, the agent and the async client.

The frames themselves are `testd.framing`; what runs on a target uses that and `testd.msgpack` in place of this module.
"""

from __future__ import annotations

import functools
from typing import Any, get_args

import msgspec

from testd.framing import HEADER, MAX_FRAME, FrameBuffer, FrameError, frame
from testd_protocol.common import Message

__all__ = [
    "HEADER",
    "MAX_FRAME",
    "FrameBuffer",
    "FrameError",
    "ProtocolError",
    "Unknown",
    "decode",
    "decoder",
    "encode",
    "frame",
]

_encoder = msgspec.msgpack.Encoder()
#: What msgspec raises for bytes that are not MessagePack, too deep, not UTF-8, have a map as a key, or do not fit.
_REFUSALS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError, TypeError)


class ProtocolError(ValueError):
    """A payload that is no message of this direction: broken bytes, no type, a field that is missing or wrong."""


class Unknown(msgspec.Struct, frozen=True):
    """A well-formed message of a type that this direction does not have. It is answered with `Unsupported(of=type)`."""

    type: str
    reason: str


def encode(message: Message) -> bytes:
    """Return `message` as one frame.

    Raises:
        FrameError: the message is larger than `MAX_FRAME`; the text names its type.

    """
    payload = _encoder.encode(message)
    try:
        return frame(payload)
    except FrameError as error:
        raise FrameError(f"{type(message).__name__}: {error}") from None


def decoder(union: Any) -> msgspec.msgpack.Decoder[Any]:
    """Return the decoder for one direction's union. Make it once, annotate it, keep it."""
    return msgspec.msgpack.Decoder(union)


def decode(payload: bytes, decoder: msgspec.msgpack.Decoder[Any]) -> Any | Unknown:
    """Return the message in `payload`, or `Unknown` where only its type is not one of the decoder's.

    Raises:
        ProtocolError: what is wrong, in which message and field.

    """
    try:
        return decoder.decode(payload)
    except _REFUSALS as error:
        return _explain(payload, decoder.type, error)


def _explain(payload: bytes, union: Any, error: Exception) -> Unknown:
    """Tell a message of another version from a broken one; the slow path, so it reads the payload once more."""
    try:
        plain = msgspec.msgpack.decode(payload)
    except _REFUSALS as broken:
        raise ProtocolError(f"not MessagePack: {broken} ({len(payload)} bytes: {payload[:16].hex(' ')}…)") from error
    if not isinstance(plain, dict):
        raise ProtocolError(f"a message is a map with a `type`, this is {_name(plain)}") from error
    tag = plain.get("type")
    if not isinstance(tag, str):
        what = f"is {_name(tag)}" if "type" in plain else "is missing"
        raise ProtocolError(f"a message is a map with a `type` of text: it {what}") from error
    known = _tags(union)
    if tag in known:
        raise ProtocolError(f"{tag}: {error}") from error
    return Unknown(tag, f"no message {tag!r} in this direction: it has {', '.join(known)}")


@functools.cache
def _tags(union: Any) -> tuple[str, ...]:
    return tuple(sorted(member.__name__ for member in get_args(union) or (union,)))


def _name(value: object) -> str:
    names = {dict: "a map", list: "an array", str: "text", bytes: "binary", type(None): "nil"}
    return names.get(type(value), f"{type(value).__name__} {value!r}")
