"""Recorded values as Python source. Pure; in the client."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from testd.tracing.values import restore

__all__ = ["InexpressibleError", "literal"]


class InexpressibleError(ValueError):
    """Something has no source that means it: says what."""


def literal(document: Any, imports: set[str]) -> str:
    """Return source for a recorded value; the modules that it needs are added to `imports`.

    Raises:
        InexpressibleError: it is an object, or something else that only its class can make.

    """
    try:
        return _source(restore(document), imports)
    except (ValueError, RecursionError) as error:
        raise InexpressibleError(str(error)) from error


def _source(value: Any, imports: set[str]) -> str:
    kind = type(value)
    if kind in (bool, int, str, bytes, bytearray, complex, type(None)):
        return repr(value)
    if kind is float:
        return repr(value) if math.isfinite(value) else f'float("{value}")'
    if kind is list:
        return f"[{_joined(value, imports)}]"
    if kind is tuple:
        return f"({_joined(value, imports)}{',' * (len(value) == 1)})"
    if kind in (set, frozenset):
        inner = f"{{{_joined(sorted(value, key=repr), imports)}}}" if value else ""
        return inner if kind is set and value else f"{kind.__name__}({inner})"
    if kind is dict:
        return f"{{{', '.join(f'{_source(k, imports)}: {_source(v, imports)}' for k, v in value.items())}}}"
    made = _MODULES.get(kind)
    if made is None:
        raise InexpressibleError(f"{value!r} has no source")
    module, source = made
    imports.add(module)
    return source(value)


def _joined(values: Any, imports: set[str]) -> str:
    return ", ".join(_source(value, imports) for value in values)


#: Type → the module that it needs, and what makes source of a value.
_MODULES: dict[type, tuple[str, Callable[[Any], str]]] = {
    **dict.fromkeys((dt.date, dt.datetime, dt.time, dt.timedelta), ("datetime", repr)),
    Decimal: ("decimal", lambda value: f"decimal.{value!r}"),
    Fraction: ("fractions", lambda value: f"fractions.{value!r}"),
    uuid.UUID: ("uuid", lambda value: f"uuid.{value!r}"),
}
