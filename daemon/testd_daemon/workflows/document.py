"""A workflow's file: read, checked as a whole, and taken apart. Reads one file."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from testd.functions.checking import Checker
from testd_daemon.workflows.errors import Violation, WorkflowError
from testd_daemon.workflows.graph import Graph
from testd_daemon.workflows.lines import line_of, lines
from testd_daemon.workflows.validation import violations
from testd_protocol.workflows import WorkflowFile

__all__ = ["Workflow", "decode", "load"]

#: Bytes of a file above which it is not read.
MOST_BYTES = 16 * 1024 * 1024
#: Stands in for what is missing, so that the rest can be checked.
_BLANK: dict[str, Any] = {
    "WorkflowName": "x",
    "FunctionInvoke": "x",
    "ActionList": {"x": {"FaaSServer": "x", "FunctionName": "x"}},
    "ComputeServers": {"x": {}},
    "DataStores": {"x": {"Bucket": "x"}},
    "DefaultDataStore": "x",
}


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow whose file is right.

    Attributes:
        path: of the file, as it was given.
        data: the document as it was written.
        file: the document, typed.
        graph: of its actions.
    """

    path: str
    data: dict[str, Any]
    file: WorkflowFile
    graph: Graph

    @property
    def name(self) -> str:
        """The workflow's name."""
        return self.file.workflow_name


def load(path: str | Path, name: str = "") -> Workflow:
    """Return the workflow in a file. Raises WorkflowError with all that is wrong with it.

    `name`: of the file in errors; empty: its path as it was given.
    """
    name = name or str(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise WorkflowError(name, [Violation("", f"cannot be read: {error.strerror or error}")]) from error
    return decode(data, name)


def decode(data: bytes, name: str) -> Workflow:
    """Return the workflow that bytes hold; `name` is the file's in errors. Raises WorkflowError."""
    text, value = _read(data, name)
    wrong = [Violation(place, text) for place, text in _checker().check(value, WorkflowFile.__name__)]
    unsound = {each.place.partition(".")[0].partition("[")[0] for each in wrong}
    file = msgspec.convert({**_BLANK, **{key: value[key] for key in value if key not in unsound}}, WorkflowFile)
    wrong += violations(file, value, lambda key: key not in unsound)
    if wrong:
        places = lines(text)
        raise WorkflowError(name, [each._replace(line=line_of(places, each.place)) for each in wrong])
    return Workflow(path=name, data=value, file=file, graph=Graph.of(file.function_invoke, file.action_list))


def _read(data: bytes, name: str) -> tuple[str, dict[str, Any]]:
    """Return the text and its value. Raises WorkflowError."""
    try:
        if len(data) > MOST_BYTES:
            raise ValueError(f"is larger than {MOST_BYTES // 1024**2} MiB")
        text = data.decode("utf-8-sig")
        value = json.loads(
            text, object_pairs_hook=_object, parse_int=_integer, parse_float=_float, parse_constant=_float
        )
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise WorkflowError(name, [_unreadable(error)]) from error
    if not isinstance(value, dict):
        raise WorkflowError(name, [Violation("", "is not a map; a workflow begins with {", 1)])
    return text, value


def _unreadable(error: Exception) -> Violation:
    """Say why a text has no value."""
    match error:
        case json.JSONDecodeError():
            return Violation("", f"no valid JSON: {error.msg}", error.lineno)
        case UnicodeDecodeError():
            return Violation("", f"is not UTF-8: {error.reason} at byte {error.start}")
        case UnicodeEncodeError():
            return Violation("", "has half a character, \\ud800 to \\udfff without its other half")
        case RecursionError():
            return Violation("", "is nested too deeply to be read")
        case _:
            return Violation("", str(error))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a map. The second of two equal keys would silently take the place of the first: raises ValueError."""
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(key for number, (key, _) in enumerate(pairs) if key in dict(pairs[:number]))
        raise ValueError(f'the key "{twice}" stands twice in one map; each of them once')
    return found


def _integer(text: str) -> int:
    """Read a number as others can: raises ValueError for one of more than 64 bits."""
    if len(text) > 20 or abs(int(text)) >= 2**63:
        raise ValueError(f"the number {text[:24]}{' ...' if len(text) > 24 else ''} is too large")
    return int(text)


def _float(text: str) -> float:
    """Read a number; raises ValueError for those that JSON does not have."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number of JSON")
    return value


@cache
def _checker() -> Checker:
    _, parts = msgspec.json.schema_components([WorkflowFile], ref_template="{name}")
    return Checker(parts)
