"""A case's assertions over the recorded calls: which hold, and why others do not."""

from __future__ import annotations

import itertools

import pytest

from testd.functions import telling
from testd.functions.judging import Judge, mistakes
from testd.functions.operators import AssertionMistake
from testd.tracing.values import snapshot

_ids = itertools.count()


def call(name="f", *children, output=None, input=({},), error=None, kind="ValueError", mocked=False, module="m"):  # noqa: A002
    number = str(next(_ids))
    for child in children:
        child["parent_id"] = number
    return {
        "name": name, "module": module, "id": number, "parent_id": None, "input": snapshot(list(input)),
        "output": snapshot(output), "thrown_error": error, "error_type": kind if error is not None else None,
        "executed_successfully": error is None, "children": list(children),
        "execution_context": {"is_mocked": True} if mocked else {},
    }  # fmt: skip


def judged(executed, *assertions, raised=(), **case):
    return Judge(raised).root({"assertions": list(assertions), **case}, executed)


def reasons(executed, *assertions, **more):
    return judged(executed, *assertions, **more)["failure_reasons"]


def says(operator, expected, target="output", **more):
    return {"operator": operator, "object": expected, "assertion_target": target, **more}


class Cart:
    def __init__(self, total):
        self.total = total

    def __eq__(self, other):
        raise AssertionError("what a class makes of == is not asked")

    __hash__ = None


def test_output_and_input_are_compared():
    executed = call(output=3, input=[1, {"b": 2}])
    assert reasons(executed, says("equals", 3), says("equals", [1, {"b": 2}], "input")) == []
    assert reasons(executed, says("equals", 4), says("equals", [1, {}], "input")) == [
        "Output does not match the expectation.",
        "Input does not match the expectation.",
    ]


def test_what_differs_is_told_by_its_place():
    (found,) = judged(call(output={"a": [1, {"b": 2}]}), says("equals", {"a": [1, {"b": 3}]}))["assertions"]
    assert found["differences"] == ["output['a'][1]['b']:", "  expected: 3", "  actual:   2"]
    assert found["received"] == {"a": [1, {"b": 2}]}
    assert (found["successful"], found["failure_message"]) == (False, "Output does not match the expectation.")
    (found,) = judged(call(input=[1, {}]), says("equals", [2, {}], "input"))["assertions"]
    assert found["differences"][0] == "input[0]:"


def test_errors_are_compared_by_their_message():
    """Fact 16: the reasons are exactly these."""
    raising = call(error="bad value 42")
    assert reasons(raising, says("equals", "bad value 42", "error")) == []
    assert reasons(raising, says("contains", "42", "error")) == []
    assert reasons(raising, says("matches", r"\d+$", "error")) == []
    assert reasons(raising, says("equals", "bad", "error")) == ["Error message does not match."]
    assert reasons(raising, says("contains", "X", "error")) == ['Error message does not contain "X"']
    assert reasons(call(), says("equals", "x", "error")) == ["Function was expected to throw an error."]
    assert reasons(raising, says("equals", 1)) == ["Function threw an error."]


def test_an_error_without_a_message_is_an_error():
    """Fact 5."""
    assert reasons(call(error="")) == ["Function threw an error."]
    assert reasons(call(error=""), says("equals", "", "error")) == []


def test_an_error_that_no_assertion_speaks_of_fails_the_case():
    raising = call(error="no", input=[1, {}])
    assert reasons(raising) == ["Function threw an error."]
    assert reasons(raising, says("equals", [1, {}], "input")) == ["Function threw an error."]
    assert reasons(raising, {"code": "lambda call: call['thrown_error'] == 'no'", "language": "python"}) == []
    assert reasons(call()) == []


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("ValueError", None),
        ("Exception", None),
        ({"type": "ValueError", "message": "bad value 42"}, None),
        ({"contains": "42"}, None),
        ({"matches": "^bad"}, None),
        ("KeyError", "Error is of type ValueError, expected KeyError: bad value 42"),
        ({"type": "ValueError", "message": "x"}, "Error message does not match. Expected 'x', is 'bad value 42'"),
        ({"contains": "x"}, 'Error message does not contain "x"'),
        ({"matches": "x"}, "Error message does not match. 'x' is not found in 'bad value 42'"),
    ],
)
def test_raises_is_about_type_and_message(wanted, said):
    names = ["ValueError", "Exception", "BaseException", "object"]
    assert reasons(call(error="bad value 42"), says("raises", wanted), raised=names) == ([said] if said else [])


