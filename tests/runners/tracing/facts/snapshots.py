"""Values as JSON and back (acceptance fact 23)."""

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import json
import math
import pathlib
import re
import threading
import uuid

import shop

from testd.tracing import Options
from testd.tracing.snapshots import Snapshot
from testd.tracing.values import Placeholder, RestoreError, restore, snapshot, untyped


class Color(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


class Flags(enum.Flag):
    A = 1
    B = 2


class Plain:
    def __init__(self):
        self.x = 1


class Slotted:
    __slots__ = ("a", "unset")

    def __init__(self):
        self.a = (1, 2)


class Below(Slotted):
    def __init__(self):
        super().__init__()
        self.b = 3


class Hostile:
    """Runs code of its own wherever it can."""

    def __getattribute__(self, name):
        raise AssertionError(f"asked for {name}")

    def __setattr__(self, name, value):
        raise AssertionError(f"set {name}")

    def __repr__(self):
        raise AssertionError("repr")

    __hash__ = __eq__ = __len__ = __iter__ = __reduce_ex__ = __repr__


class Numbers(list):
    pass


class Text(str):
    pass


def nosy(base, *names):
    """Return a subclass that raises where something of its own is called."""

    def trap(self, *args):
        raise AssertionError("a method of a user's class was called")

    return type("Nosy", (base,), {name: trap for name in names if hasattr(base, name)})


TRAPS = (
    "__len__", "__iter__", "__contains__", "__getitem__", "__lt__", "__gt__", "__le__", "__sub__", "__add__", "__int__",
    "__float__", "__index__", "__bool__", "__str__", "__repr__", "__bytes__", "__mul__", "__neg__", "__trunc__", "keys",
    "items", "values", "isoformat", "utcoffset", "encode", "isascii", "copy", "__round__", "__format__",
)  # fmt: skip


class Wrong(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code


@dataclasses.dataclass
class Point:
    x: int
    y: object = None


Pair = collections.namedtuple("Pair", "left right")  # noqa: PYI024 (untyped on purpose)

ROUND = [
    None, True, 1, -5, 2**53, -(2**70), 7**3000, -(3**90000), 1.5, -0.0, 1e300, "", "text", "ünïcödé",
    "\ud800 alone", "\x00", b"", b"\x00\xff", bytearray(b"ab"), (), (1, (2, [3])), [], [[]], {}, {"a": {"b": 1}},
    {"größe": 1}, {1: 2}, {(1, 2): [3]}, {"$type": "trap"}, {"\ud800": 1}, {None: 1, True: 2}, set(), {2.5},
    frozenset({(1, 2)}), 1j, complex("nan+infj"), range(1, 9, 2), slice(1, None), ...,
    dt.datetime.fromisoformat("2024-02-29T01:02:03.000004"),
    dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc),
    dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=5, minutes=30))), dt.date(2024, 1, 1),
    dt.time(1, 2, 3), dt.timedelta(days=-1, microseconds=5), decimal.Decimal("1.50"), decimal.Decimal("-Infinity"),
    fractions.Fraction(1, 3), uuid.UUID(int=5), pathlib.Path("a/b"), pathlib.PurePosixPath("/x"),
    pathlib.PureWindowsPath("C:\\x"), re.compile("a+", re.IGNORECASE), re.compile(b"b"),
    collections.OrderedDict([("b", 1), ("a", 2)]), collections.Counter("aab"), collections.defaultdict(list, a=[1]),
    collections.deque([1, 2], maxlen=3), int, len, ValueError,
]  # fmt: skip


def there_and_back(value, **how):
    document = snapshot(value)
    return restore(json.loads(json.dumps(document, allow_nan=False)), **how)


def fact_values_come_back_with_their_types():
    for value in ROUND:
        back = there_and_back(value)
        assert type(back) is type(value)
        assert back == value if type(value) is int else repr(back) == repr(value)


def fact_numbers_that_json_lacks_are_kept():
    assert snapshot(float("nan")) == {"$type": "float", "value": "nan"}
    assert math.isnan(there_and_back(float("nan")))
    assert there_and_back([float("inf"), -math.inf]) == [math.inf, -math.inf]


