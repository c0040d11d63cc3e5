"""What a file of functions holds: a suite's cases or a run file's items, each with its name and its line. Pure.

One wrong case costs that case; only what is wrong with the whole costs the file.
"""

from __future__ import annotations

import json
import re
from json.decoder import scanstring  # type: ignore[attr-defined]  # a part of what json is made of

from testd.functions import checking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, List, Tuple

__all__ = ["SUFFIX", "Document", "DocumentError", "Part", "language", "read", "read_text"]

#: How the name of a suite's file ends.
SUFFIX = ".suite.json"
#: Bytes of a file above which it is not read: nobody writes one of this size by hand, or waits for it.
MOST_BYTES = 64 * 1024 * 1024

#: What each kind of document keeps its parts in, and what these are.
_PARTS = {"suite": ("test_cases", "TestCase"), "run file": ("functions_to_run", "FunctionToRun")}


#: A module's name that is a file of JavaScript, or of what becomes JavaScript.
_JAVASCRIPT = re.compile(r"^\.{1,2}/(?!.*\.py$)|\.[cm]?[jt]s$")


class DocumentError(Exception):
    """A file is no document of functions: where, what, and what would be right, in one line."""


class Part:
    """A case or an item.

    Attributes:
        name: names it in a test's id, and nothing else in its document.
        value: as it was written.
        line: where it begins, from 1.
        problems: what is wrong with it, one line a mistake.
    """

    __slots__ = ("line", "name", "problems", "value")

    def __init__(self, name: str, value: Any, line: int, problems: List[str]) -> None:
        """Keep the values."""
        self.name = name
        self.value = value
        self.line = line
        self.problems = problems


class Document:
    """A suite or a run file: `kind` says which, `head` is all of it but its parts."""

    __slots__ = ("head", "kind", "parts")

    def __init__(self, kind: str, head: Dict[str, Any], parts: List[Part]) -> None:
        """Keep the values."""
        self.kind = kind
        self.head = head
        self.parts = parts


def language(part: Any) -> str:
    """Return what a case's or an item's function is written in: `python` or `javascript`.

    It says so itself, or its module looks like a file of JavaScript: `./cart.mjs`, `shop/cart.js`, `./cart`.
    """
    where = part.get("function_to_execute", part) if isinstance(part, dict) else None
    if not isinstance(where, dict):
        return "python"
    if isinstance(where.get("language"), str):
        return str(where["language"])
    meta = where.get("function_meta")
    module = meta.get("module_name") if isinstance(meta, dict) else None
    if module == "__main__" and isinstance(meta, dict):
        module = meta.get("file_name")
    return "javascript" if isinstance(module, str) and _JAVASCRIPT.search(module) else "python"


def read(path: str) -> Document:
    """Return what the file at `path` holds.

    Raises:
        DocumentError: it cannot be read, or is no document of functions.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise DocumentError(f"is larger than {MOST_BYTES // 1024**2} MiB")
        return read_text(data.decode("utf-8-sig"))
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DocumentError(f"is not UTF-8: {error.reason} at byte {error.start}") from None


def read_text(text: str) -> Document:
    """Return what a text holds.

    Raises:
        DocumentError: it is no document of functions.
    """
    try:
        value, places = _decoded(text)
    except json.JSONDecodeError as error:
        raise DocumentError(f"line {error.lineno}, column {error.colno}: no valid JSON: {error.msg}") from None
    except RecursionError:
        raise DocumentError("is nested too deeply to be read") from None
    kind = "suite" if "test_cases" in value else "run file"
    key, part = _PARTS[kind]
    if not isinstance(value.get(key), list):
        raise DocumentError(f"{key}: missing, or not a list" if key in value else (
            "holds neither test_cases (a suite) nor functions_to_run (a run file)"
        ))
    items = value.pop(key)
    wrong = checking.problems({**value, key: []}, "TestSuite" if kind == "suite" else "RunFile")
    if wrong:
        raise DocumentError("; ".join(wrong))
    names = _names(items, *(("name", "id") if kind == "suite" else ("execution_id",)))
    parts = [
        Part(name, item, place, checking.problems(item, part, f"{key}[{index}]"))
        for index, (name, item, place) in enumerate(zip(names, items, places[key]))
    ]
    return Document(kind, value, parts)


def _names(items: List[Any], *keys: str) -> List[str]:
    """Return a name for each, no two alike: by the first key under which no other item has the same, else a number."""
    words = [[_word(item, key) for item in items] for key in keys]
    names: Dict[str, None] = {}
    for number in range(len(items)):
        alone = [found[number] for found in words if found[number] and found.count(found[number]) == 1]
        name = next((word for word in alone if word not in names), f"#{number + 1}")
        while name in names:
            name += "+"
        names[name] = None
    return list(names)


def _word(item: Any, key: str) -> str:
    word = item.get(key) if isinstance(item, dict) else None
    return " ".join(word.split()) if isinstance(word, str) else ""


# ── JSON with places ─────────────────────────────────────────────────────────────────────────────────────────────────


def _decoded(text: str) -> Tuple[Dict[str, Any], Dict[str, List[int]]]:
    """Return an object, and for each of its lists the line on which each item begins. Raises what json does."""
    decoder, places = json.JSONDecoder(), {}
    value: Dict[str, Any] = {}
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise json.JSONDecodeError("expected a map: {", text, at)
    at = _skip(text, at + 1)
    while value or text[at : at + 1] != "}":
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError('expected a key: "', text, at)
        key, at = scanstring(text, at + 1, True)
        at = _expect(text, at, ":")
        if text[at : at + 1] == "[":
            value[key], places[key], at = _list(decoder, text, at)
        else:
            value[key], at = decoder.raw_decode(text, at)
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            break
        at = _expect(text, at, ",")
    if _skip(text, at + 1) < len(text):
        raise json.JSONDecodeError("there is more behind the end", text, _skip(text, at + 1))
    return value, places


def _list(decoder: json.JSONDecoder, text: str, at: int) -> Tuple[List[Any], List[int], int]:
    """Return a list, the line of each item, and where it ends."""
    items: List[Any] = []
    lines: List[int] = []
    line, counted = 1 + text.count("\n", 0, at), at
    at = _skip(text, at + 1)
    if text[at : at + 1] == "]":
        return items, lines, at + 1
    while True:
        line, counted = line + text.count("\n", counted, at), at
        item, at = decoder.raw_decode(text, at)
        items.append(item)
        lines.append(line)
        at = _skip(text, at)
        if text[at : at + 1] == "]":
            return items, lines, at + 1
        at = _expect(text, at, ",")


def _expect(text: str, at: int, mark: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != mark:
        raise json.JSONDecodeError(f"expected {mark}", text, at)
    return _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at