def test_raises_needs_an_error_and_says_what_it_takes():
    assert reasons(call(), says("raises", "ValueError")) == ["Function was expected to throw an error."]
    for wrong in (5, {}, {"typ": "ValueError"}):
        with pytest.raises(AssertionMistake, match="raises takes the name of a type"):
            reasons(call(error="x"), says("raises", wrong))


def test_children_are_met_in_their_order_and_others_may_come_between():
    """Fact 17."""
    executed = call("f", call("child", output=1), call("other"), call("child", output=2))
    one, two = (says("equals", number) for number in (1, 2))
    assert reasons(executed, children=[
        {"function": "m:child", "assertions": [one]}, {"function": "child", "assertions": [two]},
    ]) == []  # fmt: skip
    assert reasons(executed, children=[{"function": "m:other"}]) == []
    assert reasons(executed, children=[{"function": "elsewhere:other"}]) == ["Child function other."]
    assert reasons(executed, children=[{"function": "m:child", "assertions": [two]}]) == ["Child function child."]


def test_a_call_that_was_not_made_fails_with_all_that_it_should_have_made():
    """Fact 17: the texts are exactly these, also for what is below, and another function in its place is no call."""
    executed = call("f", call("boom"))
    made = judged(executed, children=[{"function": "m:child", "children": [{"function": "m:grandchild"}]}])
    (child,) = made["children"]
    assert made["failure_reasons"] == ["Child function child."]
    assert child["failure_reasons"] == [
        "This function was not called and was expected to be called.",
        "In its place boom was called.",
    ]
    assert child["executed_function_id"] is None
    assert child["children"][0]["failure_reasons"] == ["This function was not called and was expected to be called."]
    assert not child["children"][0]["successful"]


def test_strict_wants_no_other_calls():
    executed = call("f", call("child"), call("other"))
    expected = [{"function": "m:child"}]
    assert reasons(executed, children=expected) == []
    assert reasons(executed, children=expected, strict=True) == [
        "1 calls were expected and no others; there were 2: child, other."
    ]
    assert reasons(executed, children=[*expected, {"function": "m:other", "strict": True}], strict=True) == []


def test_a_mocked_call_is_marked():
    made = judged(call("f", call("child", mocked=True)), children=[{"function": "m:child"}])
    assert made["children"][0]["is_mocked"] is True
    assert made["failure_reasons"] == []


def test_a_failing_child_fails_its_parents():
    executed = call("f", call("g", call("h", output=1)))
    made = judged(executed, children=[
        {"function": "m:g", "children": [{"function": "m:h", "assertions": [says("equals", 2)]}]},
    ])  # fmt: skip
    assert made["failure_reasons"] == ["Child function g."]
    assert made["children"][0]["failure_reasons"] == ["Child function h."]
    assert telling.summary(made) == "Output does not match the expectation. output: expected 2, actual 1"
    assert telling.report(made).splitlines()[1:] == [
        "  call of m:g",
        "    call of m:h",
        "      output equals: Output does not match the expectation.",
        "        output:",
        "          expected: 2",
        "          actual:   1",
    ]


def test_types_count_where_values_are_to_be_equal():
    assert reasons(call(output=(1, 2)), says("equals", [1, 2]))
    assert reasons(call(output=(1, 2)), says("equals", snapshot((1, 2)))) == []
    assert reasons(call(output={1, 2}), says("equals", snapshot({2, 1}))) == []
    assert reasons(call(output=True), says("equals", 1))


def test_objects_are_compared_by_what_they_hold():
    executed = call(output=Cart(3))
    assert reasons(executed, says("equals", snapshot(Cart(3)))) == []
    (found,) = judged(executed, says("equals", snapshot(Cart(4))))["assertions"]
    assert found["differences"] == ["output.total:", "  expected: 4", "  actual:   3"]
    assert reasons(executed, says("equals", {"total": 3}))
    assert reasons(executed, says("type", "Cart")) == []
    assert reasons(executed, says("type", "Bag"))


