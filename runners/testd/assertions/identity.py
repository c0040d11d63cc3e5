"""`is_` and `is_not`: whether two values cannot be told apart. Runs in the user's process."""

from __future__ import annotations

from testd.assertions.report import differing, fail, show, show_pair

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["indistinguishable", "is_", "is_not", "scalar"]

#: Immutable values without parts: two that are equal and of the same type are one and the same to any program.
_SCALARS = frozenset((bool, bytes, complex, float, int, str, type(None), type(...), type(NotImplemented)))


def is_(expected: Any, actual: Any, message: str = "") -> None:
    """Assert that both are the same: the same object, or numbers, strings, bytes of one type that cannot be told apart.

    NaN is NaN; 0.0 and -0.0 differ; 1, 1.0 and True are three different values. Raises AssertionError.
    """
    __tracebackhide__ = True
    if indistinguishable(expected, actual):
        return
    left, right = show_pair(expected, actual)
    headline, lines = differing(left, right)
    if type(expected) is str and type(actual) is str and "\n" in expected + actual:
        from testd.assertions.report import text_difference

        headline, lines = "the texts differ", text_difference(expected, actual)
    elif not scalar(expected) and _equal(expected, actual):
        lines.append("they are equal, but two objects: to compare what they hold, use deep_equal")
    fail(headline, lines, message)


def is_not(unexpected: Any, actual: Any, message: str = "") -> None:
    """Assert that both can be told apart, by the rules of `is_`. Raises AssertionError."""
    __tracebackhide__ = True
    if indistinguishable(unexpected, actual):
        fail("the values are the same, and should not be", [f"both: {show(actual)}"], message)


def indistinguishable(left: Any, right: Any) -> bool:
    """Whether two values are the same by the rules of `is_`."""
    if left is right:
        return True
    kind = type(left)
    if kind is not type(right) or kind not in _SCALARS:
        return False
    if kind is float:
        return _same_float(left, right)
    if kind is complex:
        return _same_float(left.real, right.real) and _same_float(left.imag, right.imag)
    return bool(left == right)


def scalar(value: Any) -> bool:
    """Whether a value is compared by what it is worth, not by which object it is."""
    return type(value) in _SCALARS


def _same_float(left: float, right: float) -> bool:
    if left != left or right != right:
        return left != left and right != right
    return left == right and str(left) == str(right)  # the text tells 0.0 from -0.0


def _equal(left: Any, right: Any) -> bool:
    try:
        return bool(left == right)
    except Exception:
        return False
