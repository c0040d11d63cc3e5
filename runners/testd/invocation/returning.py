"""What a function may return: a truth value or nothing, in the forms that the public system takes. Pure."""

from __future__ import annotations

__all__ = ["BadReturn", "truth"]

_TRUE = ("true", "yes", "on", "t", "y", "1")
_FALSE = ("false", "no", "off", "f", "n", "0")


class BadReturn(Exception):
    """A function returned what is neither a truth value nor nothing."""


def truth(value: object) -> bool | None:
    """Return a function's return value as the workflow sees it.

    Raises:
        BadReturn: it cannot be used.

    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and value in (0, 1):
        return bool(value)
    if isinstance(value, str) and value.lower() in (*_TRUE, *_FALSE):
        return value.lower() in _TRUE
    text = repr(value)
    shown = text if len(text) <= 80 else text[:77] + "..."
    raise BadReturn(f"the function returned {shown}; it may return True, False or None (or 1, 0, 'true', 'false', …)")
