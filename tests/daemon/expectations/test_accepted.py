"""Cases that are put right by what came of them: once, and twice to find what differs from run to run."""

from __future__ import annotations

import pytest

from testd_daemon.expectations.accepted import accept, settle
from testd_daemon.expectations.places import differing

WHEN = {"$type": "datetime", "value": "2026-01-01T00:00:00"}
CART = {"$type": "object", "class": "m:Cart", "state": {"id": 1}}
LATER = {"$type": "datetime", "value": "2026-01-02T00:00:00"}


def executed(output=None, *children, given=None, error=None, id="root"):  # noqa: A002 - the document's name
    kind, message = error or (None, None)
    return {"id": id, "name": "f", "input": given, "output": output, "thrown_error": message, "error_type": kind,
            "executed_successfully": error is None, "children": list(children)}  # fmt: skip


def judged(*holds, children=(), call=None):
    return {
        "assertions": [{"successful": found, "failure_message": "" if found else "differs"} for found in holds],
        "children": list(children), "executed_function_id": call,
    }  # fmt: skip


def came(root, *holds, children=()):
    return {**judged(*holds, children=children), "executed_function": root, "error": None}


def equals(value, **more):
    return {"operator": "equals", "object": value, **more}


def case(*assertions, children=()):
    made = {"id": "1", "name": "c", "assertions": list(assertions)}
    return {**made, "children": list(children)} if children else made


def test_the_output_that_came_is_expected_and_each_difference_told():
    made = accept(case(equals({"a": 1, "b": [1, 2]})), came(executed({"a": 1, "b": [1, 3]}), False))
    assert made.case == case(equals({"a": 1, "b": [1, 3]}))
    assert (made.changes, made.left) == (["output b[1]: 2 → 3"], [])


def test_what_is_ignored_is_not_told():
    made = accept(case(equals({"a": 1, "b": 1}, ignore=["a"])), came(executed({"a": 2, "b": 2}), False))
    assert made.changes == ["output b: 1 → 2"]
    assert made.case["assertions"][0]["ignore"] == ["a"]


def test_an_error_in_the_place_of_an_output_and_the_other_way_round():
    raised = accept(case(equals(1)), came(executed(error=("ValueError", "bad")), False))
    error = {"operator": "raises", "object": {"type": "ValueError", "message": "bad"}}
    assert (raised.case, raised.changes) == (case(error), ["it raises ValueError: bad"])
    returned = accept(case(error), came(executed(5), False))
    assert (returned.case, returned.changes) == (case(equals(5)), ["it raises no error"])
    other = accept(case(error), came(executed(error=("ValueError", "worse")), False))
    assert other.case["assertions"][0]["object"]["message"] == "worse"
    silent = accept(case(), came(executed(error=("ValueError", "bad"))))
    assert silent.case == case(error)


def test_what_people_wrote_otherwise_stays_and_is_told():
    by_hand = {"operator": "matches", "object": "x+"}
    made = accept(case(by_hand, equals(1)), came(executed(2), False, False))
    assert made.case == case(by_hand, equals(2))
    assert made.left == ["differs"]


def test_calls_are_put_right_each_and_those_that_are_not_made_are_expected_no_more():
    inner = executed(3, given=[2, {}], id="child")
    made_with = [equals([1, {}], assertion_target="input"), equals(3)]
    expected = case(equals(1), children=[{"function": "m:gone"}, {"function": "m:g", "assertions": made_with}])
    result = came(executed(1, inner), True, children=[judged(), judged(False, True, call="child")])
    made = accept(expected, result)
    assert made.changes == ["gone is not called", "g: input [0]: 1 → 2"]
    (child,) = made.case["children"]
    assert child["assertions"] == [equals([2, {}], assertion_target="input"), equals(3)]


def test_what_could_not_be_run_stays():
    expected = case(equals(1))
    made = accept(expected, {"error": "no module", "executed_function": None})
    assert (made.case, made.changes, made.left) == (expected, [], ["it could not be run: no module"])


def test_what_differs_from_run_to_run_is_ignored_and_what_does_not_is_accepted():
    one, two = ({"id": number, "at": at, "n": 7} for number, at in ((1, WHEN), (2, LATER)))
    made = settle(case(equals({"id": 0, "at": WHEN, "n": 6})), came(executed(one), False), came(executed(two), False))
    assert made.case == case(equals(one, ignore=["id", "at"]))
    assert made.changes == [
        "output id differs from run to run: it is ignored",
        "output at differs from run to run: it is ignored",
        "output n: 6 → 7",
    ]


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        (1, 2, [{"operator": "type", "object": "int"}]),
        (1, "a", [{"operator": "type", "object": ["int", "str"]}]),
        (WHEN, LATER, [{"operator": "type", "object": "datetime.datetime"}]),
        ({"$type": "opaque", "class": "_thread:lock", "x": 1}, {"$type": "opaque", "class": "_thread:lock", "x": 2},
         [{"operator": "type", "object": "_thread.lock"}]),
        ({"$type": "path", "value": "a"}, {"$type": "path", "value": "b"}, []),
    ],
)  # fmt: skip
def test_of_a_value_that_differs_as_a_whole_its_type_is_expected(one, two, expected):
    made = settle(case(equals(one)), came(executed(one), True), came(executed(two), False))
    assert made.case["assertions"] == expected


def test_a_message_that_differs_from_run_to_run_is_not_expected():
    error = {"operator": "raises", "object": {"type": "ValueError", "message": "at 1"}}
    first, second = (came(executed(error=("ValueError", f"at {n}")), n == 1) for n in (1, 2))
    assert settle(case(error), first, second).case == case({"operator": "raises", "object": {"type": "ValueError"}})


@pytest.mark.parametrize(
    ("one", "other", "places"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 1.0}, ["a"]),
        ({"a": 1}, {"a": True}, ["a"]),
        ({"a": 1}, {"b": 1}, [""]),
        ([1, 2], [1], [""]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ["a[0].b"]),
        ({"a.b": {"c": 1}}, {"a.b": {"c": 2}}, ['["a.b"].c']),
        ({"$type": "tuple", "items": [1]}, {"$type": "tuple", "items": [2]}, ["[0]"]),
        ({"$type": "tuple", "items": [1]}, {"$type": "set", "items": [2]}, [""]),
        ({"$type": "set", "items": [1]}, {"$type": "set", "items": [2]}, [""]),
        (CART, {**CART, "state": {"id": 2}}, ["id"]),
    ],
)
def test_places_that_differ(one, other, places):
    assert [found.place for found in differing(one, other)] == places
