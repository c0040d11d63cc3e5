"""Functions that the facts trace: what `exp.py` is to the acceptance facts, and some more. No facts of its own."""

import asyncio

from testd import traced


def refused(kind, function, *args, **kwargs):
    """Return what the error says that this call is to raise."""
    try:
        function(*args, **kwargs)
    except kind as error:
        return str(error)
    raise AssertionError(f"{function.__name__} takes {args} {kwargs}")


@traced
def child(x):
    return 2 * x


@traced
def parent(xs):
    return [child(x) for x in xs]


@traced
def boom():
    raise ValueError("bad value 42")


@traced
def silent_boom():
    raise ValueError


@traced
def catches():
    try:
        boom()
    except ValueError:
        return "caught"


@traced
def fact(n):
    return 1 if n < 2 else n * fact(n - 1)


@traced
def numbers(n):
    for index in range(n):
        got = yield child(index)
        if got is not None:
            yield got
    return "end"


@traced
def use_gen():
    return list(numbers(3))


@traced
async def add(a, b):
    await asyncio.sleep(0)
    return child(a) + b


@traced
async def gathered():
    return await asyncio.gather(add(1, 2), add(3, 4))


@traced
async def stream(n):
    for index in range(n):
        yield await add(index, 0)


@traced
async def use_stream():
    return [item async for item in stream(2)]


def plain(x):
    return child(x) + 1
