"""`conforms`."""
# ruff: noqa: UP006, UP007, UP035, UP045 (what older interpreters have is to be understood too)

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Any, Dict, List, Literal, Optional, Tuple, Union

import pytest

from testd.assertions import conforms, maybe


def even(value):
    return value % 2 == 0


GOOD = [
    (1, int), (True, bool), (None, None), ("x", "x"), (3, ...), (float("nan"), float("nan")), (4, even),
    ("abc", re.compile("b")), (1, Union[int, str]), (None, Optional[int]), ("a", Literal["a", "b"]), (object(), Any),
    ([1, 2], List[int]), ([], List[int]), ({"a": 1}, Dict[str, int]), ((1, "a"), Tuple[int, str]),
    ((1, 2, 3), Tuple[int, ...]),
    ([1, 2], Sequence), ([1], Sequence[int]), ({"a": 1}, {"a": int}), ({"a": 1}, {"a": int, "b": maybe(str)}),
    ({"a": 1, "z": 2}, {"a": int, ...: int}), ({"z": object()}, {...: ...}),
    ([1, "a"], [int, str]), ([1, 2, 3], [int, ...]),
    ([], [int, ...]), (["h", 1, 2], [str, int, ...]), ([], []),
    ([1, "x"], [...]), ((1, 2), (int, int)), ({1, 2}, {int}),
    ({1, "a"}, {int, str}), ({"rows": [{"n": 1}]}, {"rows": [{"n": int}, ...]}),
]
BAD = [
    (True, int, "value: expected int, is True (bool)"),
    (1, str, "value: expected str, is 1 (int)"),
    (1.0, 1, "value: expected 1, is 1.0 (float)"),
    (3, even, "is true, is 3 (int)"),
    ("abc", re.compile("^b"), "value: expected a text in which '^b' is found, is 'abc' (str)"),
    (1, re.compile("1"), "is found, is 1 (int)"),
    (1.0, Union[int, str], "value: expected int or str, is 1.0 (float)"),
    ("c", Literal["a", "b"], "value: expected 'a' or 'b', is 'c' (str)"),
    ([1, "x"], List[int], "value[1]: expected int, is 'x' (str)"),
    ({"a": "x"}, Dict[str, int], "value['a']: expected int, is 'x' (str)"),
    ({1: 1}, Dict[str, int], "value.key 1: expected str, is 1 (int)"),
    ((1,), Tuple[int, str], "value: 1 items, expected 2"),
    ({}, {"a": int}, "value['a']: missing, expected int"),
    ({"a": 1, "z": 2}, {"a": int}, "value['z']: not expected, is 2"),
    ({"a": 1, "z": "x"}, {"a": int, ...: int}, "value['z']: expected int, is 'x' (str)"),
    ({"b": 1}, {"b": maybe(str)}, "value['b']: expected str, is 1 (int)"),
    ([("a", 1)], {"a": int}, "value: expected a dict, is [('a', 1)] (list)"),
    ([], [int], "value: 0 items, expected 1"),
    ([], [str, int, ...], "value: 0 items, expected at least 1"),
    ((1,), [int], "value: expected a list, is (1,) (tuple)"),
    ({1, None}, {int}, "value: the member None is none of int"),
    ({"rows": [{"n": 1}, {"n": "2"}]}, {"rows": [{"n": int}, ...]},
     "value['rows'][1]['n']: expected int, is '2' (str)"),
]


@pytest.mark.parametrize(("value", "spec"), GOOD, ids=range(len(GOOD)))
def test_conforms(value, spec):
    conforms(value, spec)


@pytest.mark.parametrize(("value", "spec", "line"), BAD, ids=range(len(BAD)))
def test_does_not_conform(value, spec, line):
    with pytest.raises(AssertionError) as caught:
        conforms(value, spec)
    assert line in str(caught.value)


@pytest.mark.skipif(sys.version_info < (3, 10), reason="X | Y came with Python 3.10")
def test_unions_and_generics_of_the_language():
    conforms([1, None], list[int | None])
    with pytest.raises(AssertionError, match=r"value\[0\]: expected int or None, is 'x' \(str\)"):
        conforms(["x"], list[int | None])


def test_every_place_is_named_up_to_a_limit():
    with pytest.raises(AssertionError) as caught:
        conforms([str(n) for n in range(100)], [int, ...], "the numbers")
    lines = str(caught.value).splitlines()
    assert lines[0] == "the numbers: the value does not conform"
    assert lines[-1] == "  ... and more"
    assert len(lines) == 22
