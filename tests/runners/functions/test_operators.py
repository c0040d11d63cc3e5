"""How what was expected and what came compare."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from testd.functions.operators import OPERATORS, AssertionMistake, named

NAN = float("nan")


def differing(operator, expected, actual, **assertion):
    return OPERATORS[operator](assertion, expected, actual)


@pytest.mark.parametrize(
    ("operator", "expected", "actual"),
    [
        ("equals", {"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
        ("equals", NAN, NAN),
        ("equals", [], []),
        ("contains", {"some": 1}, {"another": 1, "some": 1}),
        ("contains", {"user": {"name": "x"}}, {"user": {"name": "x", "id": 1}, "more": 1}),
        ("contains", {"rows": [{"a": 1}]}, {"rows": [{"a": 1, "b": 2}]}),
        ("contains", [1, 2], [1, 2]),
        ("contains", [1, 2], [0, 1, 2, 3]),
        ("contains", 2, [1, 2]),
        ("contains", {"a": 1}, [{"a": 1, "b": 2}]),
        ("contains", [], [1]),
        ("contains", "bc", "abcd"),
        ("contains", [1, 3], {1, 2, 3}),
        ("subset", {"a": {"b": []}, "none": None}, {"a": {"b": [1], "c": 2}}),
        ("subset", [1, 2], [1, 2, 3]),
        ("subset", {}, {"a": 1}),
        ("subset", 1, 1.0),
        ("matches", "^a.c$", "abc"),
        ("matches", r"\d+", "order 12"),
        ("approx", 1, 1.0000001),
        ("approx", {"a": [0.1 + 0.2]}, {"a": (0.3,)}),
        ("approx", [NAN, 1], [NAN, Decimal(1)]),
        ("type", "int", 1),
        ("type", ["str", "None"], None),
        ("type", "NoneType", None),
        ("type", "datetime.date", dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc)),
        ("type", "date", dt.date(2020, 1, 1)),
        ("type", "bool", True),
    ],
)  # fmt: skip
def test_holds(operator, expected, actual):
    assert differing(operator, expected, actual) == []


@pytest.mark.parametrize(
    ("operator", "expected", "actual", "place"),
    [
        # fact 13
        ("equals", {"a": 1, "b": {"c": 1}}, {"a": 1, "b": {"c": 2}}, "value['b']['c']:"),
        ("equals", [1, 2, {"s": 1}], [1, 3, {"s": 1}], "value[1]:"),
        ("equals", {"a": 1}, 1, "value:"),
        ("equals", [1], 1, "value:"),
        ("equals", {"a": 1, "extra": 2}, {"a": 1}, "value['extra']: missing"),
        ("equals", {}, {"a": 1}, "value['a']: not expected"),
        ("equals", [], [1], "value: 1 items, expected 0"),
        ("equals", {"a": None}, {}, "value['a']: missing"),
        ("equals", True, 1, "value:"),
        ("equals", 1, 1.0, "value:"),
        ("equals", [1], (1,), "value:"),
        # fact 14
        ("equals", [1, 2, 3], [1], "value: 1 items, expected 3"),
        ("subset", [1, 2, 3], [1], "value: 1 items, expected 3"),
        # fact 15
        ("contains", {"some": 1}, {"another": 1, "some1": 1}, "value['some']: missing"),
        ("contains", {"some": 1}, 1, "value: 1 (int) cannot contain"),
        ("contains", [1, 2], [1, 3, 2], "value: [1, 2] is no part of [1, 3, 2]"),
        ("contains", [1, 2, 3], [1, 2], "value: [1, 2, 3] is no part of [1, 2]"),
        ("contains", "abc", "ab", "value: 'ab' does not contain 'abc'"),
        ("contains", {"rows": [1]}, {"rows": [1, 2]}, "value['rows']: 2 items, expected 1"),
        ("contains", [4], {1, 2}, "value: 4 is not among {1, 2}"),
        ("contains", 1, "1", "value: '1' (str) cannot contain 1 (int)"),
        ("subset", {"a": 1}, {"a": 2, "b": 3}, "value['a']:"),
        ("subset", True, 1, "value:"),
        ("matches", "x", "abc", "value: 'x' is not found in 'abc'"),
        ("matches", "x", 5, "value: 5 (int) is no text"),
        ("approx", 1, 1.1, "value:"),
        ("approx", {"a": 1}, {}, "value['a']: missing"),
        ("approx", [1], [1, 2], "value: 2 items, expected 1"),
        ("approx", 1, "1", "value:"),
        ("approx", 1, True, "value:"),
        ("type", "int", True, "value: True is of type bool, expected int"),
        ("type", ["int", "str"], 1.5, "value: 1.5 is of type float, expected int or str"),
    ],
)  # fmt: skip
def test_does_not_hold_and_says_where(operator, expected, actual, place):
    lines = differing(operator, expected, actual)
    assert lines[0].startswith(place)


def test_a_tolerance_is_what_a_number_may_be_off():
    assert differing("approx", 10, 10.4, tolerance=0.5) == []
    assert differing("approx", 10, 10.4, relative_tolerance=0.05) == []
    told = ["value:", "  expected: 10 ± 0.5", "  actual:   10.6 (float)"]
    assert differing("approx", 10, 10.6, tolerance=0.5) == told
    assert differing("approx", 10, 10.0000001, tolerance=0)


@pytest.mark.parametrize(
    ("operator", "expected", "said"),
    [
        ("matches", "(", "is no regular expression"),
        ("matches", 5, "takes a regular expression"),
        ("type", 5, "takes the name of a type"),
        ("type", [], "takes the name of a type"),
    ],
)
def test_an_expectation_that_makes_no_sense_is_a_mistake(operator, expected, said):
    with pytest.raises(AssertionMistake, match=said):
        differing(operator, expected, "text")


def test_a_type_is_called_by_any_part_of_its_name():
    assert named(["Cart"], "shop.cart:Cart")
    assert named(["shop.cart:Cart"], "shop.cart.Cart")
    assert named(["shop.cart.Cart"], "shop.cart:Cart")
    assert not named(["art"], "shop.cart:Cart")
