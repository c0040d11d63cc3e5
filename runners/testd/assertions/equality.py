"""`deep_equal`: whether two values hold the same, however deep. Runs in the user's process."""

from __future__ import annotations

from testd.assertions.identity import indistinguishable, scalar
from testd.assertions.parts import Parts, parts_of
from testd.assertions.report import DIFFERENCES, fail, path_text, show, show_pair, text_difference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    Path = tuple[Any, ...] | None

__all__ = ["deep_equal", "differences"]


def deep_equal(
    expected: Any, actual: Any, message: str = "", *, distinct: bool = False, shared: Iterable[Any] = ()
) -> None:
    """Assert that two values hold the same: same types, same structure, and scalars that `is_` takes for the same.

    Lists, tuples and other sequences are compared item by item, dictionaries key by key whatever their order, sets by
    their members, dataclasses, attrs classes, named tuples and plain objects by their fields, and everything with an
    equality of its own by that. Cycles are followed once.

    With `distinct`, no mutable object may be a part of both values (a copy that is none fails), except those in
    `shared`. Raises AssertionError with each place that differs.
    """
    __tracebackhide__ = True
    comparison = _Comparison(DIFFERENCES)
    comparison.run(expected, actual)
    if comparison.lines:
        fail(comparison.headline(), comparison.lines, message)
    if distinct:
        both = _shared_parts(expected, actual, shared)
        if both:
            fail("the values share objects, so that a change to one changes the other", both, message)


def differences(expected: Any, actual: Any, limit: int = DIFFERENCES) -> list[str]:
    """Return lines that name each place where two values differ, with what is expected there; none if none does."""
    comparison = _Comparison(limit)
    comparison.run(expected, actual)
    return comparison.lines


class _Comparison:
    """Compares pair by pair from a list of its own, so that no depth of nesting can exhaust the stack."""

    def __init__(self, limit: int) -> None:
        self.lines: list[str] = []
        self._first: Path = None
        self._left = limit
        self._pending: list[tuple[Any, Any, Path]] = []
        self._seen: set[tuple[int, int]] = set()
        self._alive: list[Any] = []  # what was made on the way: an id is only good while its object lives

    def headline(self) -> str:
        """Say where the first difference is."""
        return f"the values differ at {path_text(self._first)}" if self._first else "the values differ"

    def run(self, expected: Any, actual: Any) -> None:
        """Compare two values; afterwards `lines` holds the differences."""
        self._pending.append((expected, actual, None))
        while self._pending:
            left, right, path = self._pending.pop()
            if indistinguishable(left, right) or self._is_known(left, right):
                continue
            self._compare(left, right, path)
            if self._left < 0:
                self.lines.append("... and more differences")
                return

    def _is_known(self, left: Any, right: Any) -> bool:
        if scalar(left) or scalar(right):
            return False
        pair = (id(left), id(right))
        if pair in self._seen:
            return True  # a cycle: it holds if all else does
        self._seen.add(pair)
        return False

    def _compare(self, left: Any, right: Any, path: Path) -> None:
        if type(left) is not type(right):
            if not _matches(left, right):
                self._differ(path, *show_pair(left, right))
            return
        if type(left) is str and "\n" in left + right:
            self._note(path, "", *("  " + line for line in text_difference(left, right)))
            return
        if scalar(left):
            self._differ(path, *show_pair(left, right))
            return
        if isinstance(left, (set, frozenset)):
            self._compare_sets(left, right, path)
            return
        mine, theirs = parts_of(left), parts_of(right)
        if mine is None or theirs is None:
            if not _equal(left, right):
                self._differ(path, *show_pair(left, right))
            return
        self._alive += (mine, theirs)
        if mine.rest is not None and not _equal(mine.rest, theirs.rest):
            self._differ(path, *show_pair(left, right))
            return
        self._compare_parts(mine, theirs, path)

    def _compare_parts(self, mine: Parts, theirs: Parts, path: Path) -> None:
        if mine.ordered and [*mine.items] != [*theirs.items] and set(mine.items) == set(theirs.items):
            keys = f"  expected: {show([*mine.items])}", f"  actual:   {show([*theirs.items])}"
            self._note(path, " the same keys in another order", *keys)
        if mine.counted and len(mine.items) != len(theirs.items):
            self._note(path, f" {len(theirs.items)} items, expected {len(mine.items)}")
        inner = []
        for key, value in mine.items.items():
            place = (path, mine.place(key))
            if key in theirs.items:
                inner.append((value, theirs.items[key], place))
            else:
                self._note(place, " missing", f"  expected: {show(value)}")
        for key, value in theirs.items.items():
            if key not in mine.items:
                self._note((path, theirs.place(key)), " not expected", f"  actual:   {show(value)}")
        self._pending.extend(reversed(inner))

    def _compare_sets(self, left: Any, right: Any, path: Path) -> None:
        missing, extra = left - right, right - left
        # NaN is not equal to itself; two sets that hold one each have no difference
        if (not missing and not extra) or (_all_nan(missing) and _all_nan(extra) and len(missing) == len(extra)):
            return
        lines = []
        if missing:
            lines.append(f"  missing:      {', '.join(sorted(map(show, missing)))}")
        if extra:
            lines.append(f"  not expected: {', '.join(sorted(map(show, extra)))}")
        self._note(path, " sets with different members", *lines)

    def _differ(self, path: Path, expected: str, actual: str) -> None:
        self._note(path, "", f"  expected: {expected}", f"  actual:   {actual}")

    def _note(self, path: Path, what: str, *lines: str) -> None:
        """Take down a difference at a path, unless there are enough of them."""
        self._left -= 1
        if self._left >= 0:
            self._first = self._first if self.lines else path
            self.lines += [path_text(path) + ":" + what, *lines]


