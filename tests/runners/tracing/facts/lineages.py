"""Whose child a call is: through threads, pools, tasks and contexts."""

import asyncio
import concurrent.futures
import contextvars
import threading

import shop

from testd import traced
from testd.tracing import Options, execute, install, record_roots


def names(executed):
    return [executed["name"], *map(names, executed["children"])]


@traced
def threaded():
    out = []
    thread = threading.Thread(target=lambda: out.append(shop.child(10)))
    thread.start()
    thread.join()
    return out


@traced
def below(function, *args):
    return function(*args)


@traced
def pooled():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        first = pool.submit(below, shop.child, 1)
        second = below(pool.submit, shop.child, 2)
        return first.result() + second.result()


def fact_a_thread_belongs_to_the_call_that_started_it():
    """Acceptance fact 22."""
    execution = execute(threaded)
    assert execution.result == [20]
    assert names(execution.executed) == ["threaded", ["child"]]
    assert execution.other_roots == []


def fact_a_thread_in_a_thread_belongs_to_it():
    def start():
        thread = threading.Thread(target=below, args=(threaded,))
        thread.start()
        thread.join()

    assert names(execute(start).executed) == ["start", ["below", ["threaded", ["child"]]]]


def fact_work_belongs_to_the_call_that_gave_it():
    execution = execute(pooled)
    assert execution.result == 6
    assert sorted(map(str, names(execution.executed)[1:])) == ["['below', ['child']]", "['below', ['child']]"]


def fact_work_of_a_loop_belongs_to_the_task():
    async def off():
        return await asyncio.get_running_loop().run_in_executor(None, shop.child, 4)

    assert names(execute(off).executed) == ["off", ["child"]]


def fact_work_that_nobody_gave_is_a_root():
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(shop.child, 0).result()
        with record_roots() as roots:
            pool.submit(shop.child, 1).result()
            below(pool.submit, shop.child, 2).result()
    assert sorted(map(str, map(names, roots))) == ["['below', ['child']]", "['child']"]


def fact_a_thread_that_was_there_before_is_a_root():
    go_on, done = threading.Event(), threading.Event()

    def work():
        go_on.wait(10)
        shop.child(1)
        done.set()

    thread = threading.Thread(target=work)
    thread.start()

    def let_it():
        go_on.set()
        done.wait(10)

    execution = execute(let_it)
    thread.join()
    assert names(execution.executed) == ["let_it"]
    assert [names(root) for root in execution.other_roots] == [["child"]]


def fact_tasks_that_take_turns_keep_their_children():
    @traced
    async def turn(number):
        for _ in range(3):
            await asyncio.sleep(0)
            shop.child(number)

    async def both():
        await asyncio.gather(turn(1), turn(2))

    executed = execute(both).executed
    for number, inner in enumerate(executed["children"], 1):
        assert [call["input"][0] for call in inner["children"]] == [number] * 3


def fact_generators_that_take_turns_keep_their_children():
    def use():
        first, second = shop.numbers(2), shop.numbers(2)
        for _ in first:
            next(second)
            shop.child(9)

    executed = execute(use).executed
    told = [(inner["name"], len(inner["children"])) for inner in executed["children"]]
    assert told == [("numbers", 2), ("numbers", 2), ("child", 0), ("child", 0)]


def fact_a_call_may_be_a_root_on_request():
    @traced(find_parent=False)
    def alone():
        return shop.child(1)

    def use():
        return alone()

    execution = execute(use)
    assert names(execution.executed) == ["use"]
    assert [names(root) for root in execution.other_roots] == [["alone", ["child"]]]


def fact_an_empty_context_makes_a_root():
    def use():
        return contextvars.Context().run(shop.child, 1)

    execution = execute(use)
    assert [names(root) for root in execution.other_roots] == [["child"]]


def fact_what_goes_on_after_the_end_is_told_as_unfinished():
    tasks = []

    async def leaves():
        started = asyncio.Event()

        @traced
        async def long():
            started.set()
            await asyncio.Event().wait()

        tasks.append(asyncio.ensure_future(long()))
        await started.wait()

    told = []
    installed = install(told.append)
    try:
        asyncio.run(traced(leaves)())
    finally:
        installed.close()
    (executed,) = told
    (inner,) = executed["children"]
    assert inner["execution_context"]["unfinished"] is True
    assert inner["end_time"] is None
    assert inner["executed_successfully"] is False


def fact_a_sink_gets_each_root_as_it_ends():
    told = []
    installed = install(told.append)
    try:
        shop.parent([1])
        assert [names(root) for root in told] == [["parent", ["child"]]]
        threaded()
    finally:
        installed.close()
    shop.child(1)
    assert [names(root) for root in told] == [["parent", ["child"]], ["threaded", ["child"]]]


def fact_a_sink_that_fails_costs_only_the_root():
    def fails(executed):
        raise KeyError("no room")

    installed = install(fails)
    try:
        assert shop.child(1) == 2
        assert installed.lost == 1
    finally:
        installed.close()


def fact_roots_are_sampled_with_their_children():
    told = []
    installed = install(told.append, Options(sample=0.0))
    try:
        assert shop.parent([1, 2]) == [2, 4]
        assert shop.fact(900) > 0
    finally:
        installed.close()
    assert told == []
