"""Which functions of which modules are traced by configuration. Runs in the user's process.

`[tool.testd.trace]`, as a mapping:

    modules = {"shop.cart" = true, "shop.db" = ["connect", "Pool.get", {name = "query", config = {copy_input = false}}]}
    modules = ["shop.*"]                  # the same as true for each; names of modules may be patterns
    include = ["pay*", "shop.db:*"]       # of functions by name, or by module:name; none: all
    exclude = ["_*", "*:Cart.debug"]
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import NamedTuple

from testd.tracing.decorator import settings_of
from testd.tracing.subjects import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

__all__ = ["Entry", "Selection", "SelectionError"]

_WHERE = "tool.testd.trace"
_KEYS = ("modules", "include", "exclude")
#: What is a module of JavaScript, for targets that are a Node.js.
_JAVASCRIPT = re.compile(r"^\.{1,2}/(?!.*\.py$)|\.[cm]?[jt]s$")
_ENTRY = ("name", "description", "config")


class SelectionError(ValueError):
    """A selection that cannot be read: the key, what it has, and what would be right."""


class Entry(NamedTuple):
    """One function or class of a module that was chosen by name."""

    name: str
    settings: Settings


class Selection:
    """What is to be traced, as it is configured."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        """Read a table. Raises SelectionError."""
        unknown = sorted(set(table) - set(_KEYS))
        if unknown:
            raise SelectionError(f"{_WHERE} has no key {unknown[0]!r}; it has {', '.join(_KEYS)}")
        self._modules = _modules(table.get("modules", {}))
        self._include = _patterns("include", table.get("include", []))
        self._exclude = _patterns("exclude", table.get("exclude", []))

    @property
    def named(self) -> list[str]:
        """The modules of Python that are named, not matched by a pattern."""
        return [
            name for name, chosen in self._modules.items()
            if chosen is not False and not _is_pattern(name) and not _JAVASCRIPT.search(name)
        ]  # fmt: skip

    def chosen(self, module: str) -> bool | list[Entry]:
        """Return what is chosen of a module: all of it, nothing, or entries. Its own name goes before patterns."""
        if module in self._modules:
            return self._modules[module]
        matching = [chosen for name, chosen in self._modules.items() if _is_pattern(name) and fnmatchcase(module, name)]
        return matching[-1] if matching else False

    def includes(self, module: str, name: str) -> bool:
        """Tell whether a function's name is among those to be traced."""
        if self._include and not any(_matches(pattern, module, name) for pattern in self._include):
            return False
        return not any(_matches(pattern, module, name) for pattern in self._exclude)


def _modules(written: Any) -> dict[str, bool | list[Entry]]:
    if isinstance(written, list):
        written = dict.fromkeys(written, True) if all(isinstance(name, str) for name in written) else None
    if not isinstance(written, dict):
        raise SelectionError(f"{_WHERE}.modules is a list of names, or a table of true or a list for each")
    return {name: _entries(f'{_WHERE}.modules."{name}"', chosen) for name, chosen in written.items()}


def _entries(where: str, chosen: Any) -> bool | list[Entry]:
    if isinstance(chosen, bool):
        return chosen
    if not isinstance(chosen, list):
        raise SelectionError(f"{where} is true for all that the module defines, or a list of functions and classes")
    return [_entry(f"{where}[{index}]", entry) for index, entry in enumerate(chosen)]


def _entry(where: str, entry: Any) -> Entry:
    if isinstance(entry, str):
        return Entry(entry, Settings())
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise SelectionError(f"{where} is the name of a function or class, or a table of name, description and config")
    unknown = sorted(set(entry) - set(_ENTRY))
    if unknown:
        raise SelectionError(f"{where} has no key {unknown[0]!r}; it has {', '.join(_ENTRY)}")
    try:
        settings = settings_of(entry.get("config") or {})
    except TypeError as error:
        raise SelectionError(f"{where}.config: {error}") from error
    return Entry(entry["name"], settings._replace(description=entry.get("description")))


def _patterns(key: str, written: Any) -> list[str]:
    if not isinstance(written, list) or not all(isinstance(pattern, str) for pattern in written):
        raise SelectionError(f"{_WHERE}.{key} is a list of patterns")
    return written


def _is_pattern(name: str) -> bool:
    return any(mark in name for mark in "*?[")


def _matches(pattern: str, module: str, name: str) -> bool:
    return fnmatchcase(f"{module}:{name}" if ":" in pattern else name, pattern)
