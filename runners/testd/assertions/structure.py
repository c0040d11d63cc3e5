"""`conforms`: whether a value has the structure that a specification describes. Runs in the user's process."""

from __future__ import annotations

from testd.assertions.identity import indistinguishable, scalar
from testd.assertions.report import DIFFERENCES, fail, path_text, show, type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Path = tuple[Any, ...] | None
    Problems = Iterator[str]

__all__ = ["conforms", "maybe"]

_NOTHING: Any = ()  #: what stands in `Tuple[()]` before Python 3.11


class maybe:  # noqa: N801 (it is written where a specification is, not as a class)
    """In a dictionary's specification: a key that may be missing. `{"nick": maybe(str)}`."""

    __slots__ = ("spec",)

    def __init__(self, spec: Any) -> None:
        """Keep what the value must conform to where there is one."""
        self.spec = spec


def conforms(value: Any, spec: Any, message: str = "") -> None:
    """Assert that a value conforms to a specification, which is one of these, nested at will:

    - a type: an instance of it (`bool` is no `int` here); a generic or a union: `list[int]`, `Union[int, None]`,
      `int | None`, `Literal["a", "b"]`, `Any`
    - a dictionary: exactly these keys, each value conforming; `maybe(spec)` for a key that may be missing; the key
      `...` for all other keys
    - a list or a tuple: exactly these items; with `...` at the end, any number of what stands before it: `[int, ...]`
    - a set: members that conform to one of its items
    - a compiled regular expression: a text in which it is found
    - a function of one parameter: a value for which it returns something true
    - `...`: anything
    - everything else: the same value, by the rules of `is_`, or equal where it is no scalar

    Raises AssertionError with each place that does not conform.
    """
    __tracebackhide__ = True
    problems: list[str] = []
    for problem in _check(value, spec, None):
        if len(problems) == DIFFERENCES:
            problems.append("... and more")
            break
        problems.append(problem)
    if problems:
        fail("the value does not conform", problems, message)


def _check(value: Any, spec: Any, path: Path) -> Problems:
    """Yield a line for each place in which `value` does not conform to `spec`."""
    if spec is ...:
        return
    if isinstance(spec, maybe):
        spec = spec.spec
    origin = getattr(spec, "__origin__", None)
    if origin is not None or _is_union(spec) or _is_any(spec):
        yield from _check_generic(value, spec, origin, path)
    elif isinstance(spec, type):
        if not _is_instance(value, spec):
            yield _expected(path, _name(spec), value)
    elif isinstance(spec, dict):
        yield from _check_dict(value, spec, path)
    elif isinstance(spec, (list, tuple)):
        yield from _check_sequence(value, spec, path)
    elif isinstance(spec, (set, frozenset)):
        yield from _check_members(value, spec, path)
    else:
        yield from _check_other(value, spec, path)


def _check_dict(value: Any, spec: dict[Any, Any], path: Path) -> Problems:
    if not isinstance(value, dict):
        yield _expected(path, "a dict", value)
        return
    for key, inner in spec.items():
        if key is ...:
            continue
        place = (path, f"[{show(key, 60)}]")
        if key in value:
            yield from _check(value[key], inner, place)
        elif not isinstance(inner, maybe):
            yield f"{path_text(place)}: missing, expected {_name(inner)}"
    for key, found in value.items():
        if key not in spec:
            place = (path, f"[{show(key, 60)}]")
            if ... in spec:
                yield from _check(found, spec[...], place)
            else:
                yield f"{path_text(place)}: not expected, is {show(found)}"


def _check_sequence(value: Any, spec: Any, path: Path) -> Problems:
    kind = list if isinstance(spec, list) else tuple
    if not isinstance(value, kind):
        yield _expected(path, f"a {kind.__name__}", value)
        return
    fixed, repeated = list(spec), None
    if fixed[-1:] == [...] and len(fixed) > 1:
        repeated = fixed[-2]
        fixed = fixed[:-2]
    elif fixed == [...]:
        return
    if len(value) < len(fixed) or (repeated is None and len(value) != len(fixed)):
        least = "" if repeated is None else "at least "
        yield f"{path_text(path)}: {len(value)} items, expected {least}{len(fixed)}"
    for index, item in enumerate(value):
        if index < len(fixed):
            yield from _check(item, fixed[index], (path, f"[{index}]"))
        elif repeated is not None:
            yield from _check(item, repeated, (path, f"[{index}]"))


