"""What is recorded of calls."""

import asyncio
import json
import sys
import threading

import shop

from testd.functions.running import EXACT
from testd.tracing import Options, execute, record_roots


def names(executed):
    return [executed["name"], *map(names, executed["children"])]


def fact_a_call_is_recorded_with_its_children():
    """Acceptance fact 1."""
    executed = execute(shop.parent, [[1, 2]]).executed
    assert executed["output"] == [2, 4]
    assert executed["input"] == [[1, 2], {}]
    assert executed["parent_id"] is None
    assert [(inner["name"], inner["input"], inner["output"]) for inner in executed["children"]] == [
        ("child", [1, {}], 2), ("child", [2, {}], 4),
    ]  # fmt: skip
    assert {inner["parent_id"] for inner in executed["children"]} == {executed["id"]}
    assert executed["total_time"] == executed["end_time"] - executed["start_time"]
    assert 1.6e12 < executed["start_time"] < 1e13, "milliseconds since the epoch"
    assert executed["module"] == "shop"
    assert executed["file"].endswith("shop.py")
    assert executed["executed_successfully"] is True
    assert executed["thrown_error"] is None
    json.dumps(executed, allow_nan=False)


def fact_keyword_arguments_are_the_last_element_of_the_input():
    """Acceptance fact 2."""

    def many(*args, **kwargs):
        return len(args), sorted(kwargs)

    for args, kwargs in [((), {}), ((1, 2), {}), ((), {"some": 10}), (({"some": 12},), {"some": 10})]:
        execution = execute(many, args, kwargs)
        assert execution.executed["input"] == [*args, kwargs]
        assert execution.result == (len(args), sorted(kwargs))


def fact_an_exception_is_recorded_and_is_the_same_object():
    """Acceptance fact 5."""
    execution = execute(shop.boom)
    assert execution.executed["executed_successfully"] is False
    assert execution.executed["thrown_error"] == "bad value 42"
    assert execution.executed["error_type"] == "ValueError"
    assert execution.executed["stack"][-1]["function"] == "boom"
    assert str(execution.exception) == "bad value 42"
    assert execution.exception.__traceback__.tb_frame.f_code.co_name == "boom"
    caught = execute(shop.catches).executed
    assert caught["output"] == "caught"
    assert caught["executed_successfully"] is True
    assert caught["children"][0]["executed_successfully"] is False


def fact_an_exception_without_a_text_is_one():
    executed = execute(shop.silent_boom).executed
    assert executed["executed_successfully"] is False
    assert executed["thrown_error"] == ""
    assert executed["error_type"] == "ValueError"


def fact_exits_are_recorded():
    for error in (SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()):

        def leave(error=error):
            raise error

        execution = execute(leave)
        assert execution.exception is error
        assert execution.executed["error_type"].endswith(type(error).__name__)


def fact_what_is_not_traced_is_recorded_as_a_root():
    execution = execute(shop.plain, [1])
    assert execution.result == 3
    assert names(execution.executed) == ["plain", ["child"]]
    assert execute(len, [[1, 2]]).executed["output"] == 2


def fact_generators_are_recorded_and_not_consumed():
    """Acceptance fact 22."""
    execution = execute(shop.use_gen)
    assert execution.result == [0, 2, 4]
    inner = execution.executed["children"][0]
    assert inner["output"] == {"$type": "generator", "items": [0, 2, 4], "returned": "end"}
    assert [call["output"] for call in inner["children"]] == [0, 2, 4]


def fact_a_generator_is_drained_to_a_limit():
    execution = execute(shop.numbers, [10], options=Options(items=3))
    assert execution.result == [0, 2, 4]
    assert execution.executed["output"]["items"] == [0, 2, 4]
    assert execution.executed["executed_successfully"] is True


def fact_coroutines_have_their_own_children():
    """Acceptance fact 22."""
    execution = execute(shop.gathered)
    assert execution.result == [4, 10]
    assert names(execution.executed) == ["gathered", ["add", ["child"]], ["add", ["child"]]]
    assert [inner["output"] for inner in execution.executed["children"]] == [4, 10]


