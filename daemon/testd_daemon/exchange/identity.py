"""Suites of Identity (`identity_config.json`, `tests/index.json`), as suites of cases. Reads files; in the client.

Its matching is a recursive subset: what it called `equals` is `subset` here. Expected children stood by their position,
and are met in their order here. A node that is mocked becomes a mock of the case, by the number of the call.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testd_daemon.errors import UsageError

__all__ = ["Imported", "imported"]

_Map = dict[str, Any]
_CONFIGURATION = "identity_config.json"
_INDEX = "index.json"


class Imported:
    """A suite that was read.

    Attributes:
        name: of its file, without what all such names end with.
        suite: the `TestSuite`.
        problems: what could not be taken over, one line each; these cases are not in the suite.
    """

    def __init__(self, name: str, suite: _Map, problems: list[str]) -> None:
        """Keep them."""
        self.name = name
        self.suite = suite
        self.problems = problems


class _Lacking(ValueError):
    """A case lacks something: where, and what."""


def imported(folder: Path) -> Iterator[Imported]:
    """Yield the suites of a project, or of the folder that holds its suites.

    Raises:
        UsageError: there are none, or a file cannot be read.

    """
    place = _tests(folder)
    names: dict[str, int] = {}
    for identity in _identities(place):
        found = _suite(identity, _json(place / f"{identity}.json"))
        names[found.name] = names.get(found.name, 0) + 1
        found.name += f"-{names[found.name]}" if names[found.name] > 1 else ""
        yield found


def _tests(folder: Path) -> Path:
    """Return the folder of suites that a folder is, or has."""
    configuration = folder / _CONFIGURATION
    name = _json(configuration).get("tests_directory") if configuration.is_file() else None
    for place in (folder / (name or "tests"), folder):
        if (place / _INDEX).is_file():
            return place
    raise UsageError(
        f"{folder}: no suites of Identity: there is no {_INDEX}",
        hint=f"Name the project's folder, which has {_CONFIGURATION}, or the one in which {_INDEX} is.",
    )


def _identities(place: Path) -> Iterator[str]:
    """Yield the ids of the suites, each once; an id that leads out of the folder is none."""
    rows = _json(place / _INDEX)
    if not isinstance(rows, list):
        raise UsageError(f"{place / _INDEX}: a list is expected", hint="Each row begins with the id of a suite.")
    for identity in dict.fromkeys(row[0] for row in rows if isinstance(row, list) and row):
        if not isinstance(identity, str) or Path(identity).name != identity:
            raise UsageError(f"{place / _INDEX}: {identity!r} is no id of a suite", hint="It is the name of a file.")
        yield identity


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}", hint="Is the folder complete?") from error
    except ValueError as error:
        raise UsageError(f"{path}: no valid JSON: {error}", hint="Mend it, or take it out of the index.") from error


def _suite(identity: str, written: _Map) -> Imported:
    name = str(written.get("name") or identity)
    cases, problems = [], []
    for number, test in enumerate(written.get("tests") or (), 1):
        try:
            cases.append(_case(test, number))
        except _Lacking as error:  # noqa: PERF203  it costs this case alone
            problems.append(f"{name}: case {number}: {error}")
    suite: _Map = {"id": identity, "name": name}
    if written.get("description"):
        suite["description"] = written["description"]
    slug = "".join(mark if mark.isalnum() or mark in "._-" else "-" for mark in name).strip("-.")
    return Imported(slug or identity, {**suite, "test_cases": cases}, problems)


def _case(test: _Map, number: int) -> _Map:
    root = _need(test, "config", "")
    meta = _need(root, "functionMeta", "config")
    mocks: dict[str, dict[str, _Map]] = {}
    node = _node(root, mocks, "config", root=True)
    case: _Map = {
        "id": str(test.get("id") or number),
        "name": str(_need(test, "name", "")),
        "function_to_execute": {"function_meta": {
            "module_name": _need(meta, "moduleName", "config.functionMeta"),
            "function_name": _need(meta, "name", "config.functionMeta"),
            "file_name": meta.get("fileName") or "",
        }},
        "input_to_pass": _need(test, "inputToPass", ""),
        "assertions": node["assertions"],
    }  # fmt: skip
    if node.get("children"):
        case["children"] = node["children"]
    return {**case, "mocks": mocks} if mocks else case


def _node(node: _Map, mocks: dict[str, dict[str, _Map]], where: str, *, root: bool = False) -> _Map:
    """Return the expectation that a node is; what is mocked is added to `mocks`."""
    meta = _need(node, "functionMeta", where)
    key = f"{_need(meta, 'moduleName', where)}:{_need(meta, 'name', where)}"
    made: _Map = {} if root else {"function": key}
    if node.get("isMocked"):
        count = str(_need(node, "functionCallCount", where))
        error = node.get("mockedErrorMessage")
        answer = {"error_to_throw": error} if error else {"output": node.get("mockedOutput")}
        mocks.setdefault(key, {})[count] = answer
        return {**made, "assertions": []} if root else made
    assertions = [
        _assertion(found, f"{where}.assertions[{index}]")
        for index, found in enumerate(_need(node, "assertions", where))
    ]
    if assertions or root:
        made["assertions"] = assertions
    children = [
        _node(child, mocks, f"{where}.children[{index}]") for index, child in enumerate(_need(node, "children", where))
    ]
    return {**made, "children": children} if children else made


def _assertion(written: _Map, where: str) -> _Map:
    named = {"name": written["name"]} if written.get("name") else {}
    validator, compared, error = (written.get(key) for key in ("customValidator", "ioConfig", "expectedErrorMessage"))
    if validator and validator.get("code"):
        return {**named, "code": validator["code"], "language": "javascript"}
    if error:
        operator = _operator(error, where, {"equals": "equals", "contains": "contains"})
        return {**named, "assertion_target": "error", "operator": operator, "object": _need(error, "message", where)}
    if compared:
        return {
            **named, "assertion_target": _need(compared, "target", where),
            "operator": _operator(compared, where, {"equals": "subset", "contains": "contains"}),
            "object": compared.get("object"),
        }  # fmt: skip
    if written.get("shouldThrowError"):
        return {**named, "assertion_target": "error", "operator": "contains", "object": ""}
    raise _Lacking(f"{where}: neither ioConfig nor expectedErrorMessage nor customValidator")


def _operator(compared: _Map, where: str, known: dict[str, str]) -> str:
    operator = compared.get("operator")
    if operator not in known:
        raise _Lacking(f"{where}: the operator {operator!r} is not known; there are {', '.join(known)}")
    return known[operator]


def _need(written: Any, key: str, where: str) -> Any:
    """Return what stands under a key. Raises _Lacking."""
    if not isinstance(written, dict) or key not in written:
        raise _Lacking(f"{where}.{key}: missing" if where else f"{key}: missing")
    return written[key]
