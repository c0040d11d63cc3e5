"""`similar`: the range that runs span, and what leaves it."""

from __future__ import annotations

import asyncio
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testd.assertions import similar
from testd.assertions.variation import observe, strays
from testd.context import Context, state

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=10,
)


@pytest.fixture
def running(tmp_path, monkeypatch):
    def run(*, update: bool) -> None:
        monkeypatch.setattr(state, "test", Context("a_test.py::t", "t", str(tmp_path / "a_test.py")))
        monkeypatch.setattr(state, "update_snapshots", update)

    return run


def _counting(start=0):
    numbers = itertools.count(start)
    return lambda: {"id": next(numbers), "name": "ada"}


def test_what_varied_may_vary_and_what_did_not_may_not(running):
    running(update=True)
    similar(_counting())
    running(update=False)
    similar(_counting())
    running(update=False)
    with pytest.raises(AssertionError) as caught:
        similar(_counting(3), message="ids")
    assert str(caught.value).splitlines()[:2] == [
        "ids: run 3 of 5 is outside the range of a_test.py::t, similar 1", "  value['id']: expected 0 to 4, is 5",
    ]
    running(update=False)
    with pytest.raises(AssertionError, match=r"value\['name'\]: expected 'ada', is 'bob'"):
        similar(lambda: {"id": 1, "name": "bob"})


def test_nothing_stored_fails(running):
    running(update=False)
    with pytest.raises(AssertionError, match=r"no range is stored for a_test\.py::t, similar 1"):
        similar(lambda: 1)


def test_coroutines(running):
    async def fetch():
        return 1

    running(update=True)
    asyncio.run(similar(fetch, "named", runs=2))
    running(update=False)
    asyncio.run(similar(fetch, "named", runs=2))


def test_wrong_use_is_told():
    with pytest.raises(TypeError, match=r"3 is none: write similar\(lambda"):
        similar(3)
    with pytest.raises(ValueError, match="at least one run, not 0"):
        similar(lambda: 1, runs=0)


@pytest.mark.parametrize(
    ("values", "value", "lines"),
    [
        ([1, 3], 2, []),
        ([1, 3], 4, ["value: expected 1 to 3, is 4"]),
        ([1, 3], 2.0, ["value: expected int, is 2.0 (float)"]),
        (["a", "b"], "c", []),
        ([None, 1], None, []),
        ([None, 1], 2, ["value: expected 1, is 2"]),
        ([None, 1], "x", ["value: expected one of NoneType, int, is 'x'"]),
        ([{"a": 1}, {"a": 1, "b": 2}], {"a": 1}, []),
        ([{"a": 1}, {"a": 1, "b": 2}], {"b": 2, "c": 3}, ["value['a']: missing", "value['c']: not expected, is 3"]),
        ([[1], [2]], [3], ["value[0]: expected 1 to 2, is 3"]),
        ([[1], [2]], [1, 1], ["value: 2 items, expected 1"]),
        ([[1], [2, 3]], [3, 2, 1], ["value: 3 items, expected 1 to 2"]),
        ([[], [2, 3]], [9], ["value[0]: expected 2 to 3, is 9"]),
        ([float("nan"), 1.0], float("nan"), []),
    ],
)
def test_ranges(values, value, lines):
    assert list(strays(value, json.loads(json.dumps(observe(values))))) == lines


@given(st.lists(JSON, min_size=1, max_size=5))
def test_every_value_is_within_the_range_that_it_helped_to_span(values):
    span = json.loads(json.dumps(observe(values)))
    for value in values:
        assert list(strays(value, span)) == []
