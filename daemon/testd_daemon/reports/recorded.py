"""Recorded values as a person reads them: in Python's words, on one line, cut at a width. Pure.

Runs in the client; imports nothing of a target: what a value was made of is not needed to show it.
"""

from __future__ import annotations

from json import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

__all__ = ["arguments", "cut", "shown"]

#: Characters of a value after which it is not looked at further: what is longer is cut anyway.
_ENOUGH = 4000
_BRACKETS = {"tuple": "()", "set": "{}", "frozenset": "{}", "deque": "[]", "list": "[]"}


def arguments(given: Any) -> str:
    """Return what was passed to a function, as it would be written in a call."""
    if not isinstance(given, list) or not given or not isinstance(given[-1], dict):
        return "…"
    *positional, keywords = given
    named = (f"{name}={shown(value)}" for name, value in keywords.items())
    return _joined([*map(shown, positional), *named])


def shown(value: Any) -> str:
    """Return a recorded value as text."""
    if isinstance(value, dict):
        return _tagged(value["$type"], value) if "$type" in value else f"{{{_joined(_pairs(value.items()))}}}"
    if isinstance(value, list):
        return f"[{_joined(map(shown, value))}]"
    if isinstance(value, str):
        return dumps(value, ensure_ascii=False)
    return repr(value)


def cut(text: str, width: int) -> str:
    """Return the beginning of a text that is too long, and say so."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def _tagged(kind: str, value: dict[str, Any]) -> str:
    name = str(value.get("class") or "").rpartition(":")[2]
    if kind == "redacted":
        return "(redacted)"
    if kind in _BRACKETS:
        inside = f"{_BRACKETS[kind][0]}{_joined(map(shown, value.get('items', [])))}{_more(value)}{_BRACKETS[kind][1]}"
        return f"{name}({inside})" if name else inside
    if kind == "dict":
        pairs = value["fields"].items() if "fields" in value else value.get("items", [])
        return f"{name}{{{_joined(_pairs(pairs))}{_more(value)}}}"
    if kind == "object":
        fields = value.get("state")
        return f"{name}({_joined(f'{key}={shown(held)}' for key, held in (fields or {}).items())})"
    if kind == "enum":
        return f"{name}.{value.get('name')}"
    if kind in ("str", "int", "float"):
        told = value.get("value")
        return (dumps(told, ensure_ascii=False) if kind == "str" else str(told)) + _more(value)
    told = next((value[key] for key in ("value", "base64", "name", "path") if key in value), "")
    return f"{name or kind}({told}{_more(value)})"


def _more(value: dict[str, Any]) -> str:
    return f" … {value['cut']} more" if value.get("cut") else ""


def _pairs(pairs: Iterable[Any]) -> Iterator[str]:
    return (f"{shown(key)}: {shown(held)}" for key, held in pairs)


def _joined(parts: Iterable[str]) -> str:
    """Join parts with commas, and stop where nobody would read on."""
    taken, size = [], 0
    for part in parts:
        if size > _ENOUGH:
            taken.append("…")
            break
        taken.append(part)
        size += len(part)
    return ", ".join(taken)
