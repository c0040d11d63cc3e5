"""From bytes to keys: whole keys, whatever they are cut into, and nothing that is no key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testd_daemon.cli.keys import ESCAPE, Keys


def keys(*reads):
    reader = Keys()
    return [key for data in reads for key in reader.feed(data)] + reader.expire()


def text(character):
    return ("text", character)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"f", text("f")),
        (b"\r", ("enter", "")),
        (b"\n", ("enter", "")),
        (b"\x7f", ("backspace", "")),
        (b"\x08", ("backspace", "")),
        (b"\t", ("tab", "")),
        (b"\x15", ("ctrl-u", "")),
        ("é".encode(), text("é")),
        ("字".encode(), text("字")),
        ("\N{SNAKE}".encode(), text("\N{SNAKE}")),
        (b"\x1b[A", ("up", "")),
        (b"\x1bOA", ("up", "")),
        (b"\x1b[1;5C", None),  # Ctrl with an arrow: nothing here
        (b"\x1b[1~", ("home", "")),
        (b"\x1b[3~", ("delete", "")),
        (b"\x1b[15~", None),
        (b"\x1b[I", None),
        (b"\x1bq", None),  # Alt with q is not q
        (b"\x1b\xc3\xa9", None),
        (b"\x1b]11;rgb:0/0/0\x07", None),  # an answer to a question that somebody asked the terminal
        (b"\x1bP1$r0q\x1b\\", None),
        (b"\x00", None),
        (b"\xff", None),
        (b"\x1b", ESCAPE),
    ],
)
def test_one_key(data, said):
    assert keys(data) == ([said] if said and said[0] else [])


def test_keys_that_come_in_pieces():
    assert keys(b"\x1b", b"[", b"A") == [("up", "")]
    assert keys(b"\xe5", b"\xad", b"\x97") == [text("字")]
    assert keys(b"\x1b[200~qu", b"it\r", b"\x1b[20", b"1~f") == [("paste", "quit\r"), text("f")]


def test_two_escapes_are_one_each():
    assert keys(b"\x1b\x1b") == [ESCAPE, ESCAPE]


def test_what_was_pasted_is_no_command():
    assert keys(b"\x1b[200~q\x1b[201~") == [("paste", "q")]
    assert keys(b"quit\r") == [("burst", "quit\n")]
    assert keys("naïve".encode()) == [("burst", "naïve")]


def test_the_same_key_again_and_again_is_no_paste():
    assert keys(b"\r\r") == [("enter", ""), ("enter", "")]
    assert keys(b"qq") == [text("q"), text("q")]
    assert keys(b"\x1b[B\x1b[B\x1b[A") == [("down", ""), ("down", ""), ("up", "")]


def test_what_does_not_end_is_given_up_and_the_next_key_is_one():
    reader = Keys()
    assert reader.feed(b"\x1b]0;") == []
    assert reader.waits
    assert reader.expire() == []
    assert reader.feed(b"f") == [text("f")]


def test_a_paste_is_waited_for_and_has_an_end_in_memory():
    reader = Keys()
    reader.feed(b"\x1b[200~")
    assert not reader.waits
    for _ in range(100):
        assert reader.feed(b"x" * 4096) == []
    assert reader.expire() == []
    ((name, pasted),) = reader.feed(b"end\x1b[201~")
    assert name == "paste"
    assert pasted.endswith("xend")
    assert len(pasted) < 10_000


@given(st.lists(st.binary(max_size=12), max_size=6))
def test_any_bytes_are_keys_or_nothing(reads):
    for name, said in keys(*reads):
        assert name
        assert said == "" or name in ("text", "paste", "burst")


@given(st.binary(max_size=40), st.integers(1, 8))
def test_pieces_of_named_keys_make_the_same(data, size):
    """However a terminal's bytes are cut, sequences come out whole; only what counts as typed at once may differ."""

    def flat(found):
        return [key for key in found if key[0] not in ("text", "enter", "burst")]

    whole = Keys()
    pieces = Keys()
    cut = [key for at in range(0, len(data), size) for key in pieces.feed(data[at : at + size])]
    assert flat(whole.feed(data)) == flat(cut)
