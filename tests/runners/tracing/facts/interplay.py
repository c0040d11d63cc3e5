"""Whatever is done to a generator does the same when it is traced: all sequences of what its caller may do."""

import asyncio
import itertools
import sys

from testd import traced
from testd.tracing import record_roots

OPERATIONS = ("next", "send", "throw", "exit", "close")
#: Closes at the end, so that even one that insists is not left to the garbage collector.
CLOSES = ("close",) * 5


def counts(told):
    told.append("begun")
    for number in range(3):
        told.append((yield number))
    return "end"


def catches(told):
    try:
        told.append((yield 1))
    except KeyError as error:
        told.append(repr(error))
        yield 2
    finally:
        told.append("finally")


def insists(told):
    for _ in range(4):
        try:
            yield "stays"
        except (KeyError, GeneratorExit) as error:  # noqa: PERF203
            told.append(type(error).__name__)


def turns(told):
    try:
        yield 1
    except KeyError as error:
        raise ValueError("turned") from error
    yield 2


def returns_on_exit(told):
    try:
        yield 1
    except GeneratorExit:
        return "left"


def delegates(told):
    got = yield from counts(told)
    yield got


async def async_counts(told):
    told.append("begun")
    for number in range(3):
        await asyncio.sleep(0)
        told.append((yield number))


async def async_catches(told):
    try:
        told.append((yield 1))
    except KeyError as error:
        await asyncio.sleep(0)
        told.append(repr(error))
        yield 2
    finally:
        told.append("finally")


async def async_insists(told):
    for _ in range(4):
        try:
            yield "stays"
        except (KeyError, GeneratorExit) as error:  # noqa: PERF203
            told.append(type(error).__name__)


async def async_turns(told):
    try:
        yield 1
    except KeyError as error:
        raise ValueError("turned") from error
    yield 2


def step(generator, operation):
    if operation == "next":
        return next(generator)
    if operation == "send":
        return generator.send("sent")
    if operation == "throw":
        return generator.throw(KeyError("thrown"))
    return generator.throw(GeneratorExit()) if operation == "exit" else generator.close()


async def async_step(generator, operation):
    if operation == "next":
        return await generator.__anext__()
    if operation == "send":
        return await generator.asend("sent")
    if operation == "throw":
        return await generator.athrow(KeyError("thrown"))
    return await (generator.athrow(GeneratorExit()) if operation == "exit" else generator.aclose())


def said(error):
    return type(error).__name__, str(error), repr(error.__cause__), getattr(error, "value", None)


def play(function, operations):
    told = []
    generator = function(told)
    for operation in operations + CLOSES:
        try:
            told.append(step(generator, operation))
        except BaseException as error:  # noqa: PERF203
            told.append(said(error))
    return told


async def async_play(function, operations):
    told = []
    generator = function(told)
    for operation in operations + CLOSES:
        try:
            told.append(await async_step(generator, operation))
        except BaseException as error:  # noqa: PERF203
            told.append(said(error))
    return told


def sequences():
    return [played for length in (1, 2, 3, 4) for played in itertools.product(OPERATIONS, repeat=length)]


def fact_a_generator_does_the_same():
    for function in (counts, catches, insists, turns, returns_on_exit, delegates):
        plain = [play(function, played) for played in sequences()]
        traced(function)
        with record_roots() as roots:
            recorded = [play(function, played) for played in sequences()]
        for played, before, after in zip(sequences(), plain, recorded):  # noqa: B905 (Python 3.8)
            assert before == after, (function.__name__, played, before, after)
        assert len(roots) >= sum(played[0] == "next" for played in sequences()), "these begin"


def fact_an_asynchronous_generator_does_the_same():
    async def play_all(function):
        return [await async_play(function, played) for played in sequences()]

    functions = [async_counts, async_catches, async_turns]
    if sys.version_info >= (3, 11):  # before, one that was closed in vain is left to the garbage collector
        functions.append(async_insists)
    for function in functions:
        plain = asyncio.run(play_all(function))
        traced(function)
        with record_roots() as roots:
            recorded = asyncio.run(play_all(function))
        for played, before, after in zip(sequences(), plain, recorded):  # noqa: B905 (Python 3.8)
            assert before == after, (function.__name__, played, before, after)
        assert len(roots) >= sum(played[0] == "next" for played in sequences()), "these begin"
