"""`deep_equal`: what is equal, what is not, and how the difference reads."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import functools
import json
import re
import threading
from pathlib import PurePath
from types import SimpleNamespace
from typing import ClassVar, NamedTuple
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testd.assertions import deep_equal
from testd.assertions.equality import differences

NAN = float("nan")


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0
    note: str = dataclasses.field(default="", compare=False)
    kind: ClassVar[str] = "point"


class Pair(NamedTuple):
    left: int
    right: int


class Slotted:
    __slots__ = ("__hidden", "a", "unset")

    def __init__(self, a, hidden=0):
        self.a, self.__hidden = a, hidden


class Declared:
    """Shaped like an attrs class."""

    __attrs_attrs__ = (SimpleNamespace(name="a", eq=True), SimpleNamespace(name="b", eq=False))

    def __init__(self, a, b):
        self.a, self.b = a, b


class Plain:
    def __init__(self, **values):
        self.__dict__.update(values)


class OwnEquality(Plain):
    def __eq__(self, other):
        return self.key == other.key

    __hash__ = None


def _cycle(value):
    made = [value]
    made.append({"again": made})
    return made


def _deep(levels, leaf):
    for _ in range(levels):
        leaf = [leaf]
    return leaf


LOCK = threading.Lock()
EQUAL = [
    (1, 1), ([1, [2, {"a": (3, None)}]], [1, [2, {"a": (3, None)}]]), ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ({1, 2}, {2, 1}), (frozenset("ab"), frozenset("ba")), ([NAN], [float("nan")]), ({NAN}, {float("nan")}),
    (Point(1, 2, "x"), Point(1, 2, "y")), (Pair(1, 2), Pair(1, 2)), (Slotted(1), Slotted(1)),
    (Declared(1, 2), Declared(1, 3)), (Plain(a=[1]), Plain(a=[1])), (OwnEquality(key=1, a=1), OwnEquality(key=1, a=2)),
    (_cycle(1), _cycle(1)), (_deep(5000, 1), _deep(5000, 1)), (LOCK, LOCK), (ValueError("x"), ValueError("x")),
    (collections.deque([1], 3), collections.deque([1], 3)), (decimal.Decimal("1.0"), decimal.Decimal("1.00")),
    (dt.date(2020, 1, 1), dt.date(2020, 1, 1)), (PurePath("a/b"), PurePath("a//b")), (Plain(), Plain()),
    ({"a": mock.ANY}, {"a": 3}), ([pytest.approx(0.3)], [0.1 + 0.2]), (re.compile("a"), re.compile("a")),
    (collections.OrderedDict(a=1), collections.OrderedDict(a=1)), (len, len), (Plain, Plain),
]
UNEQUAL = [
    (1, 1.0), ([1], (1,)), ([1], [1, 2]), ({"a": 1}, {"a": 1, "b": 2}), ({1}, {2}),
    ({1: 2}, collections.OrderedDict({1: 2})),
    (Point(1, 2), Point(1, 3)), (Pair(1, 2), (1, 2)), (Slotted(1), Slotted(2)), (Slotted(1, 0), Slotted(1, 1)),
    (Declared(1, 2), Declared(2, 2)), (Plain(a=1), Plain(a=2)), (Plain(a=1), Plain(b=1)),
    (Plain(a=1), OwnEquality(a=1)),
    (OwnEquality(key=1), OwnEquality(key=2)), (_cycle(1), _cycle(2)), (_deep(5000, 1), _deep(5000, 2)),
    (threading.Lock(), threading.Lock()), (ValueError("x"), ValueError("y")), (ValueError("x"), TypeError("x")),
    (collections.deque([1], 3), collections.deque([1], 4)), (object(), object()),
    (functools.partial(len, [1]), functools.partial(len, [2])), ([0.0], [-0.0]), (lambda: 1, lambda: 1), (Plain, Point),
    (collections.OrderedDict([("a", 1), ("b", 2)]), collections.OrderedDict([("b", 2), ("a", 1)])),
]


@pytest.mark.parametrize(("expected", "actual"), EQUAL, ids=range(len(EQUAL)))
def test_equal(expected, actual):
    deep_equal(expected, actual)


@pytest.mark.parametrize(("expected", "actual"), UNEQUAL, ids=range(len(UNEQUAL)))
def test_not_equal(expected, actual):
    with pytest.raises(AssertionError, match=r"^the values differ"):
        deep_equal(expected, actual)


def test_a_difference_names_each_place():
    expected = {"name": "ada", "rows": [{"n": 1}, {"n": 2}], "at": Point(1, 2), "tags": {"a", "b"}, "gone": 1}
    actual = {"name": "bob", "rows": [{"n": 1}, {"n": 3}, {}], "at": Point(1, 5), "tags": {"b", "c"}, "new": 2}
    with pytest.raises(AssertionError) as caught:
        deep_equal(expected, actual, "the order")
    assert str(caught.value).splitlines() == [
        "the order: the values differ at value['gone']",
        "  value['gone']: missing",
        "    expected: 1",
        "  value['new']: not expected",
        "    actual:   2",
        "  value['name']:",
        "    expected: 'ada'",
        "    actual:   'bob'",
        "  value['rows']: 3 items, expected 2",
        "  value['rows'][2]: not expected",
        "    actual:   {}",
        "  value['rows'][1]['n']:",
        "    expected: 2",
        "    actual:   3",
        "  value['at'].y:",
        "    expected: 2",
        "    actual:   5",
        "  value['tags']: sets with different members",
        "    missing:      'a'",
        "    not expected: 'c'",
    ]


def test_many_differences_are_cut_and_large_values_are_shortened():
    lines = differences(list(range(1000)), list(range(1, 1001)))
    assert lines[-1] == "... and more differences"
    assert len(lines) == 61
    assert all(len(line) < 300 for line in differences(["x" * 10**6], [list(range(10**5))]))


def test_texts_of_several_lines_are_compared_by_line():
    assert differences({"t": "a\nb\n"}, {"t": "a\nc\n"}) == [
        "value['t']:", "  --- expected", "  +++ actual", "  @@ -1,3 +1,3 @@", "   a", "  -b", "  +c", "   ",
    ]


def test_values_that_look_the_same_are_told_apart():
    class Odd:
        __slots__ = ()

        def __repr__(self):
            return "odd"

    [_, expected, actual] = differences(Odd(), Odd())
    assert expected.split(": ")[1] != actual.split(":   ")[1]


def test_arrays_are_equal_where_every_item_is():
    class Array:
        shape = (2,)

        def __init__(self, *items):
            self.items = items

        def __eq__(self, other):
            return Array(*(left == right for left, right in zip(self.items, other.items, strict=True)))

        def __bool__(self):
            raise ValueError("ambiguous")

        def all(self):
            return all(self.items)

        __hash__ = None

    deep_equal(Array(1, 2), Array(1, 2))
    with pytest.raises(AssertionError):
        deep_equal(Array(1, 2), Array(1, 3))


def test_distinct_finds_what_both_values_share():
    inner = [1]
    original, copy = {"a": inner, "t": (1, 2)}, {"a": inner, "t": (1, 2)}
    deep_equal(original, copy)
    with pytest.raises(AssertionError) as caught:
        deep_equal(original, copy, distinct=True)
    assert str(caught.value).splitlines() == [
        "the values share objects, so that a change to one changes the other",
        "  value['a'] is the object at value['a'] of the expected: [1]",
    ]
    deep_equal(original, copy, distinct=True, shared=[inner])
    deep_equal([[1]], [[1]], distinct=True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@given(JSON, JSON)
def test_plain_data_is_equal_where_its_json_is(left, right):
    assert differences(left, json.loads(json.dumps(left))) == []
    different = json.dumps(left, sort_keys=True) != json.dumps(right, sort_keys=True)
    assert bool(differences(left, right)) == bool(differences(right, left)) == different
