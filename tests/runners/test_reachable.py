"""Which objects can still be reached."""

from __future__ import annotations

import builtins
import gc
import weakref
from collections.abc import Callable, Iterator
from types import FunctionType

import pytest

from testd.runner import reachable as module
from testd.runner.reachable import Reference, is_namespace, reachable


def is_reachable(reference: Reference) -> bool:
    (found,) = reachable([reference])
    return found


class Thing:
    def __init__(self, **more: object) -> None:
        self.__dict__.update(more)


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


KEPT: list[object] = []
WEAKLY: weakref.WeakValueDictionary[str, object] = weakref.WeakValueDictionary()


def pair() -> tuple[Reference, Thing]:
    thing = Thing()
    thing.other = Thing(back={"thing": [thing]})
    return Reference(thing), thing.other


def test_what_is_gone_is_not():
    reference = Reference(Thing())
    assert not is_reachable(reference)


def test_what_only_refers_to_itself_is_not():
    assert not is_reachable(pair()[0])


def calls_back() -> Reference:
    thing = Thing()

    def call(given: object = thing) -> object:
        return thing, given

    thing.call, thing.bound = call, thing.__init__
    return Reference(thing)


def waits() -> Reference:
    thing = Thing()

    def generate() -> Iterator[object]:
        yield thing

    thing.generator = generate()
    next(thing.generator)
    return Reference(thing)


def is_its_class() -> Reference:
    class Local:
        pass

    thing = Local()
    thing.itself = thing  # type: ignore[attr-defined]
    return Reference(thing)


@pytest.mark.parametrize("make", [calls_back, waits, is_its_class])
def test_cycles_through_functions_and_the_like(make: Callable[[], Reference]):
    assert not is_reachable(make())


def test_what_a_variable_refers_to_is():
    reference, other = pair()
    assert is_reachable(reference)
    del other
    assert not is_reachable(reference)


@pytest.mark.parametrize(
    "keep", [KEPT.append, lambda thing: setattr(Thing, "kept", thing), lambda thing: KEPT.append([thing])]
)
def test_what_something_else_keeps_is(keep: Callable[[object], None]):
    reference, other = pair()
    keep(other)
    del other
    try:
        assert is_reachable(reference)
    finally:
        KEPT.clear()
        Thing.kept = None


def test_what_is_referred_to_weakly_is():
    reference, other = pair()
    WEAKLY["other"] = other
    del other
    assert is_reachable(reference)
    WEAKLY.clear()
    plain = weakref.ref(reference())
    assert is_reachable(reference)
    del plain
    assert not is_reachable(reference)


def test_an_object_that_leads_to_too_much_is():
    reference, other = pair()
    other.many = [[n] for n in range(3000)]
    del other
    assert is_reachable(reference)


def test_what_stays_anyway_is_not_gone_through(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_MOST", 10)
    reference, other = pair()
    other.helpers = [helper for helper in globals().values() if isinstance(helper, FunctionType)]
    other.namespace = {"__builtins__": vars(builtins)}
    del other
    assert not is_reachable(reference)


def keeping() -> object:
    """Give what it was given first."""


def test_what_a_function_of_a_module_keeps_is():
    reference, other = pair()
    other.helper = keeping
    keeping.__defaults__ = (other,)
    del other
    try:
        assert is_reachable(reference)
    finally:
        keeping.__defaults__ = None


def test_what_a_function_under_the_name_of_another_one_keeps_is_not():
    reference, other = pair()

    def hidden(given: object = other) -> object:
        return given

    hidden.__name__ = "keeping"
    other.helper = hidden
    del other, hidden
    assert not is_reachable(reference)


def test_what_the_object_leads_to_may_be_kept_elsewhere():
    reference, other = pair()
    other.shared = shared = [1, []]
    del other
    assert not is_reachable(reference)
    assert shared


def test_several_that_only_what_they_lead_to_refers_to():
    first, second, third = Thing(), Thing(), Thing()
    second.itself, second.first = second, first
    third.first, third.again = first, third
    references = [Reference(one) for one in (first, second, first, Thing(), third)]
    del second, first
    assert reachable(references) == [True, False, True, False, True]
    assert reachable(references[:2]) == [True, False]
    del third
    assert reachable(references) == [False] * 5


def test_the_names_of_a_module_that_is_loaded():
    assert is_namespace(globals())
    assert not is_namespace(dict(globals()))
    assert not is_namespace({"__name__": []})
    assert not is_namespace({})
