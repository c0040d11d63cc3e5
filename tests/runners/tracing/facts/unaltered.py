"""Tracing never alters the program (acceptance fact 22): the same before, while and after something records."""

import abc
import asyncio
import copy
import dataclasses
import functools
import inspect
import pickle
import sys
import traceback
import warnings

import shop

from testd import traced
from testd.tracing import armed, execute, record_roots


def raised(function, *args):
    try:
        function(*args)
    except BaseException as error:
        return error
    raise AssertionError("it raised nothing")


def everywhere(look):
    """Return what a look at things gives before, while and after calls are recorded; all must be the same."""
    before = look()
    with record_roots():
        while_ = look()
    after = look()
    assert before == while_ == after, (before, while_, after)
    return before


def documented(a, b=2, *, c: int = 3) -> str:
    """Say something."""
    return f"{a}{b}{c}"


def fact_what_is_decorated_is_the_same_object():
    def function():
        return 1

    class Thing:
        pass

    assert traced(function) is function
    assert traced(name="x")(function) is function
    assert traced(Thing) is Thing


def fact_a_function_looks_the_same():
    traced(documented)

    def look():
        return (
            str(inspect.signature(documented)), inspect.getsource(documented), documented.__name__, documented.__doc__,
            documented.__qualname__, documented.__module__, documented.__defaults__, documented.__kwdefaults__,
            documented.__annotations__, documented(1), documented(1, c=5), pickle.dumps(documented),
            copy.deepcopy(documented) is documented,
        )  # fmt: skip

    assert everywhere(look)[0] == "(a, b=2, *, c: int = 3) -> str"
    assert vars(documented) == {}


def fact_kinds_of_functions_are_told_apart():
    functions = (shop.child, shop.numbers, shop.add, shop.stream)
    tests = (
        inspect.isfunction, inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction,
        asyncio.iscoroutinefunction,
    ) if sys.version_info < (3, 14) else (
        inspect.isfunction, inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction,
    )  # fmt: skip
    everywhere(lambda: [[test(function) for test in tests] for function in functions])


def fact_a_generator_is_lazy_and_takes_what_is_sent():
    def look():
        steps = []

        @traced
        def talk():
            steps.append("begun")
            try:
                while True:
                    try:
                        got = yield len(steps)
                        steps.append(got)
                    except KeyError as error:  # noqa: PERF203
                        steps.append(repr(error))
            finally:
                steps.append("closed")

        talking = talk()
        kind = type(talking), talking.__name__, inspect.getgeneratorstate(talking)
        assert steps == []
        given = [next(talking), talking.send("a"), talking.throw(KeyError("b"))]
        talking.close()
        return kind, given, steps

    assert everywhere(look)[1:] == ([1, 2, 3], ["begun", "a", "KeyError('b')", "closed"])


def fact_a_generator_returns_and_raises_the_same():
    def look():
        @traced
        def ends(how):
            yield 1
            if how == "return":
                return 5
            raise StopIteration if how == "stop" else KeyError(how)

        @traced
        def ignores():
            while True:
                try:
                    yield 1
                except GeneratorExit:  # noqa: PERF203
                    yield 2

        def outer():
            return (yield from ends("return"))

        said = [repr(raised(list, ends(how))) for how in ("stop", "other")]
        stubborn = ignores()
        next(stubborn)
        said.append(repr(raised(stubborn.close)))
        ended = outer()
        next(ended)
        said.append(raised(next, ended).value)
        return said

    assert everywhere(look)[3] == 5


def fact_an_asynchronous_generator_is_lazy_and_takes_what_is_sent():
    def look():
        steps = []

        @traced
        async def talk():
            steps.append("begun")
            try:
                while True:
                    try:
                        steps.append((yield len(steps)))
                    except KeyError as error:  # noqa: PERF203
                        steps.append(repr(error))
            finally:
                await asyncio.sleep(0)
                steps.append("closed")

        async def use():
            talking = talk()
            assert steps == []
            given = [await talking.__anext__(), await talking.asend("a"), await talking.athrow(KeyError("b"))]
            await talking.aclose()
            return given

        return asyncio.run(use()), steps

    assert everywhere(look) == ([1, 2, 3], ["begun", "a", "KeyError('b')", "closed"])


def fact_coroutines_are_cancelled_and_closed():
    def look():
        steps = []

        @traced
        async def wait():
            try:
                steps.append("waits")
                await asyncio.Event().wait()
            finally:
                steps.append("done")

        async def cancel():
            task = asyncio.ensure_future(wait())
            await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                steps.append("cancelled")

        asyncio.run(cancel())
        never = wait()
        never.close()
        return steps

    assert everywhere(look) == ["waits", "done", "cancelled"]


