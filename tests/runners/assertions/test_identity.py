"""`is_` and `is_not`."""

from __future__ import annotations

import enum

import pytest

from testd.assertions import is_, is_not

NAN = float("nan")


class Colour(enum.IntEnum):
    RED = 1


SAME = [
    (1, 1), ("é", "é"), (b"x", b"x"), (None, None), (..., ...), (NAN, float("nan")), (-0.0, -0.0),
    (complex(NAN, 0.0), complex(NAN, 0.0)), (10**30, 10**30), (Colour.RED, Colour(1)), (is_, is_),
]
DIFFERENT = [
    (1, 2), (1, 1.0), (1, True), (0, False), (0.0, -0.0), (complex(0.0, -0.0), 0j), ("1", 1), ("x", b"x"), ([], []),
    ((1,), (2,)), (Colour.RED, 1), (NAN, 1.0), (None, 0),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_what_cannot_be_told_apart(left, right):
    is_(left, right)
    with pytest.raises(AssertionError, match="the values are the same, and should not be"):
        is_not(left, right)


@pytest.mark.parametrize(("left", "right"), DIFFERENT)
def test_what_can_be_told_apart(left, right):
    is_not(left, right)
    with pytest.raises(AssertionError) as caught:
        is_(left, right)
    expected, actual = str(caught.value).splitlines()[0].removeprefix("expected ").split(", got ", 1)
    assert expected != actual, "the two look the same in the message"


def test_the_message_says_what_differs():
    with pytest.raises(AssertionError, match=r"^the total: expected 2, got 3$"):
        is_(2, 3, "the total")
    with pytest.raises(AssertionError, match=r"expected 1 \(int\), got True \(bool\)"):
        is_(1, True)
    with pytest.raises(AssertionError, match="two objects: to compare what they hold, use deep_equal"):
        is_([1], [1])
    with pytest.raises(AssertionError) as caught:
        is_("a\nb\nc", "a\nB\nc")
    assert str(caught.value).splitlines() == [
        "the texts differ", "  --- expected", "  +++ actual", "  @@ -1,3 +1,3 @@", "   a", "  -b", "  +B", "   c",
    ]


def test_long_values_get_lines_of_their_own():
    with pytest.raises(AssertionError) as caught:
        is_("x" * 100, "x" * 99 + "y")
    headline, expected, actual = str(caught.value).splitlines()
    assert headline == "the values are not the same"
    assert expected == f"  expected: '{'x' * 100}'"
    assert actual == f"  actual:   '{'x' * 99}y'"


def test_values_that_cannot_be_shown_are_compared_all_the_same():
    class Rude:
        def __repr__(self):
            raise RuntimeError("no")

        def __eq__(self, other):
            raise RuntimeError("no")

        __hash__ = None

    with pytest.raises(AssertionError, match="whose repr raised RuntimeError"):
        is_(Rude(), Rude())
