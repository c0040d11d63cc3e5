"""How what was expected and what came compare: one function for each operator of an assertion. Pure.

Each takes the assertion, what is expected and what came, as Python values, and returns lines that name each place that
differs: nothing where it holds. `AssertionMistake` says what is wrong with the assertion itself.
"""

from __future__ import annotations

import re

from testd.assertions.equality import differences
from testd.assertions.report import show, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List

    Assertion = Dict[str, Any]
    Operator = Callable[[Assertion, Any, Any], List[str]]

__all__ = ["OPERATORS", "AssertionMistake", "named"]

#: approx: how far a number may be off if nothing is said, as a part of what is expected, and in any case.
RELATIVE = 1e-6
ABSOLUTE = 1e-12


class AssertionMistake(ValueError):
    """An assertion cannot be carried out as it is written: says what, and what would be right."""


def equals(_: Assertion, expected: Any, actual: Any) -> List[str]:
    """Hold if both are the same: types, structure, and each value in it."""
    return differences(expected, actual)


def contains(_: Assertion, expected: Any, actual: Any) -> List[str]:
    """Hold if what is expected is a part: of a text, of a map (keys), of a list (a run of its items, or one item)."""
    if isinstance(actual, str) and isinstance(expected, str):
        return [] if expected in actual else [f"value: {show(actual)} does not contain {show(expected)}"]
    if isinstance(actual, dict) and isinstance(expected, dict):
        return differences(expected, _part(expected, actual, whole_lists=True))
    if isinstance(actual, (list, tuple, set, frozenset)):
        run = list(expected) if isinstance(expected, (list, tuple, set, frozenset)) else [expected]
        if isinstance(actual, (set, frozenset)):
            lacking = [item for item in run if not any(_same(item, found) for found in actual)]
            return [f"value: {show(item)} is not among {show(actual)}" for item in lacking]
        length = len(run)
        if any(_same(run, list(actual[at : at + length])) for at in range(len(actual) - length + 1)):
            return []
        return [f"value: {show(expected)} is no part of {show(actual)}"]
    return [f"value: {show(actual)} ({type_name(actual)}) cannot contain {show(expected)} ({type_name(expected)})"]


def subset(_: Assertion, expected: Any, actual: Any) -> List[str]:
    """Hold if all that is expected is there: of maps the keys, of lists the first items, and so on inward.

    A key that is expected to be null may be missing, and numbers are compared by what they are worth.
    """
    return differences(expected, _part(expected, actual, whole_lists=False))


def matches(_: Assertion, expected: Any, actual: Any) -> List[str]:
    """Hold if a regular expression is found in a text."""
    if not isinstance(expected, str):
        raise AssertionMistake(f"matches takes a regular expression, and {show(expected)} is none")
    if not isinstance(actual, str):
        return [f"value: {show(actual)} ({type_name(actual)}) is no text to search for {show(expected)}"]
    try:
        return [] if re.search(expected, actual) else [f"value: {show(expected)} is not found in {show(actual)}"]
    except re.error as error:
        raise AssertionMistake(f"{show(expected)} is no regular expression: {error}") from None


def approx(assertion: Assertion, expected: Any, actual: Any) -> List[str]:
    """Hold if both are the same but for numbers, which may be off by a tolerance."""
    absolute, relative = assertion.get("tolerance"), assertion.get("relative_tolerance")
    if absolute is None and relative is None:
        absolute, relative = ABSOLUTE, RELATIVE
    found = differences(_near(expected, actual, absolute or 0.0, relative or 0.0), actual)
    return [line.replace(f" ({__name__}.{_Near.__name__})", "") for line in found]