def fact_asynchronous_generators_are_recorded():
    execution = execute(shop.use_stream)
    assert execution.result == [0, 2]
    assert names(execution.executed) == ["use_stream", ["stream", ["add", ["child"]], ["add", ["child"]]]]
    assert execute(shop.stream, [5], options=Options(items=2)).result == [0, 2]


def fact_a_coroutine_is_awaited_where_a_loop_runs():
    async def inside():
        return execute(shop.add, [1, 2])

    execution = asyncio.run(inside())
    assert execution.result == 4
    assert names(execution.executed) == ["add", ["child"]]


def fact_a_call_that_runs_nothing_of_the_function_is_recorded():
    class Meta(type):
        def __call__(cls):
            return "instead"

    @shop.traced
    class Never(metaclass=Meta):
        def __init__(self):
            raise AssertionError("never made")

    execution = execute(Never)
    assert execution.result == "instead"
    assert (execution.executed["name"], execution.executed["output"]) == ("Never", "instead")
    assert execute(shop.numbers, [3], options=Options(items=0)).executed["output"] == []


def fact_recordings_on_several_threads_do_not_mix():
    problems = []
    begin = threading.Barrier(4, timeout=30)
    limit = sys.getrecursionlimit()

    def record(number):
        begin.wait()
        for _ in range(50):
            execution = execute(shop.parent, [[number] * 3])
            told = [execution.executed["input"][0], *(inner["input"][0] for inner in execution.executed["children"])]
            if told != [[number] * 3, number, number, number] or execution.other_roots:
                problems.append(told)

    threads = [threading.Thread(target=record, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert sys.getrecursionlimit() == limit
    assert shop.child.__code__.co_filename.endswith("shop.py")


def fact_recursion_gets_as_deep_as_without():
    """Acceptance fact 22: the reference got to 300."""
    limit = sys.getrecursionlimit()
    execution = execute(shop.fact, [900])
    assert execution.exception is None
    assert execution.result == execute(lambda: shop.fact(900)).result
    assert sys.getrecursionlimit() == limit


def fact_endless_recursion_ends_where_it_would():
    limit = sys.getrecursionlimit()
    reached = []

    def endless(n):
        reached.append(n)
        return endless(n + 1)

    traced_endless = shop.traced(endless)
    assert execute(traced_endless, [0], options=Options(call_depth=5)).executed["error_type"] == "RecursionError"
    assert abs(len(reached) - limit) < 150, len(reached)
    assert sys.getrecursionlimit() == limit


def fact_calls_beyond_the_limits_are_counted():
    executed = execute(shop.fact, [10], options=Options(call_depth=3)).executed
    assert names(executed) == ["fact", ["fact", ["fact"]]]
    assert executed["children"][0]["children"][0]["execution_context"]["children_cut"] == 7
    executed = execute(shop.parent, [list(range(10))], options=Options(calls=4)).executed
    assert len(executed["children"]) == 3
    assert executed["execution_context"]["children_cut"] == 7


def fact_several_roots_are_all_there():
    """Acceptance fact 6."""
    with record_roots() as roots:
        shop.child(1)
        shop.parent([2])
    assert [names(root) for root in roots] == [["child"], ["parent", ["child"]]]


def fact_roots_before_an_exception_are_there():
    """Acceptance fact 6."""
    roots = None
    try:
        with record_roots() as roots:
            shop.child(1)
            raise KeyError
    except KeyError:
        pass
    assert len(roots) == 1


def fact_nothing_is_recorded_outside():
    code = shop.child.__code__
    with record_roots() as roots:
        assert shop.child.__code__ is not code
    shop.child(1)
    assert roots == []
    assert shop.child.__code__ is code


def fact_a_deep_recursion_of_a_case_can_be_written_down():
    """What is recorded of a case can be written and read as JSON on every Python, however deep it goes."""

    def down(n):
        return [n, ["text"] * 10] if n == 0 else down(n - 1)

    down = shop.traced(down)
    execution = execute(down, [800], options=EXACT)
    assert execution.result == [0, ["text"] * 10]
    assert json.loads(json.dumps(execution.executed)) == execution.executed
    depth, call = 0, execution.executed
    while call["children"]:
        (call,) = call["children"]
        depth += 1
    assert depth == EXACT.call_depth - 1
    assert call["execution_context"]["children_cut"] > 0
