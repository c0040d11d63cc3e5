"""MessagePack on the standard library alone: the bytes that msgspec writes, without msgspec.

Runs in runners, stems, workers and the quick client; imports nothing that a start has to load for it. Every value has
one encoding, the smallest: integers in the fewest bytes, floats always as 64 bits, no extension types. The vectors in
`tests/protocol/vectors.jsonl` hold both sides to the same bytes.

A worker packs one map of some ten short entries for each test, so the encoder dispatches on the exact type, keeps the
encoded form of short strings (the keys and verdicts of messages come again and again), and joins once.
"""

from __future__ import annotations

import struct
from itertools import chain

TYPE_CHECKING = False  # `typing` takes milliseconds to import; only checkers need it
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, List

__all__ = ["MAX_DEPTH", "PackError", "UnpackError", "packb", "unpackb"]

#: How deep maps and arrays may be nested. A cycle runs into it, and so does hostile input.
MAX_DEPTH = 128


class PackError(ValueError):
    """The value has no MessagePack form: its type, its size or its depth."""


class UnpackError(ValueError):
    """The bytes are not one MessagePack value. The message says what, and at which byte."""


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_SHORT = 24  # longest string that is remembered, in bytes: keys, verdicts, targets, but few ids of tests
_KEPT = 1024  # how many of them

_texts: Dict[str, bytes] = {}
_TEXT_HEADS = [bytes([0xA0 | size]) for size in range(32)] + [bytes([0xD9, size]) for size in range(32, 256)]
_BYTE_INTS = [bytes([value]) for value in range(128)] + [bytes([0xCC, value]) for value in range(128, 256)]

_pack_float = struct.Struct(">Bd").pack
_pack_8 = struct.Struct(">BB").pack
_pack_16 = struct.Struct(">BH").pack
_pack_32 = struct.Struct(">BI").pack
_pack_64 = struct.Struct(">BQ").pack
_pack_i8 = struct.Struct(">Bb").pack
_pack_i16 = struct.Struct(">Bh").pack
_pack_i32 = struct.Struct(">Bi").pack
_pack_i64 = struct.Struct(">Bq").pack


def packb(obj: Any) -> bytes:
    r"""Encode `obj`: None, bool, int of 64 bits, float, str, bytes, and lists, tuples and dicts of them.

    Subclasses are written as their base. A lone surrogate (the name of a file that is not UTF-8, a hostile message)
    has no UTF-8 form and is written as its escape, `\udc80`: a report must never fail for what user code said.

    Raises:
        PackError: a type, a size or a depth without a MessagePack form.

    """
    scalar = _SCALARS.get(type(obj))
    if scalar is not None:
        return scalar(obj)
    parts: List[bytes] = []
    try:
        _pack_container(obj, parts.append, MAX_DEPTH)
    except RecursionError:
        raise PackError("nested deeper than the interpreter's recursion limit lets me go") from None
    return b"".join(parts)


def _pack_text(value: str) -> bytes:
    encoded = _texts.get(value)
    if encoded is not None:
        return encoded
    try:
        data = value.encode()
    except UnicodeEncodeError:
        data = value.encode("utf-8", "backslashreplace")
    size = len(data)
    if size < 256:
        encoded = _TEXT_HEADS[size] + data
        if size <= _SHORT:
            if len(_texts) >= _KEPT:
                _texts.clear()
            _texts[value] = encoded
        return encoded
    return _head(size, 0, 0xDA, 0xDB, "a string") + data


def _pack_int(value: int) -> bytes:
    if value >= 0:
        if value < 0x100:
            return _BYTE_INTS[value]
        if value < 0x10000:
            return _pack_16(0xCD, value)
        if value < 0x100000000:
            return _pack_32(0xCE, value)
        if value < 0x10000000000000000:
            return _pack_64(0xCF, value)
    elif value >= -0x80:
        return _BYTE_INTS[value + 256][1:] if value >= -32 else _pack_i8(0xD0, value)
    elif value >= -0x8000:
        return _pack_i16(0xD1, value)
    elif value >= -0x80000000:
        return _pack_i32(0xD2, value)
    elif value >= -0x8000000000000000:
        return _pack_i64(0xD3, value)
    raise PackError(f"an integer of {value.bit_length()} bits: MessagePack holds -2**63 to 2**64-1")


def _pack_real(value: float) -> bytes:
    return _pack_float(0xCB, value)


def _pack_bool(value: bool) -> bytes:
    return b"\xc3" if value else b"\xc2"


def _pack_none(value: None) -> bytes:
    return b"\xc0"