def fact_the_order_of_a_map_is_its_own():
    ordered = collections.OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    assert list(snapshot(ordered)["fields"]) == ["b", "a"]
    assert list(there_and_back(ordered)) == ["b", "a"]


def fact_json_stays_as_it_is():
    value = {"a": [1, 2.5, "x", None, True, {"b": []}]}
    assert snapshot(value) == value


def fact_objects_are_their_class_and_state():
    assert snapshot(Plain()) == {"$type": "object", "class": f"{__name__}:Plain", "state": {"x": 1}}
    assert snapshot(Point(1, "z"))["state"] == {"x": 1, "y": "z"}
    assert snapshot(Below())["state"] == {"b": 3, "a": {"$type": "tuple", "items": [1, 2]}}


def fact_classes_are_imported_only_on_request():
    for value in (Point(1, [2]), Color.RED, Level.HIGH, Flags.A, Pair(1, 2), Numbers([1]), Wrong(5)):
        back = there_and_back(value, classes=True)
        assert type(back) is type(value)
        assert back == value or back.code == 5
    placeholder = there_and_back(Point(1, [2]))
    assert isinstance(placeholder, Placeholder)
    assert placeholder.state == {"x": 1, "y": [2]}
    assert there_and_back(Pair(1, 2)) == (1, 2)
    assert there_and_back(Numbers([1])) == [1]
    assert there_and_back(Text("x")) == "x"
    assert repr(there_and_back(Color.RED)) == f"<enum {__name__}:Color>"


def fact_restoring_runs_no_code_of_a_class():
    document = {"$type": "object", "class": f"{__name__}:Hostile", "state": {"x": 1}}
    back = restore(document, classes=True)
    assert object.__getattribute__(back, "__dict__") == {"x": 1}
    assert snapshot(back) == document, "nor does recording"


def fact_recording_runs_no_code_of_a_subclass():
    made = [
        (int, 5), (float, 2.5), (str, "text"), (bytes, b"ab"), (list, [1]), (tuple, (1,)), (dict, {"a": 1}), (set, {1}),
        (frozenset, {1}), (dict, {1: 2}), (bytearray, b"x"), (complex, 1j), (decimal.Decimal, "1.5"), (int, 2**80),
        (collections.OrderedDict, {"a": 1}), (collections.deque, [1]), (fractions.Fraction, "1/3"),
    ]  # fmt: skip
    for base, content in made:
        value = nosy(base, *TRAPS)(content)
        shot = Snapshot()
        document = shot.take(value)
        assert shot.reasons == (), (base, shot.reasons)
        assert document["class"].endswith(":Nosy"), document
        plain = dict(document)
        del plain["class"]
        plain.pop("state", None)
        assert issubclass(base, type(restore(plain))), (base, plain)
    when = nosy(dt.datetime, *TRAPS)(2024, 1, 1, tzinfo=dt.timezone.utc)
    assert snapshot(when)["value"] == "2024-01-01T00:00:00+00:00"


def fact_state_of_subclasses_of_containers_is_kept():
    numbers = Numbers([1])
    numbers.name = "n"
    back = there_and_back(numbers, classes=True)
    assert back == [1]
    assert back.name == "n"


def fact_cycles_and_shared_references_come_back():
    cycle = [1]
    cycle.append({"again": cycle})
    back = there_and_back(cycle)
    assert back[1]["again"] is back
    shared = [1]
    first, (second,), third = there_and_back([shared, (shared,), {"a~/": shared}])
    assert first is second is third["a~/"]
    plain = Plain()
    plain.me = plain
    back = there_and_back(plain, classes=True)
    assert back.me is back
    knot = ([],)
    knot[0].append(knot)
    json.dumps(snapshot(knot))


def fact_sets_do_not_depend_on_hashes():
    words = [f"word {number}" for number in range(50)]
    assert snapshot(set(words))["items"] == sorted(words)
    assert snapshot({10, 9, 1})["items"] == [1, 9, 10]


