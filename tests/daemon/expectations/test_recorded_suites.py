"""Suites made of recorded calls (acceptance fact 12): what each node expects, and how mocks are counted."""

from __future__ import annotations

import itertools

import pytest

from testd_daemon.errors import UsageError
from testd_daemon.expectations.recorded import suite_of

_numbers = itertools.count(1)
INPUT, OUTPUT, ERROR = "Assert Input", "Assert Output", "Assert Error Message"


def call(name, given, output=None, *children, error=None, module="exp", **context):
    kind, message = error or (None, None)
    return {
        "name": name, "module": module, "id": f"id{next(_numbers)}", "input": given, "output": output,
        "executed_successfully": error is None, "thrown_error": message, "error_type": kind, "children": children,
        "execution_context": context,
    }  # fmt: skip


def names(expected):
    return [found["name"] for found in expected.get("assertions", ())]


def test_a_root_expects_its_output_and_calls_expect_input_and_output():
    trace = call("parent", [[1, 2], {}], [2, 4], call("child", [1, {}], 2), call("child", [2, {}], 4))
    suite = suite_of([trace], [], "of parent")
    (case,) = suite["test_cases"]
    assert (suite["id"], suite["name"], case["name"], case["id"]) == ("of-parent", "of parent", "parent", trace["id"])
    assert case["function_to_execute"] == {"function_meta": {"module_name": "exp", "function_name": "parent"}}
    assert case["input_to_pass"] == [[1, 2], {}]
    assert case["assertions"] == [{"name": OUTPUT, "operator": "equals", "object": [2, 4]}]
    assert [(child["function"], names(child)) for child in case["children"]] == [("exp:child", [INPUT, OUTPUT])] * 2
    assert case["children"][1]["assertions"][0]["object"] == [2, {}]
    assert "mocks" not in case


def test_what_failed_expects_its_error_alone():
    trace = call("catches", [{}], None, call("boom", [{}], error=("ValueError", "bad value 42")))
    (child,) = suite_of([trace], [], "s")["test_cases"][0]["children"]
    assert names(child) == [INPUT, ERROR]
    assert child["assertions"][1]["object"] == {"type": "ValueError", "message": "bad value 42"}
    root = suite_of([call("boom", [{}], error=("ValueError", ""))], [], "s")["test_cases"][0]
    assert names(root) == [ERROR]
    assert root["assertions"][0]["object"] == {"type": "ValueError", "message": ""}


def test_a_mocked_call_expects_nothing_and_what_it_called_is_not_counted():
    """Calls are counted from 1 for each function, over the whole tree, in the order of their begin."""
    trace = call(
        "parent", [{}], 1,
        call("outer", [1, {}], "a", call("child", [0, {}], 5)),
        call("child", [1, {}], 6),
        call("child", [2, {}], error=("exp:Gone", "gone")),
    )  # fmt: skip
    case = suite_of([trace], ["exp:outer", "exp:child"], "s")["test_cases"][0]
    assert case["mocks"] == {
        "exp:outer": {"1": {"output": "a"}},
        "exp:child": {"1": {"output": 6}, "2": {"error_to_throw": "gone", "error_type": "exp:Gone"}},
    }
    assert case["children"] == [{"function": "exp:outer"}, {"function": "exp:child"}, {"function": "exp:child"}]


def test_what_was_mocked_is_mocked_again():
    trace = call("parent", [{}], 1, call("child", [1, {}], 2), call("child", [1, {}], "MOCK", is_mocked=True))
    case = suite_of([trace], [], "s")["test_cases"][0]
    assert case["mocks"] == {"exp:child": {"2": {"output": "MOCK"}}}
    assert [names(child) for child in case["children"]] == [[INPUT, OUTPUT], []]


@pytest.mark.parametrize("lacks", [{"output_cut": True}, {"copy_output_error": "why"}, {"copy_output": False}])
def test_what_was_not_recorded_whole_is_not_expected(lacks):
    assert suite_of([call("f", [{}], 1, **lacks)], [], "s")["test_cases"][0]["assertions"] == []
    trace = call("f", [{}], 1, call("g", [{}], 2, **lacks))
    with pytest.raises(UsageError, match="--mock exp:g: what a call of it gave was not recorded whole"):
        suite_of([trace], ["exp:g"], "s")


@pytest.mark.parametrize("lacks", [{"input_cut": True}, {"copy_input_error": "why"}, {"copy_input": False}])
def test_a_call_whose_input_is_not_there_is_no_case(lacks):
    trace = call("f", [{}], 1, call("g", [{}], 2, **lacks))
    (child,) = suite_of([trace], [], "s")["test_cases"][0]["children"]
    assert names(child) == [OUTPUT]
    with pytest.raises(UsageError, match=r"exp:f \(id\d+\) cannot be called again: its input was not recorded whole"):
        suite_of([call("f", None, 1, **lacks)], [], "s")


def test_names_are_told_apart_and_a_module_that_was_run_is_found_by_its_file():
    traces = [call("f", [{}]), call("f", [{}]), {**call("g", [{}], module="__main__"), "file": "/p/exp.py"}]
    cases = suite_of(traces, [], "s")["test_cases"]
    assert [case["name"] for case in cases] == ["f", "f 2", "g"]
    meta = {"module_name": "__main__", "function_name": "g", "file_name": "/p/exp.py"}
    assert cases[2]["function_to_execute"] == {"function_meta": meta}


def test_a_mock_of_what_was_not_called_is_told():
    with pytest.raises(UsageError, match=r"--mock exp:nope: no recorded call of it\nRecorded are calls of exp:g\."):
        suite_of([call("f", [{}], 1, call("g", [{}]))], ["exp:nope"], "s")