def _pack_binary(value: bytes | bytearray | memoryview) -> bytes:
    data = bytes(value)
    size = len(data)
    return (_pack_8(0xC4, size) if size < 256 else _head(size, 0, 0xC5, 0xC6, "bytes")) + data


def _head(size: int, fix: int, wide: int, widest: int, what: str) -> bytes:
    """Return the head of something of `size`: in one byte with `fix` (0: there is none), else 16 or 32 bits."""
    if fix and size < 16:
        return bytes((fix | size,))
    if size < 0x10000:
        return _pack_16(wide, size)
    if size < 0x100000000:
        return _pack_32(widest, size)
    raise PackError(f"{what} of {size} elements: MessagePack holds 2**32-1")


_SCALARS: Dict[type, Callable[[Any], bytes]] = {
    str: _pack_text,
    int: _pack_int,
    float: _pack_real,
    bool: _pack_bool,
    type(None): _pack_none,
    bytes: _pack_binary,
    bytearray: _pack_binary,
    memoryview: _pack_binary,
}
_ALL_TEXT = {str}


def _pack_container(value: Any, out: Callable[[bytes], Any], depth: int) -> None:
    """Hand the parts of a list, tuple or dict to `out`; of a subclass of anything, as its base."""
    if not depth:
        raise PackError(f"nested deeper than {MAX_DEPTH} levels, or a structure that contains itself")
    kind = type(value)
    if kind is list or (kind is not dict and issubclass(kind, (list, tuple))):
        out(_head(len(value), 0x90, 0xDC, 0xDD, "an array"))
        _pack_values(value, out, depth - 1)
    elif issubclass(kind, dict):
        out(_head(len(value), 0x80, 0xDE, 0xDF, "a map"))
        if set(map(type, value)) != _ALL_TEXT and not all(map(_is_scalar, map(type, value))):
            raise PackError("a map has a key that is a tuple or the like: a key is a scalar")
        _pack_values(chain.from_iterable(value.items()), out, depth - 1)
    else:
        out(_pack_subclass(value))


def _pack_values(values: Iterable[Any], out: Callable[[bytes], Any], depth: int) -> None:
    """Hand each value to `out`. The most frequent types are met here, without a call."""
    known = _texts.get
    scalars = _SCALARS.get
    small = _BYTE_INTS
    for value in values:
        kind = type(value)
        if kind is str:
            out(known(value) or _pack_text(value))
        elif kind is int:
            out(small[value] if 0 <= value < 256 else _pack_int(value))
        elif kind is float:
            out(_pack_float(0xCB, value))
        elif value is None:
            out(b"\xc0")
        else:
            scalar = scalars(kind)
            if scalar is not None:
                out(scalar(value))
            else:
                _pack_container(value, out, depth)


def _is_scalar(kind: type) -> bool:
    return kind in _SCALARS or issubclass(kind, (str, int, float, bytes))


def _pack_subclass(value: Any) -> bytes:
    """Encode an instance of a subclass of a scalar (an enum's member, a framework's own str) as its base.

    By the real type: `isinstance` believes what a mock says of itself.
    """
    kind = type(value)
    if issubclass(kind, str):
        return _pack_text(str.__str__(value))
    if issubclass(kind, int):
        return _pack_int(int.__int__(value))
    if issubclass(kind, float):
        return _pack_real(float.__float__(value))
    if issubclass(kind, (bytes, bytearray)):
        return _pack_binary(value)
    raise PackError(
        f"{kind.__module__}.{kind.__qualname__} has no MessagePack form: "
        "None, bool, int, float, str, bytes, list, tuple and dict have one"
    )


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_float64 = struct.Struct(">d").unpack_from
_NUMBERS = {
    0xCA: (struct.Struct(">f").unpack_from, 4),
    0xCB: (_float64, 8),
    0xCC: (struct.Struct(">B").unpack_from, 1),
    0xCD: (struct.Struct(">H").unpack_from, 2),
    0xCE: (struct.Struct(">I").unpack_from, 4),
    0xCF: (struct.Struct(">Q").unpack_from, 8),
    0xD0: (struct.Struct(">b").unpack_from, 1),
    0xD1: (struct.Struct(">h").unpack_from, 2),
    0xD2: (struct.Struct(">i").unpack_from, 4),
    0xD3: (struct.Struct(">q").unpack_from, 8),
}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
#: Heads with a size: how many bytes the size takes.
_SIZES = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}


