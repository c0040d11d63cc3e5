"""Places that are not compared."""

from __future__ import annotations

import pytest

from testd.assertions.equality import differences
from testd.functions.places import IGNORED, PlaceError, parse, without
from testd.functions.shapes import shape

VALUE = {"id": 1, "user": {"id": 2, "tags": ["a", "b"]}, "items": [{"id": 3, "at": 4}, {"id": 5}],
         "pair": (1, {"id": 6})}  # fmt: skip


@pytest.mark.parametrize(
    ("written", "steps"),
    [
        ("id", ("id",)),
        ("user.id", ("user", "id")),
        ("items[0].id", ("items", "0", "id")),
        ("items.0.id", ("items", "0", "id")),
        ("items[*].at", ("items", "*", "at")),
        ("**.id", ("**", "id")),
        ("$.user['a.b']", ("user", "a.b")),
        ('["x"]', ("x",)),
        ("[1]", ("1",)),
    ],
)
def test_a_place_is_read(written, steps):
    assert parse(written) == steps


@pytest.mark.parametrize("written", ["", "$", "a..b", "a[", "a]", "."])
def test_what_is_no_place_says_so(written):
    with pytest.raises(PlaceError, match=r"no place in a value: write "):
        parse(written)


@pytest.mark.parametrize(
    ("place", "changed"),
    [
        ("id", {**VALUE, "id": IGNORED}),
        ("user", {**VALUE, "user": IGNORED}),
        ("user.tags[1]", {**VALUE, "user": {"id": 2, "tags": ["a", IGNORED]}}),
        ("items[*].at", {**VALUE, "items": [{"id": 3, "at": IGNORED}, {"id": 5}]}),
        ("pair[1].id", {**VALUE, "pair": (1, {"id": IGNORED})}),
        ("items.*", {**VALUE, "items": [IGNORED, IGNORED]}),
        ("nowhere.at.all", VALUE),
        ("**.id", {"id": IGNORED, "user": {"id": IGNORED, "tags": ["a", "b"]},
                   "items": [{"id": IGNORED, "at": 4}, {"id": IGNORED}], "pair": (1, {"id": IGNORED})}),
    ],
)  # fmt: skip
def test_what_is_at_a_place_is_taken_out(place, changed):
    before = repr(VALUE)
    assert without(VALUE, [parse(place)]) == changed
    assert repr(VALUE) == before


def test_several_places_and_a_value_that_contains_itself():
    value = {"a": 1, "b": 2}
    value["self"] = value
    made = without(value, [parse("a"), parse("**.b")])
    assert (made["a"], made["b"]) == (IGNORED, IGNORED)
    assert repr(IGNORED) == "<ignored>"


def test_attributes_of_objects_are_places_as_well():
    cart = {"$type": "object", "class": "shop:Cart", "state": {"id": 1, "items": [{"id": 2}]}}
    one, other = (shape({**cart, "state": {**cart["state"], "id": number}}) for number in (3, 4))
    assert differences(one, other)
    assert not differences(without(one, [parse("id")]), without(other, [parse("id")]))
    assert vars(without(one, [parse("items[*].id")]))["items"] == [{"id": IGNORED}]
    assert vars(one) == {"id": 3, "items": [{"id": 2}]}