@pytest.mark.parametrize("operator", ["contains", "subset"])
def test_what_is_looked_for_in_parts_needs_no_types(operator):
    executed = call(output={"cart": Cart(3), "pair": (1, 2)})
    assert reasons(executed, says(operator, {"cart": {"total": 3}, "pair": [1, 2]})) == []
    assert reasons(executed, says(operator, {"cart": {"total": 4}}))


def test_ignored_places_are_not_compared():
    """Fact 18: ignore flags are honoured."""
    executed = call(output={"id": 7, "rows": [{"id": 8, "n": 1}], "at": "now"})
    expected = {"id": 0, "rows": [{"id": 0, "n": 1}], "at": "then"}
    assert reasons(executed, says("equals", expected, ignore=["**.id", "at"])) == []
    (found,) = judged(executed, says("equals", expected, ignore=["id", "at"]))["assertions"]
    assert found["differences"][0] == "output['rows'][0]['id']:"


def test_a_secret_that_was_left_out_is_not_compared():
    redacted = snapshot({"password": "x"})
    assert "x" not in str(redacted)
    assert reasons(call(output={"user": 1}), says("equals", {"user": 1, **redacted}))
    executed = call()
    executed["output"] = redacted
    assert reasons(executed, says("equals", redacted)) == []


def test_code_in_python_gets_the_executed_function():
    executed = call(output=3)

    def code(source):
        return reasons(executed, {"code": source, "language": "python"})

    assert code("lambda call: call['output'] == 3") == []
    assert code("def check(call):\n    assert call['output'] == 3") == []
    assert code("import math\ndef f(n): return math.floor(n)\ndef check(call): return f(3.5) == call['output']") == []
    assert code("lambda call: False") == ["The assertion's code returned False."]
    assert code("def check(call):\n    assert call['output'] == 4, 'not four'") == ["not four"]
    with pytest.raises(AssertionMistake, match="code raised KeyError: 'x'"):
        code("lambda call: call['x']")


@pytest.mark.parametrize(
    ("assertion", "said"),
    [
        ({"name": "empty"}, "neither operator nor code: one of them is needed"),
        ({"operator": "equals"}, "object: missing: what equals compares with"),
        ({"code": "call ->", "language": "python"}, "code cannot be used: SyntaxError"),
        ({"code": "5", "language": "python"}, "code is no function: write lambda call: …"),
        ({"code": "", "language": "python"}, "code is no function"),
        ({"operator": "equals", "object": 1, "ignore": ["a..b"]}, "'a..b' is no place in a value"),
    ],
)
def test_what_cannot_be_carried_out_is_a_mistake_and_no_pass(assertion, said):
    """Fact 18: unknown and unimplemented things are errors of that case, wherever in it they are."""
    (mistake,) = mistakes({"assertions": [assertion]})
    assert mistake.startswith("assertions[0]: ")
    assert said in mistake
    right = {"operator": "equals", "object": 1}
    (mistake,) = mistakes({"children": [{"children": [{"assertions": [right, assertion]}]}]})
    assert mistake.startswith("children[0].children[0].assertions[1]: ")


def test_an_expectation_with_an_unknown_tag_is_a_mistake():
    with pytest.raises(AssertionMistake, match=r"object: the value has the \$type 'nothing'"):
        reasons(call(), says("equals", {"$type": "nothing"}))


def test_code_in_javascript_is_judged_by_whoever_has_an_engine():
    asked = []

    def engine(source, executed):
        asked.append((source, executed["output"]))
        return "" if source == "good" else "it is 3"

    assertions = [{"code": "good"}, {"code": "bad", "language": "javascript"}]
    found = Judge((), engine).root({"assertions": assertions}, call(output=3))
    assert asked == [("good", 3), ("bad", 3)]
    assert found["failure_reasons"] == ["it is 3"]
    with pytest.raises(AssertionMistake, match="there is no daemon"):
        reasons(call(), {"code": "x => true"})