def _matches(expected: Any, actual: Any) -> bool:
    """Whether `expected` is a matcher: a value of a Python class whose own `__eq__` says yes (`mock.ANY`)."""
    own = type(expected).__eq__
    return hasattr(own, "__code__") and _equal(expected, actual)


def _equal(left: Any, right: Any) -> bool:
    """Compare by the values' own equality; an array of verdicts, as numpy makes it, must be true throughout."""
    same = left == right
    if isinstance(same, bool):
        return same
    try:
        return bool(same)
    except (TypeError, ValueError):
        shapes = getattr(left, "shape", None), getattr(right, "shape", None)
        if shapes[0] == shapes[1] and hasattr(same, "all"):
            every = same.all()
            return bool(every.all() if hasattr(every, "all") else every)
        return False


def _all_nan(members: Any) -> bool:
    return all(type(member) is float and member != member for member in members)


def _shared_parts(expected: Any, actual: Any, allowed: Iterable[Any]) -> list[str]:
    """Return a line for each mutable object that is a part of both values."""
    lines: list[str] = []
    ours = _mutable_parts(expected, set())
    exempt = {id(part) for part in allowed}
    for key, (part, path) in _mutable_parts(actual, exempt).items():
        if key in ours and len(lines) < DIFFERENCES:
            lines.append(f"{path_text(path)} is the object at {path_text(ours[key][1])} of the expected: {show(part)}")
    return lines


def _mutable_parts(value: Any, exempt: set[int]) -> dict[int, tuple[Any, Path]]:
    """Return every part that can be changed, by id: the object and its path. Does not look into exempt ones."""
    found: dict[int, tuple[Any, Path]] = {}
    seen: set[int] = set()
    alive: list[Any] = []
    pending: list[tuple[Any, Path]] = [(value, None)]
    while pending:
        part, path = pending.pop()
        if scalar(part) or id(part) in exempt or id(part) in seen:
            continue
        seen.add(id(part))
        parts = parts_of(part)
        if parts is None:
            if isinstance(part, (set, bytearray)):
                found[id(part)] = part, path
            continue
        alive.append(parts)
        if not isinstance(part, (tuple, frozenset)) and not parts.frozen:
            found[id(part)] = part, path
        pending.extend((inner, (path, parts.place(key))) for key, inner in parts.items.items())
    return found


