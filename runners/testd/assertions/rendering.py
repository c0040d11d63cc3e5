"""A value as stable text, line by line: what snapshots hold. Runs in the user's process.

Equal values give equal text in every process: sets are sorted, dictionaries keep to the order of their keys' texts,
addresses are left out, cycles are named.
"""

from __future__ import annotations

import re

from testd.assertions.parts import parts_of
from testd.assertions.report import type_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["render"]

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_WIDTH = 80  #: a value that fits is written on one line
_DEPTH = 60


def render(value: Any) -> list[str]:
    """Return the lines of a value's text."""
    return _render(value, ())


def _render(value: Any, outer: tuple[int, ...]) -> list[str]:
    if isinstance(value, str) and type(value) is str:
        return _render_text(value)
    if id(value) in outer:
        return ["<cycle>"]
    if len(outer) > _DEPTH:
        return ["<nested deeper than is shown>"]
    inside = (*outer, id(value))
    if isinstance(value, (set, frozenset)):
        members = sorted(_render(member, inside) for member in value)
        return _enclose(_prefix(value, (set,)) or "", "{", members, "}") if value else [repr(value)]
    parts = parts_of(value)
    if parts is None:
        return _ADDRESS.sub("", repr(value)).split("\n")
    if isinstance(value, dict):
        pairs = sorted((_one_line(_render(key, inside)), inner) for key, inner in value.items()) if _sortable(value) \
            else [(_one_line(_render(key, inside)), inner) for key, inner in value.items()]
        items = [_labelled(f"{key}: ", _render(inner, inside)) for key, inner in pairs]
        return _enclose(_prefix(value, (dict,)), "{", items, "}")
    if (isinstance(value, (list, tuple)) and not hasattr(type(value), "_fields")) or parts.counted:
        items = [_render(inner, inside) for inner in parts.items.values()]
        opening, closing = "()" if isinstance(value, tuple) else "[]"
        if type(value) is tuple and len(items) == 1:
            items[0][-1] += ","
        return _enclose(_prefix(value, (list, tuple)), opening, items, closing)
    items = [_labelled(f"{name}=", _render(inner, inside)) for name, inner in parts.items.items()]
    return _enclose(type_name(value).rpartition(".")[2], "(", items, ")")


def _render_text(text: str) -> list[str]:
    """Write a text of several lines as its lines, one literal each."""
    if ("\n" not in text.rstrip("\n") and len(text) <= _WIDTH) or "\n" not in text:
        return [repr(text)]
    return ["(", *("    " + repr(line) for line in text.splitlines(keepends=True)), ")"]


def _enclose(name: str, opening: str, items: list[list[str]], closing: str) -> list[str]:
    if all(len(item) == 1 for item in items):
        line = f"{name}{opening}{', '.join(item[0] for item in items)}{closing}"
        if len(line) <= _WIDTH:
            return [line]
    lines = [name + opening]
    for item in items:
        lines += ["    " + line for line in item]
        if not lines[-1].endswith(","):
            lines[-1] += ","
    return [*lines, closing]


def _labelled(label: str, lines: list[str]) -> list[str]:
    return [label + lines[0], *lines[1:]]


def _one_line(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines)


def _prefix(value: Any, plain: tuple[type, ...]) -> str:
    """Return the name of a subclass, in front of its items; nothing for the builtin itself."""
    return "" if type(value) in plain else type(value).__name__


def _sortable(value: Any) -> bool:
    return type(value).__name__ != "OrderedDict"
