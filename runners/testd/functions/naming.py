"""Which modules a case or an item names: what it depends on, beside what these import. Pure.

Only modules that are loaded by then count for anybody, so a name too many does no harm.
"""

from __future__ import annotations

import os
import re

from testd.runner.imports import import_statements

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Dict, Optional, Set

__all__ = ["modules"]

#: What code has that loads by names which only a run could tell.
_DYNAMIC = re.compile(r"\b(?:__import__|import_module|exec|eval|runpy|importlib)\b")
_CLASS_KEYS = ("class", "error_type")


def modules(part: Any, actions: Dict[str, str]) -> Optional[Set[str]]:
    """Return the names of modules that a case or an item names, None if only a run could tell them."""
    found: Set[str] = set()
    for value in _maps(part):
        if value.get("language") != "javascript" and isinstance(value.get("code"), str):
            named = _of_code(value["code"])
            if named is None and "operator" not in value:
                return None
            found.update(named or ())
        meta = value.get("function_meta")
        if isinstance(meta, dict):
            found.update(_of_meta(meta))
        if isinstance(value.get("mocks"), dict):
            found.update(str(name).rpartition(":")[0] for name in value["mocks"])
        found.update(str(value[key]).rpartition(":")[0] for key in _CLASS_KEYS if ":" in str(value.get(key, "")))
        found.add(actions.get(str(value.get("action")), "").rpartition(":")[0])
    return {name for name in found if name and name.partition(".")[0] != "testd"}


def _maps(value: Any) -> Iterator[Dict[str, Any]]:
    """Yield every map in a value."""
    waiting = [value]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            yield found
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found


def _of_meta(meta: Dict[str, Any]) -> Iterator[str]:
    name = meta.get("module_name")
    if name == "__main__":
        name = os.path.splitext(os.path.basename(str(meta.get("file_name") or "").replace("\\", "/")))[0]
    if isinstance(name, str):
        yield name


def _of_code(source: str) -> Optional[Set[str]]:
    """Return the modules that code imports, with those that names after `from` may be; None if that cannot be told."""
    if _DYNAMIC.search(source):
        return None
    try:
        code = compile(source, "<code>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError):
        return None
    found: Set[str] = set()
    for name, after, _ in import_statements(code):
        found.update([name, *(f"{name}.{each}" for each in after)])
    return found