def _check_members(value: Any, spec: Any, path: Path) -> Problems:
    if not isinstance(value, (set, frozenset)):
        yield _expected(path, "a set", value)
        return
    for member in value:
        if not any(_holds(member, inner) for inner in spec):
            yield f"{path_text(path)}: the member {show(member)} is none of {', '.join(map(_name, spec))}"


def _check_generic(value: Any, spec: Any, origin: Any, path: Path) -> Problems:
    """Check against what `typing` or `X | Y` made. `typing` itself is not imported: its objects say what they are."""
    arguments: Any = getattr(spec, "__args__", ())
    name = str(origin)
    if _is_any(spec):
        return
    if _is_union(spec):
        if not any(_holds(value, None if inner is type(None) else inner) for inner in arguments):
            yield _expected(path, " or ".join(map(_name, arguments)), value)
    elif name == "typing.Literal":
        if not any(indistinguishable(value, inner) for inner in arguments):
            yield _expected(path, " or ".join(map(repr, arguments)), value)
    elif name == "typing.Annotated" or hasattr(spec, "__metadata__"):
        yield from _check(value, origin if isinstance(origin, type) else arguments[0], path)
    elif not isinstance(origin, type):
        raise TypeError(f"conforms cannot check against {spec!r}; write a predicate for it")
    elif not _is_instance(value, origin):
        yield _expected(path, _name(spec), value)
    else:
        yield from _check_arguments(value, origin, [inner for inner in arguments if not _is_variable(inner)], path)


def _check_arguments(value: Any, origin: type, arguments: list[Any], path: Path) -> Problems:
    """Check the parts of a value against the arguments of its generic: `list[int]`, `dict[str, int]`."""
    if not arguments:
        return
    if issubclass(origin, tuple):
        yield from _check_sequence(tuple(value), tuple(inner for inner in arguments if inner is not _NOTHING), path)
    elif isinstance(value, dict) and len(arguments) == 2:
        for key, inner in value.items():
            yield from _check(key, arguments[0], (path, f".key {show(key, 60)}"))
            yield from _check(inner, arguments[1], (path, f"[{show(key, 60)}]"))
    elif isinstance(value, (set, frozenset)):
        yield from _check_members(value, arguments, path)
    elif isinstance(value, (list, tuple)) or type(value).__name__ == "deque":
        for index, inner in enumerate(value):
            yield from _check(inner, arguments[0], (path, f"[{index}]"))


def _check_other(value: Any, spec: Any, path: Path) -> Problems:
    """Check against a pattern, a predicate, or a value that is to be the same."""
    if type(spec).__name__ == "Pattern" and hasattr(spec, "search"):
        text = value if isinstance(value, type(spec.pattern)) else None
        if text is None or not spec.search(text):
            yield _expected(path, f"a text in which {spec.pattern!r} is found", value)
    elif callable(spec):
        if not spec(value):
            yield _expected(path, f"a value for which {_name(spec)} is true", value)
    elif not (indistinguishable(spec, value) or (not scalar(spec) and type(spec) is type(value) and spec == value)):
        yield _expected(path, show(spec), value)


def _holds(value: Any, spec: Any) -> bool:
    return next(_check(value, spec, None), None) is None


def _expected(path: Path, what: str, value: Any) -> str:
    return f"{path_text(path)}: expected {what}, is {show(value)} ({type_name(value)})"


def _is_instance(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not (isinstance(value, bool) and kind is int)


def _is_union(spec: Any) -> bool:
    return type(spec).__name__ == "UnionType" or str(getattr(spec, "__origin__", None)) == "typing.Union" or (
        type(spec).__name__ == "Union"  # both kinds of union are one type from Python 3.14
    )


def _is_any(spec: Any) -> bool:
    return str(spec) == "typing.Any"


def _is_variable(spec: Any) -> bool:
    return type(spec).__name__ in ("TypeVar", "ParamSpec", "TypeVarTuple")


def _name(spec: Any) -> str:
    """Return a specification as a reader would write it."""
    if isinstance(spec, maybe):
        return _name(spec.spec)
    if spec is ...:
        return "anything"
    if isinstance(spec, type) and getattr(spec, "__origin__", None) is None:
        return "None" if spec is type(None) else spec.__qualname__
    name = getattr(spec, "__qualname__", None) if callable(spec) else None
    return name if isinstance(name, str) and getattr(spec, "__origin__", None) is None else show(spec)
