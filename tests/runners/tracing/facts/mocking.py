"""Answers in place of calls."""

import shop

from testd.tracing import MockError, Mocks, execute


def refused(answers):
    try:
        Mocks(answers)
    except MockError as error:
        return str(error)
    raise AssertionError("these mocks are none")


def fact_one_call_is_mocked():
    """Acceptance fact 9."""
    for number in (2, "2"):
        execution = execute(shop.parent, [[1, 2, 3]], mocks={"shop:child": {number: {"output": "MOCK"}}})
        assert execution.result == [2, "MOCK", 6]
        mocked = [inner["execution_context"].get("is_mocked", False) for inner in execution.executed["children"]]
        assert mocked == [False, True, False]


def fact_an_output_may_be_anything_and_an_empty_mock_is_none():
    """Acceptance fact 9."""
    for output in (0, None, False):
        assert execute(shop.parent, [[1]], mocks={"shop:child": {"1": {"output": output}}}).result == [output]
    assert execute(shop.parent, [[1]], mocks={"shop:child": {"1": {}}}).result == [2]


def fact_all_calls_are_mocked():
    mocks = {"shop:child": {"*": {"output": 0}, "2": {"output": 5}}}
    assert execute(shop.parent, [[1, 2, 3]], mocks=mocks).result == [0, 5, 0]


def fact_an_error_is_thrown():
    """Acceptance fact 10."""
    execution = execute(shop.parent, [[1]], mocks={"shop:child": {"1": {"error_to_throw": "mock err", "output": 1}}})
    assert type(execution.exception) is Exception
    assert execution.executed["thrown_error"] == "mock err"
    assert execute(shop.parent, [[1]], mocks={"shop:child": {1: {"error_to_throw": "", "output": 5}}}).result == [5]
    caught = {"shop:boom": {"1": {"error_to_throw": "other", "error_type": "ValueError"}}}
    assert execute(shop.catches, mocks=caught).result == "caught"


def fact_recursive_calls_count():
    """Acceptance fact 11."""
    mocks = Mocks({"shop:fact": {"2": {"output": 100}}})
    for _ in range(2):
        execution = execute(shop.fact, [4], mocks=mocks)
        assert execution.result == 400
        assert execution.executed["children"][0]["children"] == []
    root = execute(shop.fact, [4], mocks={"shop:fact": {"1": {"output": 7}}})
    assert root.result == 7
    assert root.executed["children"] == []


def fact_every_kind_of_function_can_be_mocked():
    assert execute(shop.gathered, mocks={"shop:add": {"*": {"output": 1}}}).result == [1, 1]
    assert execute(shop.use_gen, mocks={"shop:numbers": {"1": {"output": [7, 8]}}}).result == [7, 8]
    assert execute(shop.use_stream, mocks={"shop:stream": {"1": {"output": [9]}}}).result == [9]
    recorded = execute(shop.numbers, [2]).executed["output"]
    assert execute(shop.use_gen, mocks={"shop:numbers": {"1": {"output": recorded}}}).result == [0, 2]


def fact_unused_mocks_are_told():
    mocks = {"shop:child": {"1": {"output": 1}, "9": {"output": 1}}, "shop:boom": {"*": {"output": 1}}}
    assert execute(shop.parent, [[1]], mocks=mocks).unused_mocks == ["shop:child, call 9", "shop:boom, all calls"]


def fact_bad_mocks_are_refused():
    assert "'child' names no function" in refused({"child": {"1": {"output": 1}}})
    assert "'0' is no call" in refused({"shop:child": {"0": {"output": 1}}})
    assert "call 1: a mock has no 'outptu'" in refused({"shop:child": {"1": {"outptu": 1}}})
    assert "error_type: shop:Nope cannot be found" in refused({"shop:child": {"1": {"error_type": "shop:Nope"}}})
    assert "error_type: int is no class of exceptions" in refused({"shop:child": {"1": {"error_type": "int"}}})
    no_value = {"1": {"output": {"$type": "nope"}}}
    assert "call 1: output: the value has the $type 'nope'" in refused({"shop:child": no_value})