def type_(_: Assertion, expected: Any, actual: Any) -> List[str]:
    """Hold if the value is of this type, or of one of these: `int`, `datetime.date`, `Cart`, `shop.cart.Cart`."""
    wanted = expected if isinstance(expected, list) else [expected]
    if not wanted or not all(isinstance(name, str) for name in wanted):
        raise AssertionMistake(f"type takes the name of a type or a list of them, and {show(expected)} is neither")
    if any(named(wanted, name) for name in _types(actual)):
        return []
    return [f"value: {show(actual)} is of type {next(iter(_types(actual)))}, expected {' or '.join(wanted)}"]


def named(wanted: List[str], name: str) -> bool:
    """Whether a type's name (`shop.cart:Cart`) is among those that are wanted, written whole or without its module."""
    dotted = name.replace(":", ".")
    return any(dotted == word.replace(":", ".") or dotted.endswith("." + word) for word in wanted)


#: Every operator that compares a value; `raises` is about no value, and stands in `judging`.
OPERATORS: Dict[str, Operator] = {
    "approx": approx, "contains": contains, "equals": equals, "matches": matches, "subset": subset, "type": type_,
}  # fmt: skip


class _Near:
    """A number that another one may be off from. It is equal to those that are near enough."""

    __slots__ = ("_absolute", "_number", "_relative")
    __hash__ = None  # type: ignore[assignment]  # equality that is not transitive has no hash

    def __init__(self, number: Any, absolute: float, relative: float) -> None:
        self._number = number
        self._absolute = absolute
        self._relative = relative

    def __eq__(self, other: object) -> bool:
        if not _number(other):
            return False
        expected, actual = float(self._number), float(other)  # type: ignore[arg-type]
        if expected == actual or (expected != expected and actual != actual):
            return True
        return abs(expected - actual) <= max(self._absolute, self._relative * abs(expected))

    def __repr__(self) -> str:
        most = max(self._absolute, self._relative * abs(float(self._number)))
        return f"{self._number!r} ± {most:g}"


def _near(expected: Any, actual: Any, absolute: float, relative: float) -> Any:
    """Return what is expected with numbers that are near to others equal to them."""
    if _number(expected):
        return _Near(expected, absolute, relative)
    if isinstance(expected, dict):
        found = actual if isinstance(actual, dict) else {}
        return {key: _near(item, found.get(key), absolute, relative) for key, item in expected.items()}
    if type(expected) in (list, tuple):
        items = list(actual) if type(actual) in (list, tuple) else []
        items += [None] * (len(expected) - len(items))
        kind = type(actual) if type(actual) in (list, tuple) else type(expected)
        return kind(_near(item, found, absolute, relative) for item, found in zip(expected, items))
    return expected


def _part(expected: Any, actual: Any, *, whole_lists: bool) -> Any:
    """Return of a value what the expectation speaks of."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return dict(_entries(expected, actual, whole_lists))
    if isinstance(expected, list) and isinstance(actual, (list, tuple)):
        items = [_part(one, other, whole_lists=whole_lists) for one, other in zip(expected, actual)]
        return items + list(actual[len(expected) :]) if whole_lists else items
    if not whole_lists and _number(expected) and _number(actual) and expected == actual:
        return expected
    return actual


def _entries(expected: Dict[Any, Any], actual: Dict[Any, Any], whole_lists: bool) -> Iterator[Any]:
    for key, wanted in expected.items():
        if key in actual:
            yield key, _part(wanted, actual[key], whole_lists=whole_lists)
        elif wanted is None and not whole_lists:
            yield key, None


def _same(expected: Any, actual: Any) -> bool:
    return not differences(expected, _part(expected, actual, whole_lists=True), limit=1)


def _number(value: object) -> bool:
    from decimal import Decimal
    from fractions import Fraction

    return isinstance(value, (int, float, Decimal, Fraction)) and not isinstance(value, bool)


def _types(value: Any) -> Iterator[str]:
    """Yield the names by which a value's type may be called, the nearest first."""
    if value is None:
        yield "None"
    for kind in type(value).__mro__:
        if kind is int and type(value) is bool:
            continue  # JSON, and whoever writes it, tells them apart
        yield kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