def fact_a_class_stays_the_class():
    @traced
    class Base(abc.ABC):
        kind = "base"

        def __init__(self, x):
            self.x = x

        @abc.abstractmethod
        def what(self):
            pass

        @classmethod
        def make(cls):
            return cls(1)

        @staticmethod
        def double(x):
            return 2 * x

        @property
        def twice(self):
            return self.double(self.x)

    class Below(Base):
        def what(self):
            return super().kind

    @traced
    class Wrong(ValueError):
        pass

    def look():
        made = Below.make()
        assert isinstance(made, Base)
        assert issubclass(Below, Base)
        assert type(raised(Base, 1)) is TypeError
        try:
            raise Wrong("x")
        except Wrong as error:
            said = str(error)
        return made.what(), made.twice, Base.kind, said, str(inspect.signature(Base)), str(inspect.signature(made.what))

    everywhere(look)


@traced
@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


def fact_instances_are_pickled():
    def look():
        point = Point(1)
        assert pickle.loads(pickle.dumps(point)) == point == copy.deepcopy(point)
        return pickle.dumps(point), pickle.dumps(Point)

    everywhere(look)


def fact_closures_and_super_work():
    @traced
    def counter():
        count = 0

        @traced
        def add():
            nonlocal count
            count += 1
            return count

        return add

    def look():
        add = counter()
        return add(), add()

    assert everywhere(look) == (1, 2)


def fact_caches_keep_what_they_are():
    calls = []

    @traced
    @functools.lru_cache(maxsize=8)
    def cached(x):
        calls.append(x)
        return x

    with record_roots() as roots:
        assert cached(1) == cached(1) == 1
        assert cached.cache_info().hits == 1
    assert calls == [1]
    assert len(roots) == 1, "what the cache answers is not executed"


def fact_the_exception_is_the_same_object_with_its_context():
    error = KeyError("inner")

    @traced
    def fails():
        try:
            raise error
        except KeyError as inner:
            raise ValueError("outer") from inner

    with record_roots():
        found = raised(fails)
    assert found.__cause__ is error
    assert found.__context__ is error


def fact_tracebacks_have_no_frame_of_ours():
    @traced
    def inner():
        raise ValueError("x")

    def middle():
        inner()

    @traced
    def outer():
        middle()

    def frames():
        return [entry.name for entry in traceback.extract_tb(raised(outer).__traceback__)]

    with record_roots():
        found = frames()
    if sys.version_info >= (3, 11):
        assert found == frames() == ["raised", "outer", "middle", "inner"]
    else:
        assert frames() == ["raised", "outer", "middle", "inner"]
        assert found == ["raised", "outer", "outer", "middle", "inner"], "one at most"


def fact_tracebacks_of_what_waits_have_no_frame_of_ours():
    @traced
    async def inner():
        await asyncio.sleep(0)
        raise ValueError("x")

    @traced
    async def outer():
        await inner()

    @traced
    def generator():
        yield 1
        raise ValueError("x")

    def own(error):
        names = [entry.name for entry in traceback.extract_tb(error.__traceback__)]
        return [name for name in names if name in ("inner", "outer", "generator")]

    with record_roots():
        found = [own(raised(asyncio.run, outer())), own(raised(list, generator()))]
    if sys.version_info >= (3, 11):
        assert found == [["outer", "inner"], ["generator"]]
    else:
        assert found == [["outer", "outer", "inner"], ["generator", "generator"]], "one at most"


def fact_warnings_are_put_down_to_the_same_line():
    @traced
    def old():
        warnings.warn("old", stacklevel=2)

    def look():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            old()
        return [(warning.filename, warning.lineno) for warning in caught]

    assert everywhere(look)[0][0] == __file__


def fact_wrong_arguments_are_told_by_python():
    def strict(a):
        return a

    plain = str(raised(strict, 1, 2))
    traced(strict)
    execution = execute(strict, [1, 2])
    assert str(execution.exception) == plain
    assert execution.executed["error_type"] == "TypeError"


def fact_what_a_function_does_to_itself_lasts():
    @traced
    def counting():
        counting.calls = getattr(counting, "calls", 0) + 1

    with record_roots():
        counting()
    counting()
    assert counting.calls == 2
    assert vars(counting) == {"calls": 2}


def fact_a_function_that_goes_is_gone():
    import gc
    import weakref

    @traced
    def short():
        return 1

    with armed():
        assert short() == 1
    gone = weakref.ref(short)
    del short
    gc.collect()
    assert gone() is None


def fact_the_recursion_limit_of_the_program_stays():
    @traced
    def sets():
        sys.setrecursionlimit(sys.getrecursionlimit() + 500)

    limit = sys.getrecursionlimit()
    with record_roots():
        sets()
        meanwhile = sys.getrecursionlimit()
    assert sys.getrecursionlimit() == meanwhile
    sys.setrecursionlimit(limit)
