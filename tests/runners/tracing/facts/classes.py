"""Classes and methods."""

import dataclasses

from shop import refused

from testd import traced
from testd.tracing import execute, record_roots


@traced
class Cart:
    def __init__(self, owner):
        self.owner = owner
        self.items = []

    def add(self, item):
        self.items.append(item)
        return len(self.items)

    @classmethod
    def of(cls, *items):
        cart = cls("me")
        for item in items:
            cart.add(item)
        return cart

    @staticmethod
    def price(item):
        return 2 * item

    def __len__(self):
        return len(self.items)

    def __call__(self):
        return "called"

    async def pay(self):
        return self._total()

    def _total(self):
        return sum(map(self.price, self.items))


@traced
class Gift(Cart):
    def __init__(self):
        super().__init__("gift")


def names(executed):
    return [executed["name"], *map(names, executed["children"])]


def fact_construction_and_methods_are_recorded():
    execution = execute(Cart.of, [1, 2])
    assert names(execution.executed) == ["Cart.of", ["Cart"], ["Cart.add"], ["Cart.add"]]
    made = execution.executed["children"][0]
    state = {"owner": "me", "items": []}
    assert made["input"] == ["me", {}]
    assert made["output"] == {"$type": "object", "class": f"{__name__}:Cart", "state": state}
    assert execution.executed["children"][1]["input"] == [made["output"], 1, {}]
    assert execution.executed["input"] == [{"$type": "class", "name": f"{__name__}:Cart"}, 1, 2, {}]


def fact_every_kind_of_method_is_recorded():
    cart = Cart("x")
    cart.items = [1]
    with record_roots() as roots:
        cart.price(3)
        cart()
        len(cart)
    assert [names(root) for root in roots] == [["Cart.price"], ["Cart.__call__"]]
    assert names(execute(cart.pay).executed) == ["Cart.pay", ["Cart._total", ["Cart.price"]]]


def fact_a_constructor_that_calls_its_base_has_it_as_a_child():
    executed = execute(Gift).executed
    assert names(executed) == ["Gift", ["Cart"]]
    assert executed["output"]["class"] == f"{__name__}:Gift"


def fact_generated_and_native_constructors_are_recorded():
    @traced
    @dataclasses.dataclass
    class Point:
        x: int
        y: int = 0

    @traced
    class Single:
        made = None

        def __new__(cls, x):
            if cls.made is None:
                cls.made = super().__new__(cls)
            return cls.made

    assert names(execute(Point, [1]).executed) == ["Point"]
    assert execute(Point, [1]).executed["output"]["state"] == {"x": 1, "y": 0}
    single = execute(Single, [1])
    assert names(single.executed) == ["Single"]
    assert single.result is Single(2)


def fact_a_class_may_have_another_name_and_methods_their_settings():
    @traced(name="Basket", copy_output=False)
    class Renamed:
        def __init__(self):
            self.x = self.method() + self.own()

        def method(self):
            return 1

        @traced(name="special")
        def own(self):
            return 2

    executed = execute(Renamed).executed
    assert names(executed) == ["Basket", ["Basket.method"], ["special"]]
    assert executed["output"] is None
    assert [inner["output"] for inner in executed["children"]] == [None, 2]


def fact_what_cannot_be_traced_is_refused():
    for thing in (len, 5, object()):
        told = refused(TypeError, traced, thing)
        assert "traced takes functions, methods and classes that are written in Python" in told
    assert "traced has no setting 'nmae'; it has name, description" in refused(TypeError, traced, nmae="x")


def fact_a_mocked_construction_fills_the_instance():
    mocks = {f"{__name__}:Cart": {"1": {"output": {"owner": "mocked", "items": [7]}}}}
    execution = execute(Cart.of, [8], mocks=mocks)
    assert type(execution.result) is Cart
    assert vars(execution.result) == {"owner": "mocked", "items": [7, 8]}
