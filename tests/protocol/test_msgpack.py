import enum
import re
import subprocess
import sys
from unittest.mock import Mock

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from testd import msgpack
from testd.msgpack import MAX_DEPTH, PackError, UnpackError, packb, unpackb

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]))
    | st.binary()
)
KEYS = st.text(st.characters(exclude_categories=["Cs"])) | st.integers(-(2**63), 2**64 - 1)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=40)


@given(VALUES)
def test_packs_the_bytes_that_msgspec_packs_and_reads_them_back(value):
    data = packb(value)
    assert data == msgspec.msgpack.encode(value)
    assert repr(unpackb(data)) == repr(value)


@given(VALUES, st.data())
def test_changed_bytes_raise_only_unpack_error(value, data):
    packed = bytearray(packb(value))
    for _ in range(data.draw(st.integers(1, 3))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    same_as_msgspec(bytes(packed[: data.draw(st.integers(0, len(packed)))]))


@given(st.binary(max_size=64))
@example(b"\xc7\x01\x05a")
def test_any_bytes_raise_only_unpack_error(data):
    same_as_msgspec(data)


def same_as_msgspec(data):
    """Both refuse, or both read the same; msgspec alone knows extensions, arrays as keys and NaN among equals."""
    try:
        theirs = repr(msgspec.msgpack.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError):
        with pytest.raises(UnpackError):
            unpackb(data)
        return
    try:
        ours = repr(unpackb(data))
    except UnpackError as refused:
        ours = theirs if re.search("an extension type|a key is a scalar|nested deeper", str(refused)) else str(refused)
    assert ours == theirs


@pytest.mark.parametrize("size", [0, 31, 32, 255, 256, 65535, 65536])
@pytest.mark.parametrize("make", ["x".__mul__, b"x".__mul__, [None].__mul__, lambda size: dict.fromkeys(range(size))])
def test_every_width_of_a_size(make, size):
    value = make(size)
    data = packb(value)
    assert data == msgspec.msgpack.encode(value)
    assert unpackb(data) == value


def test_reads_what_is_not_the_smallest_encoding():
    assert unpackb(bytes.fromhex("cf0000000000000001")) == 1
    assert unpackb(bytes.fromhex("d3ffffffffffffffff")) == -1
    assert unpackb(bytes.fromhex("db0000000161")) == "a"
    assert unpackb(bytes.fromhex("dd00000001c0")) == [None]
    assert unpackb(bytes.fromhex("df00000001a161c3")) == {"a": True}
    assert unpackb(bytes.fromhex("ca3f800000")) == 1.0


def test_reads_any_buffer():
    assert unpackb(bytearray(b"\x93\x01\x02\x03")) == unpackb(memoryview(b"\x93\x01\x02\x03")) == [1, 2, 3]


def test_subclasses_are_written_as_their_base():
    class Text(str):
        def __str__(self):
            return "something else"

    class Colour(enum.IntEnum):
        RED = 300

    class Word(str, enum.Enum):
        GO = "go"

    class Pair(tuple):
        __slots__ = ()

    class Table(dict):
        pass

    value = {Text("k"): [Text("v"), Colour.RED, Word.GO, Pair((1, 2)), Table(a=1), bytearray(b"b"), memoryview(b"m")]}
    assert unpackb(packb(value)) == {"k": ["v", 300, "go", [1, 2], {"a": 1}, b"b", b"m"]}
    assert unpackb(packb(Text("alone"))) == "alone"


def test_true_is_not_one_and_one_is_not_a_float():
    assert [packb(value).hex() for value in (True, 1, 1.0)] == ["c3", "01", "cb3ff0000000000000"]
    assert packb({True: 1, "1": True}).hex() == "82c301a131c3"


def test_a_lone_surrogate_is_written_as_its_escape():
    """A file name that is not UTF-8 in a report must not end the worker that reports it."""
    assert unpackb(packb({"name": "caf\udce9.py"})) == {"name": "caf\\udce9.py"}
    assert unpackb(packb("\ud800" + "x" * 300)) == "\\ud800" + "x" * 300


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (2**64, "65 bits"),
        ([-(2**63) - 1], "64 bits"),
        ([Mock(spec=str)], "unittest.mock.Mock has no MessagePack form"),
        ({1, 2}, "builtins.set has no MessagePack form"),
        ({"a": object()}, "builtins.object"),
        ({(1, 2): 3}, "a key is a scalar"),
        ({"a": 1, frozenset(): 2}, "a key is a scalar"),
    ],
)
def test_what_cannot_be_packed_is_told(value, told):
    with pytest.raises(PackError, match=told):
        packb(value)


def nested(levels):
    value = None
    for _ in range(levels):
        value = [value]
    return value


def test_depth_has_a_limit_both_ways():
    assert unpackb(packb(nested(MAX_DEPTH))) == nested(MAX_DEPTH)
    with pytest.raises(PackError, match="128 levels"):
        packb(nested(MAX_DEPTH + 1))
    with pytest.raises(UnpackError, match="128 levels at byte 129"):
        unpackb(b"\x91" * (MAX_DEPTH + 1) + b"\xc0")
    with pytest.raises(UnpackError, match="128 levels"):
        unpackb(b"\x81\xa0" * 5000 + b"\xc0")


def test_a_cycle_is_refused():
    cycle = {}
    cycle["self"] = [cycle]
    with pytest.raises(PackError, match="contains itself"):
        packb(cycle)


def test_a_recursion_limit_that_user_code_lowered_is_told():
    code = (
        "import sys; from testd import msgpack as m\n"
        "sys.setrecursionlimit(40)\n"
        "value = None\n"
        "for _ in range(100): value = [value]\n"
        "for act in (lambda: m.packb(value), lambda: m.unpackb(b'\\x91' * 100 + b'\\xc0')):\n"
        "    try: act()\n"
        "    except (m.PackError, m.UnpackError) as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.count("recursion limit") == 2, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("", "cut off"),
        ("a56162", "should end at byte 6, there are 3"),
        ("92a56162", "cut off"),
        ("c0c0", "1 bytes are left over after the value, from byte 1"),
        ("d40100", "byte 0 is 0xd4, an extension type"),
        ("91c1", "byte 1 is 0xc1, no type at all"),
        ("a2c328", "not UTF-8: invalid continuation byte at byte 1"),
        ("d902c328", "not UTF-8: invalid continuation byte at byte 2"),
        ("818001", "map at byte 1 has an array or a map as a key"),
        ("ddffffffff", "4294967295 values should follow at byte 5, 0 bytes do"),
        ("c6ffffffff00", "4294967295 bytes should follow at byte 5, 1 do"),
    ],
)
def test_what_is_wrong_with_the_bytes_is_told_with_the_place(data, told):
    with pytest.raises(UnpackError) as refused:
        unpackb(bytes.fromhex(data))
    assert told in str(refused.value)


def test_what_is_remembered_is_bounded():
    for number in range(5000):
        packb(f"key-{number}")
    packb("x" * 1000)
    assert len(msgpack._texts) <= msgpack._KEPT
    assert max(map(len, msgpack._texts)) <= msgpack._SHORT


def test_imports_next_to_nothing():
    code = (
        "import sys; before = set(sys.modules); import testd.msgpack, testd.framing\n"
        "print(sorted(set(sys.modules) - before - {'testd', 'testd.msgpack', 'testd.framing'}))"
    )
    command = [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert set(eval(done.stdout)) <= {"__future__", "struct", "_struct", "itertools"}
