"""What `[tool.testd.trace]` says, taken apart. Runs in the user's process, and in the daemon to check it.

Beside which functions are traced (`modules`, `include`, `exclude`: see `selection.py`) it has `redact`, and the limits
of a record by the names that `Options` has for them.
"""

from __future__ import annotations

from testd.tracing.options import Options
from testd.tracing.selection import Selection, SelectionError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["configured"]

_SELECTION = ("modules", "include", "exclude")


def configured(table: Mapping[str, Any]) -> tuple[dict[str, Any], Options]:
    """Return what of a table says which functions are traced, and what bounds a record.

    Raises:
        SelectionError: it cannot be read.

    """
    unknown = [key for key in table if key not in _SELECTION and key not in Options._fields]
    if unknown:
        known = ", ".join((*_SELECTION, *Options._fields))
        raise SelectionError(f"tool.testd.trace has no key {unknown[0]!r}; it has {known}")
    selection = {key: table[key] for key in _SELECTION if key in table}
    Selection(selection)
    return selection, Options(**{key: _checked(key, table[key]) for key in Options._fields if key in table})


def _checked(key: str, value: Any) -> Any:
    if key == "redact":
        return _pattern(value)
    most = 1 if key == "sample" else None
    number = isinstance(value, (int, float) if most else int) and not isinstance(value, bool)
    if not number or value < 0 or (most is not None and value > most):
        raise SelectionError(f"tool.testd.trace.{key} is {'a number from 0 to 1' if most else 'a whole number'}")
    return value


def _pattern(value: Any) -> str | None:
    """Return a regular expression; an empty text, or false, means that nothing is redacted."""
    import re

    if value is False or value == "":
        return None
    if not isinstance(value, str):
        raise SelectionError("tool.testd.trace.redact is a regular expression, or false for none")
    try:
        re.compile(value)
    except re.error as error:
        raise SelectionError(f"tool.testd.trace.redact is no regular expression: {error}") from error
    return value
