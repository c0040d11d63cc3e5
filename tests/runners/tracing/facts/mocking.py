"""Answers in place of calls."""

import json
import sys
import traceback
import zlib

import shop
import untraced

from testd.tracing import MockError, Mocks, execute


def refused(answers):
    return shop.refused(MockError, Mocks, answers)


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


def fact_functions_that_nobody_traces_are_mocked_whatever_their_name_is():
    def calls():
        return untraced.helper(1), untraced.renamed(2), untraced.Plain().method(), untraced.by_name(b"")

    mocks = {
        "untraced:helper": {"1": {"output": "first"}},
        "untraced:Plain.method": {"*": {"output": "method"}},
        "zlib:crc32": {"*": {"output": 7}},
    }
    plain = calls()
    execution = execute(calls, mocks=mocks)
    assert execution.result == ("first", plain[1], "method", 7)
    assert execution.unused_mocks == []
    assert [
        (inner["module"], inner["name"], inner["execution_context"].get("is_mocked", False))
        for inner in execution.executed["children"]
    ] == [
        ("untraced", "helper", True), ("untraced", "helper", False), ("untraced", "Plain.method", True),
        ("zlib", "crc32", True),
    ]  # fmt: skip
    assert calls() == plain
    assert untraced.by_name is zlib.crc32


def fact_a_function_may_be_named_by_where_it_was_imported():
    assert execute(untraced.use, mocks={"untraced:child": {"*": {"output": 5}}}).result == 5


def fact_what_cannot_be_mocked_is_told():
    def told(key):
        return shop.refused(MockError, execute, shop.child, [1], mocks={key: {"1": {"output": 1}}})

    assert told("nope:f").startswith("mocks: nope:f cannot be found: No module named 'nope'")
    assert told("shop:nope").startswith("mocks: shop:nope cannot be found: module 'shop' has no attribute")
    assert "is no function but module" in told("shop:asyncio")
    assert "cannot be replaced" in told("datetime:datetime.now")
    assert "without a constructor of its own" in told("untraced:Bare")


def fact_a_mock_of_an_object_gives_an_instance_each_time():
    output = {"$type": "object", "class": "untraced:Plain", "state": {"x": []}}
    execution = execute(shop.parent, [[1, 2]], mocks={"shop:child": {"*": {"output": output}}})
    first, second = execution.result
    assert type(first) is untraced.Plain
    assert first.x is not second.x


def fact_exceptions_of_any_class_are_thrown():
    def thrown(kind, text="said"):
        mocks = {"shop:child": {"1": {"error_to_throw": text, "error_type": kind}}}
        return execute(shop.child, [1], mocks=mocks).exception

    assert type(thrown("KeyError")) is KeyError
    assert type(thrown("json.decoder.JSONDecodeError")) is json.JSONDecodeError
    assert type(thrown("untraced:Picky")) is untraced.Picky
    assert thrown("ValueError", "").args == ()
    assert thrown("KeyboardInterrupt").args == ("said",)


def fact_mocked_errors_have_no_frame_of_ours():
    mocks = {"shop:child": {"1": {"error_to_throw": "x"}}}
    trace = execute(untraced.use, mocks=mocks).exception.__traceback__
    files = [frame.filename for frame in traceback.extract_tb(trace)]
    assert files[0] == untraced.__file__
    assert len(files) == 1 if sys.version_info >= (3, 11) else len(files) <= 3
