"""Cases that run on a Node.js: what a document says of them, and whether what they expect holds. Runs in the judge.

So they mean what they mean on Python, down to the last difference: there is one judgement, and one reader of documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from testd.functions import documents, judging, telling
from testd.functions.documents import DocumentError
from testd.functions.operators import AssertionMistake
from testd.functions.running import Ran
from testd_daemon.judge import javascript

__all__ = ["judged", "read"]

_Map = dict[str, Any]

#: What JavaScript calls types, and what they are recorded as.
_TYPES: Final = {
    "number": ("int", "float"), "string": ("str",), "boolean": ("bool",), "null": ("None",), "Array": ("list",),
    "Object": ("dict",), "object": ("dict",), "Date": ("datetime.datetime",), "Set": ("set",),
    "Buffer": ("bytes",), "Uint8Array": ("bytes",),
}  # fmt: skip
_PYTHON: Final = (
    "code in Python runs where the function does, and that is a Node.js: write it in JavaScript"
    ' (without "language", or "language": "javascript")'
)


def read(text: str) -> _Map:
    """Return what a document holds for a Node.js. Raises ValueError."""
    try:
        document = documents.read_text(text)
    except DocumentError as error:
        raise ValueError(str(error)) from None
    parts = [part for part in document.parts if documents.language(part.value) == "javascript"]
    return {
        "kind": document.kind,
        "head": document.head,
        "parts": [
            {"name": part.name, "line": part.line, "value": part.value, "problems": _problems(document.kind, part)}
            for part in parts
        ],
    }


def _problems(kind: str, part: documents.Part) -> list[str]:
    if part.problems or kind == "run file":
        return part.problems
    found = _assertions(part.value, "")
    python = [f"{place}: {_PYTHON}" for place, assertion in found if assertion.get("language") == "python"]
    return python or list(judging.mistakes(part.value))


def _assertions(call: _Map, path: str) -> Iterator[tuple[str, _Map]]:
    """Yield every assertion of a case with its place."""
    for index, assertion in enumerate(call.get("assertions", ())):
        yield f"{path}assertions[{index}]", assertion
    for index, child in enumerate(call.get("children", ())):
        yield from _assertions(child, f"{path}children[{index}].")


def judged(asked: _Map) -> _Map:
    """Return verdict, message, text and result of a case."""
    case, executed = asked["case"], asked["executed"]
    ran = Ran([executed] if executed is not None else [], asked["error"], None, [])
    found: _Map = {"assertions": [], "children": [], "failure_reasons": []}
    if executed is not None and not ran.error:
        try:
            found = judging.Judge(asked["raised"], javascript.holds).root(_translated(case), executed)
        except AssertionMistake as mistake:
            ran.error = str(mistake)
    result = json.dumps(telling.case_result(case, ran, found)) if asked.get("documents", True) else ""
    if ran.error:
        return {"verdict": "error", "message": ran.error.splitlines()[0], "text": ran.error, "document": result}
    if found["failure_reasons"]:
        message, text = telling.summary(found), telling.report(found)
        return {"verdict": "failed", "message": message, "text": text, "document": result}
    return {"verdict": "passed", "message": "", "text": "", "document": result}


def _translated(call: _Map) -> _Map:
    """Return what is expected of a call with JavaScript's names of types as those by which they are recorded."""
    made = dict(call)
    made["assertions"] = [
        {**found, "object": list(_types(found.get("object")))} if found.get("operator") == "type" else found
        for found in call.get("assertions", ())
    ]
    made["children"] = [_translated(child) for child in call.get("children", ())]
    return made


def _types(wanted: Any) -> Iterable[Any]:
    for name in wanted if isinstance(wanted, list) else [wanted]:
        yield from _TYPES.get(name, (name,)) if isinstance(name, str) else (name,)