def fact_what_has_no_state_is_named():
    assert snapshot(threading.Lock())["$type"] == "opaque"
    with open(__file__) as file:
        assert snapshot(file)["mode"] == "r"
    generator = (number for number in [1])
    assert snapshot(generator)["$type"] == "generator"
    assert list(generator) == [1], "it is not consumed"
    assert snapshot(json) == {"$type": "module", "name": "json"}
    assert snapshot(json.dumps) == {"$type": "function", "name": "json:dumps"}
    assert snapshot(lambda: 1)["$type"] == "function"
    assert restore(snapshot(json.dumps), classes=True) is json.dumps
    assert isinstance(restore(snapshot(json.dumps)), Placeholder)
    assert snapshot([].append)["name"] == "list.append"
    assert snapshot(Plain().__init__)["self"]["state"] == {"x": 1}


def fact_limits_are_marked():
    assert snapshot("x" * 20, Options(text=5)) == {"$type": "str", "value": "xxxxx", "cut": 15}
    assert snapshot(b"12345", Options(text=3)) == {"$type": "bytes", "base64": "MTIz", "cut": 2}
    assert snapshot([1, 2, 3], Options(length=2)) == {"$type": "list", "items": [1, 2], "cut": 1}
    assert snapshot({"a": 1, "b": 2}, Options(length=1)) == {"$type": "dict", "fields": {"a": 1}, "cut": 1}
    assert snapshot([[[1]]], Options(depth=2)) == [[{"$type": "list", "cut": 1}]]
    assert snapshot({"a": Plain()}, Options(depth=1))["a"]["cut"] == 1
    assert snapshot([["x"] * 50] * 2, Options(size=20))["cut"] == 1
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert len(json.dumps(snapshot(deep))) < 200
    assert restore(snapshot([1, 2, 3], Options(length=2))) == [1, 2]


def fact_secrets_are_not_recorded():
    value = {"user": "u", "Password": "p", "api_key": "k", "inner": [{"access_token": "t"}], 1: 2}
    text = json.dumps(snapshot(value))
    assert '"u"' in text
    assert not any(secret in text for secret in ('"p"', '"k"', '"t"'))
    plain = Plain()
    plain.secret = "s"
    assert snapshot(plain)["state"]["secret"] == {"$type": "redacted"}
    assert snapshot({"password": 1}, Options(redact=None)) == {"password": 1}
    assert snapshot({"pin": 1, "password": 2}, Options(redact="^pin$")) == {
        "pin": {"$type": "redacted"}, "password": 2,
    }  # fmt: skip


def fact_bad_documents_are_refused():
    def refused(document, **how):
        return shop.refused(RestoreError, restore, document, **how)

    assert "/a/1 has the $type 'nope'; known are" in refused({"a": [0, {"$type": "nope"}]})
    assert "the value has the $type 5" in refused({"$type": 5})
    assert "the value has the $type ['x']" in refused({"$type": ["x"]})
    assert "/0 cannot be restored as 'decimal'" in refused([{"$type": "decimal", "value": "x"}])
    assert "/0 cannot be restored as 'bytes'" in refused([{"$type": "bytes"}])
    assert "the value is a reference to '/x'" in refused({"$type": "ref", "path": "/x"})
    assert "no:Where cannot be found" in refused({"$type": "object", "class": "no:Where"}, classes=True)
    assert "json:dumps is no class" in refused({"$type": "object", "class": "json:dumps"}, classes=True)
    assert "os:system" not in repr(restore({"$type": "function", "name": "len"}))
    deep = []
    for _ in range(1000):
        deep = [deep]
    assert "containers inside of each other" in refused(deep)


def fact_untyped_is_what_most_would_write():
    value = {
        "tuple": (1, 2), "set": {2, 1}, "when": dt.date(2024, 1, 1), 1: 2, "object": Plain(),
        "exact": decimal.Decimal("1.5"), "lock": threading.Lock(), "color": Color.RED,
    }  # fmt: skip
    assert untyped(snapshot(value)) == {
        "tuple": [1, 2], "set": [1, 2], "when": "2024-01-01", "1": 2, "object": {"x": 1}, "exact": "1.5", "lock": None,
        "color": "RED",
    }  # fmt: skip
    shared = [1]
    assert untyped(snapshot([shared, shared])) == [[1], [1]]
    cycle = []
    cycle.append(cycle)
    assert untyped(snapshot(cycle)) == [None]
