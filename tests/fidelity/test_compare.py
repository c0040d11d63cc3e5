"""The comparison must see every difference: a check that finds nothing because it looks at nothing proves nothing."""

from __future__ import annotations

import json

import pytest

from verdicts import Difference, FidelityError, compare, differing, flaky, moving, outcomes, settle


def line(event: str, **keys: object) -> str:
    return json.dumps({"event": event, "run": "r1", "seq": 1, **keys})


def test_equal_sides_have_no_differences():
    assert compare({"a": ["passed"], "b": ["failed"]}, {"b": ["failed"], "a": ["passed"]}) == []


def test_every_kind_of_difference_is_found():
    plain = {"same": ["passed"], "verdict": ["passed"], "lost": ["skipped"], "twice": ["passed", "passed"]}
    ours = {"same": ["passed"], "verdict": ["failed"], "invented": ["passed"], "twice": ["passed"]}
    assert compare(plain, ours) == [
        Difference("invented", "", "passed"),
        Difference("lost", "skipped", ""),
        Difference("twice", "passed, passed", "passed"),
        Difference("verdict", "passed", "failed"),
    ]


def test_a_difference_says_which_side_lacks_the_test():
    assert str(Difference("t", "", "passed")) == "t: pytest does not have it, testd passed"


def test_flaky_tests_are_left_out():
    runs = [{"a": ["passed"], "b": ["passed"]}, {"a": ["passed"], "b": ["failed"]}]
    assert flaky(runs) == {"b"}
    assert compare(runs[0], {"a": ["passed"], "b": ["failed"]}, leave_out=flaky(runs)) == []


def test_ids_that_move_are_compared_as_a_group():
    runs = [{"t[12:01]": ["passed"], "same": ["passed"]}, {"t[12:02]": ["passed"], "same": ["passed"]}]
    shapes = moving(runs)
    assert shapes == {"t[0:0]"}
    assert flaky(runs) == set()
    plain = settle(runs[0], shapes)
    assert compare(plain, settle({"t[12:03]": ["passed"], "same": ["passed"]}, shapes)) == []
    assert compare(plain, settle({"t[12:03]": ["error"], "same": ["passed"]}, shapes)) == [
        Difference("t[0:0]", "passed", "error")
    ]


def test_an_id_with_another_number_is_a_difference_where_pytest_is_steady():
    steady = {"t[obj0]": ["passed"]}
    shapes = moving([steady, steady])
    assert len(compare(settle(steady, shapes), settle({"t[obj1]": ["passed"]}, shapes))) == 2


def test_two_tests_of_one_id_are_two():
    assert compare({"a": ["failed", "passed"]}, {"a": ["passed", "failed"]}) == []


def test_outcomes_are_read_from_events():
    lines = [
        line("accepted"),
        line("outcome", test="a", verdict="passed"),
        line("notice", level="info", text="…"),
        line("outcome", test="b", verdict="crashed"),
        line("outcome", test="b", verdict="passed"),
        line("completed", exit_code=1),
    ]
    assert outcomes(lines) == {"a": ["passed"], "b": ["crashed", "passed"]}


def test_events_without_a_completion_are_no_result():
    with pytest.raises(FidelityError, match="completion"):
        outcomes([line("accepted"), line("outcome", test="a", verdict="passed")])


def test_only_shared_tests_are_held_against_a_run_of_their_file():
    assert differing({"a": ["passed"], "b": ["failed"]}, {"a": ["failed"], "c": ["passed"]}) == {"a"}
