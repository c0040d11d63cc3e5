"""A document against its schema: each mistake with its place and what would be right. Pure."""

from __future__ import annotations

from testd.functions import schemas

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List

__all__ = ["problems"]

#: Mistakes that are told of one part.
_MOST = 10
_WORDS = {
    "object": "a map", "array": "a list", "string": "text", "boolean": "true or false", "number": "a number",
    "integer": "a whole number", "null": "null",
}  # fmt: skip
_loaded: Dict[str, Any] = {}


def problems(value: Any, name: str, path: str = "") -> List[str]:
    """Return what is wrong with a value that is to be a `name` (`TestCase`), one line a mistake.

    Each line says where, below `path`: `assertions[0].operator: "equal" is none of equals, contains …`.
    """
    if not _loaded:
        _loaded.update(schemas.load())
    found: List[str] = []
    for problem in _check(value, _loaded[name], path):
        if len(found) == _MOST:
            found.append("... and more")
            break
        found.append(problem)
    return found


def _check(value: Any, schema: Dict[str, Any], path: str) -> Iterator[str]:
    if "$ref" in schema:
        schema = _loaded[schema["$ref"]]
    if "anyOf" in schema:
        yield from _check_any(value, schema["anyOf"], path)
    elif "enum" in schema:
        if value not in schema["enum"] or type(value) is not str:
            yield f"{path}: {_shown(value)} is none of {', '.join(schema['enum'])}{_near(value, schema['enum'])}"
    elif "type" in schema and not _is(value, schema["type"]):
        yield f"{path}: {_shown(value)} is not {_WORDS[schema['type']]}"
    elif isinstance(value, dict):
        yield from _check_map(value, schema, path)
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _check(item, schema["items"], f"{path}[{index}]")


def _check_map(value: Dict[str, Any], schema: Dict[str, Any], path: str) -> Iterator[str]:
    known = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{_below(path, name)}: missing"
    for name, inner in value.items():
        if name in known:
            yield from _check(inner, known[name], _below(path, name))
        elif isinstance(others, dict):
            yield from _check(inner, others, _below(path, name))
        elif not others:
            yield f"{_below(path, name)}: there is no such key{_near(name, known) or '; there are ' + ', '.join(known)}"


def _check_any(value: Any, choices: List[Dict[str, Any]], path: str) -> Iterator[str]:
    """Check against alternatives; where the value can only be meant as one of them, what is wrong is told by it."""
    left = [choice for choice in choices if choice.get("type") != "null"]
    if value is None and len(left) < len(choices):
        return
    if len(left) == 1:
        yield from _check(value, left[0], path)
    elif all(any(True for _ in _check(value, choice, path)) for choice in left):
        words = " or ".join(_WORDS[choice["type"]] for choice in left)
        yield f"{path}: {_shown(value)} is not {words}"


def _is(value: Any, kind: str) -> bool:
    """Whether a JSON value is of a JSON type."""
    if kind in ("number", "integer"):
        return isinstance(value, int if kind == "integer" else (int, float)) and not isinstance(value, bool)
    if kind == "null":
        return value is None
    return isinstance(value, {"object": dict, "array": list, "string": str, "boolean": bool}[kind])


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _shown(value: Any) -> str:
    import json

    text = json.dumps(value)
    return text if len(text) <= 60 else text[:56] + " ..."


def _near(word: Any, names: Any) -> str:
    import difflib

    found = difflib.get_close_matches(word, list(names), n=1, cutoff=0.6) if isinstance(word, str) else []
    return f" (did you mean {found[0]}?)" if found else ""
