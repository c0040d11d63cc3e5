"""How values and differences are written, in all assertions. Runs in the user's process; imports nothing at load."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

__all__ = ["differing", "fail", "path_text", "show", "show_pair", "text_difference", "type_name"]

HEADLINE = 80  #: characters of two values that are told in one line
SHOWN = 200  #: characters of a value in a line
DIFFERENCES = 20  #: differences of one comparison that are listed
TEXT_LINES = 60  #: lines of a difference between two texts


def fail(headline: str, lines: list[str] | None = None, message: str = "") -> NoReturn:
    """Raise AssertionError: the caller's own message, what went wrong, and the lines that show it."""
    __tracebackhide__ = True
    text = f"{message}: {headline}" if message else headline
    if lines:
        text += "\n" + "\n".join("  " + line if line else "" for line in lines)
    raise AssertionError(text)


def show(value: Any, limit: int = SHOWN) -> str:
    """Return a value's `repr` on one line, shortened in the middle. Never raises."""
    text = _repr(value, limit)
    if "\n" in text:
        text = " ".join(text.split())
    if len(text) > limit:
        keep = (limit - 5) // 2
        text = f"{text[:keep]} ... {text[-keep:]}"
    return text


def show_pair(expected: Any, actual: Any) -> tuple[str, str]:
    """Return two values as text, with their types where the texts alone would look the same."""
    left, right = show(expected), show(actual)
    if left == right or type(expected) is not type(actual):
        left, right = f"{left} ({type_name(expected)})", f"{right} ({type_name(actual)})"
    if left == right:
        left, right = f"{left[:-1]} at {id(expected):#x})", f"{right[:-1]} at {id(actual):#x})"
    return left, right


def differing(expected: str, actual: str) -> tuple[str, list[str]]:
    """Return a headline, and lines below it where both texts do not fit into it."""
    if len(expected) + len(actual) <= HEADLINE:
        return f"expected {expected}, got {actual}", []
    return "the values are not the same", [f"expected: {expected}", f"actual:   {actual}"]


def type_name(value: Any) -> str:
    """Return the name of a value's type, with its module unless it is a builtin."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def path_text(path: tuple[Any, ...] | None) -> str:
    """Return a path into a value as it would be written in code: `value['a'][0].name`.

    A path is a linked list from the inside out, `(outer path, part)`; a part is written already.
    """
    parts = []
    while path:
        parts.append(str(path[1]))
        path = path[0]
    return "value" + "".join(reversed(parts))


def text_difference(expected: str, actual: str) -> list[str]:
    """Return the lines in which two texts differ, `-` expected and `+` actual, with three lines around each place."""
    import difflib

    lines = [
        line.rstrip("\n")
        for line in difflib.unified_diff(
            _lines(expected), _lines(actual), "expected", "actual", n=3, lineterm="\n"
        )
    ]
    if len(lines) > TEXT_LINES:
        lines = [*lines[:TEXT_LINES], f"... {len(lines) - TEXT_LINES} more lines of difference"]
    return lines


def _lines(text: str) -> list[str]:
    """Split into lines whose ends, trailing blanks and control characters show where they differ."""
    lines = text.split("\n")
    return [line.encode("unicode_escape").decode() if not line.isprintable() else line for line in lines]


def _repr(value: Any, limit: int) -> str:
    """Return `repr(value)`, without building the whole of a large builtin container."""
    try:
        if type(value) in (str, bytes, bytearray) and len(value) > 2 * limit:
            return repr(value[:limit])[:-1] + " ... " + repr(value[-limit:]).lstrip("b")[1:]
        if type(value) in (list, tuple, set, frozenset, dict) and len(value) > limit:
            return _first(value, limit)
        return repr(value)
    except Exception as exc:
        return f"<{type_name(value)} whose repr raised {type_name(exc)}>"


def _first(value: Any, limit: int) -> str:
    from itertools import islice

    if isinstance(value, dict):
        items = [f"{_repr(key, limit)}: {_repr(item, limit)}" for key, item in islice(value.items(), limit // 8)]
    else:
        items = [_repr(item, limit) for item in islice(value, limit // 8)]
    opening, closing = "[]" if isinstance(value, list) else "()" if isinstance(value, tuple) else "{}"
    return f"{opening}{', '.join(items)[:limit]}, ... {len(value)} items{closing}"
