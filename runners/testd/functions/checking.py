"""A document against its schema: each mistake with its place and what would be right. Pure."""

from __future__ import annotations

import re

from testd.functions import schemas

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Tuple

    Problems = Iterator[Tuple[str, str]]
    Schema = Dict[str, Any]

__all__ = ["Checker", "problems"]

#: Mistakes that are told of one part.
_MOST = 10
_WORDS = {
    "object": "a map", "array": "a list", "string": "text", "boolean": "true or false", "number": "a number",
    "integer": "a whole number", "null": "null",
}  # fmt: skip
_own: List[Checker] = []


def problems(value: Any, name: str, path: str = "") -> List[str]:
    """Return what is wrong with a value that is to be a `name` (`TestCase`), one line a mistake.

    Each line says where, below `path`: `assertions[0].operator: "equal" is none of equals, contains …`.
    """
    if not _own:
        _own.append(Checker(schemas.load()))
    found: List[str] = []
    for place, problem in _own[0].check(value, name, path):
        if len(found) == _MOST:
            found.append("... and more")
            break
        found.append(f"{place}: {problem}")
    return found


class Checker:
    """Checks values against the parts of one document's schema."""

    def __init__(self, parts: Dict[str, Schema]) -> None:
        """Take the schema of each part, by the name under which others refer to it."""
        self._parts = parts

    def check(self, value: Any, name: str, path: str = "") -> Problems:
        """Give each mistake in a value that is to be the part `name`: its place, and what is wrong there."""
        return self._check(value, self._parts[name], path)

    def _check(self, value: Any, schema: Schema, path: str) -> Problems:
        schema = self._resolved(schema)
        if "anyOf" in schema:
            yield from self._check_any(value, schema["anyOf"], path)
        elif "enum" in schema:
            if value not in schema["enum"] or type(value) is not str:
                yield path, f"{_shown(value)} is none of {', '.join(schema['enum'])}{_near(value, schema['enum'])}"
        elif "type" in schema and not _is(value, schema["type"]):
            yield path, f"{_shown(value)} is not {_WORDS[schema['type']]}"
        elif isinstance(value, dict):
            yield from self._check_map(value, schema, path)
        elif isinstance(value, list):
            for index, item in enumerate(value if "items" in schema else ()):
                yield from self._check(item, schema["items"], f"{path}[{index}]")
        else:
            yield from _check_scalar(value, schema, path)

    def _check_map(self, value: Dict[str, Any], schema: Schema, path: str) -> Problems:
        known = schema.get("properties", {})
        others = schema.get("additionalProperties", True)
        if len(value) < schema.get("minProperties", 0):
            yield path, "is empty"
        for name in schema.get("required", ()):
            if name not in value:
                yield _below(path, name), "missing"
        for name, inner in value.items():
            if "propertyNames" in schema:
                yield from _check_scalar(name, schema["propertyNames"], _below(path, name))
            if name in known:
                yield from self._check(inner, known[name], _below(path, name))
            elif isinstance(others, dict):
                yield from self._check(inner, others, _below(path, name))
            elif not others:
                near = _near(name, known) or "; there are " + ", ".join(known)
                yield _below(path, name), f"there is no such key{near}"

    def _check_any(self, value: Any, choices: List[Schema], path: str) -> Problems:
        """Check against alternatives; where the value can only be meant as one of them, its mistakes are told."""
        left = [choice for choice in map(self._resolved, choices) if choice.get("type") != "null"]
        if value is None and len(left) < len(choices):
            return
        alike = [choice for choice in left if "type" in choice and _is(value, choice["type"])]
        if len(left) == 1 or len(alike) == 1:
            yield from self._check(value, (alike or left)[0], path)
        elif all(any(True for _ in self._check(value, choice, path)) for choice in left):
            words = " or ".join(_WORDS[choice["type"]] for choice in left)
            yield path, f"{_shown(value)} is not {words}"

    def _resolved(self, schema: Schema) -> Schema:
        return self._parts[schema["$ref"]] if "$ref" in schema else schema


def _check_scalar(value: Any, schema: Schema, path: str) -> Problems:
    if "pattern" in schema and not re.fullmatch(schema["pattern"], value):
        yield path, f"{_shown(value)} is not {schema.get('description') or schema['pattern']}"
    elif "minLength" in schema and len(value) < schema["minLength"]:
        yield path, "is empty"
    elif "minimum" in schema and value < schema["minimum"]:
        yield path, f"{_shown(value)} is less than {schema['minimum']}"


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