def unpackb(data: bytes | bytearray | memoryview) -> Any:
    """Decode exactly one value. Arrays become lists, maps become dicts, text becomes str, binary becomes bytes.

    Any valid encoding is read, the smallest or not.

    Raises:
        UnpackError: bytes that are missing or left over, an extension type, text that is not UTF-8, a map's key that
            is no scalar, a depth beyond `MAX_DEPTH`.

    """
    if type(data) is not bytes:
        data = bytes(data)
    values: List[Any] = []
    try:
        end = _read_values(data, 0, 1, values, MAX_DEPTH + 1)
    except (IndexError, struct.error):
        raise UnpackError(f"cut off: the value does not end within its {len(data)} bytes") from None
    except RecursionError:
        raise UnpackError("nested deeper than the interpreter's recursion limit lets me go") from None
    if end > len(data):
        raise UnpackError(f"cut off: the value should end at byte {end}, there are {len(data)}")
    if end < len(data):
        raise UnpackError(f"{len(data) - end} bytes are left over after the value, from byte {end}")
    return values[0]


def _read_values(data: bytes, at: int, count: int, into: List[Any], depth: int) -> int:
    """Append `count` values that begin at byte `at`, and return where they end. The most frequent are read here."""
    if not depth:
        raise UnpackError(f"nested deeper than {MAX_DEPTH} levels at byte {at}")
    if count > len(data) - at:
        raise UnpackError(f"cut off: {count} values should follow at byte {at}, {len(data) - at} bytes do")
    add = into.append
    for _ in range(count):
        head = data[at]
        at += 1
        if head < 0x80:
            add(head)
        elif 0xA0 <= head < 0xC0 or head == 0xD9:
            if head == 0xD9:
                end = at + 1 + data[at]
                at += 1
            else:
                end = at + head - 0xA0
            try:
                add(data[at:end].decode())
            except UnicodeDecodeError as error:
                raise _not_text(error, data, at, end) from None
            at = end
        elif head == 0xCB:
            add(_float64(data, at)[0])
            at += 8
        elif head == 0xC0:
            add(None)
        elif head >= 0xE0:
            add(head - 256)
        else:
            at = _read_other(data, at, head, into, depth)
    return at


def _read_other(data: bytes, at: int, head: int, into: List[Any], depth: int) -> int:
    """Append the value with this head, whose rest begins at byte `at`, and return where it ends."""
    if head < 0x90:
        return _read_map(data, at, head & 0x0F, into, depth)
    if head < 0xA0:
        return _read_array(data, at, head & 0x0F, into, depth)
    number = _NUMBERS.get(head)
    if number is not None:
        into.append(number[0](data, at)[0])
        return at + number[1]
    if head in _CONSTANTS:
        into.append(_CONSTANTS[head])
        return at
    width = _SIZES.get(head)
    if width is None:
        what = "no type at all" if head == 0xC1 else "an extension type"
        raise UnpackError(f"byte {at - 1} is 0x{head:02x}, {what}: the protocol has none")
    size = int.from_bytes(data[at : at + width], "big")
    at += width
    if head >= 0xDE:
        return _read_map(data, at, size, into, depth)
    if head >= 0xDC:
        return _read_array(data, at, size, into, depth)
    return _read_bytes(data, at, at + size, into, head <= 0xC6)


def _read_array(data: bytes, at: int, size: int, into: List[Any], depth: int) -> int:
    values: List[Any] = []
    into.append(values)
    return _read_values(data, at, size, values, depth - 1)


def _read_map(data: bytes, at: int, size: int, into: List[Any], depth: int) -> int:
    flat: List[Any] = []
    end = _read_values(data, at, 2 * size, flat, depth - 1)
    entries = iter(flat)
    try:
        into.append(dict(zip(entries, entries)))
    except TypeError:
        raise UnpackError(f"the map at byte {at} has an array or a map as a key: a key is a scalar") from None
    return end


def _read_bytes(data: bytes, at: int, end: int, into: List[Any], binary: bool) -> int:
    if end > len(data):
        raise UnpackError(f"cut off: {end - at} bytes should follow at byte {at}, {len(data) - at} do")
    try:
        into.append(data[at:end] if binary else data[at:end].decode())
    except UnicodeDecodeError as error:
        raise _not_text(error, data, at, end) from None
    return end


def _not_text(error: UnicodeDecodeError, data: bytes, at: int, end: int) -> UnpackError:
    if end > len(data):
        return UnpackError(f"cut off: {end - at} bytes of text should follow at byte {at}, {len(data) - at} do")
    return UnpackError(f"the text at byte {at} is not UTF-8: {error.reason} at byte {at + error.start}")
