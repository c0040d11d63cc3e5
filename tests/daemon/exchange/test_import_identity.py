"""Suites of Identity as suites of cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from testd.functions import documents
from testd_daemon.errors import UsageError
from testd_daemon.exchange.identity import imported


def trace(name: str, module: str = "exp") -> dict[str, Any]:
    return {"id": "t", "name": name, "moduleName": module, "fileName": f"/home/u/{module}.py", "input": [1, {}]}


def node(name: str, *assertions: Any, children: Any = (), **more: Any) -> dict[str, Any]:
    return {"_type": "FunctionTestConfig", "_version": 1, "functionMeta": trace(name), "functionCallCount": 1,
            "assertions": list(assertions), "children": list(children), **more}  # fmt: skip


def compared(target: str, operator: str, value: Any, name: str = "") -> dict[str, Any]:
    return {"name": name, "ioConfig": {"target": target, "operator": operator, "object": value}}


def case(name: str, config: Any, **more: Any) -> dict[str, Any]:
    return {"id": "1700000000000", "name": name, "inputToPass": [[1, 2], {}], "mocks": None, "config": config, **more}


class Place:
    """A project of Identity."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "tests").mkdir()
        (root / "identity_config.json").write_text(json.dumps({"modules": {}, "tests_directory": "tests"}))
        self.rows: list[Any] = []

    def suite(self, identity: str, name: str, *cases: Any, **more: Any) -> None:
        self.rows.append([identity, name, "exp", "/home/u/exp.py"])
        written = {"id": identity, "name": name, "functionMeta": trace("parent"), "tests": cases, **more}
        (self.root / "tests" / f"{identity}.json").write_text(json.dumps(written))
        (self.root / "tests" / "index.json").write_text(json.dumps(self.rows))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_case_is_taken_over_with_all_that_it_expects(place: Place) -> None:
    child = node("child", compared("input", "equals", [1, {}], "Assert Input"), compared("output", "equals", 2))
    mocked = node("child", isMocked=True, mockedOutput="MOCK", functionCallCount=2)
    failing = {"functionMeta": trace("boom"), "isMocked": True, "mockedErrorMessage": "no", "functionCallCount": "1"}
    root = node("parent", compared("output", "contains", [2], "Assert Output"), children=[child, mocked, failing],
                isRootFunction=True)  # fmt: skip
    place.suite("s-1", "parent of all", case("Test Case 1", root), description="about parents")
    (found,) = imported(place.root)
    assert (found.name, found.problems) == ("parent-of-all", [])
    assert found.suite == {
        "id": "s-1", "name": "parent of all", "description": "about parents", "test_cases": [{
            "id": "1700000000000", "name": "Test Case 1",
            "function_to_execute": {"function_meta": {
                "module_name": "exp", "function_name": "parent", "file_name": "/home/u/exp.py",
            }},
            "input_to_pass": [[1, 2], {}],
            "assertions": [
                {"name": "Assert Output", "assertion_target": "output", "operator": "contains", "object": [2]},
            ],
            "children": [
                {"function": "exp:child", "assertions": [
                    {"name": "Assert Input", "assertion_target": "input", "operator": "subset", "object": [1, {}]},
                    {"assertion_target": "output", "operator": "subset", "object": 2},
                ]},
                {"function": "exp:child"},
                {"function": "exp:boom"},
            ],
            "mocks": {"exp:child": {"2": {"output": "MOCK"}}, "exp:boom": {"1": {"error_to_throw": "no"}}},
        }],
    }  # fmt: skip
    (part,) = documents.read_text(json.dumps(found.suite)).parts
    assert part.problems == []


def test_errors_and_validators(place: Place) -> None:
    root = node(
        "boom",
        {"name": "Assert Error Message", "expectedErrorMessage": {"operator": "equals", "message": "bad"}},
        {"name": "throws", "shouldThrowError": True},
        {"name": "own", "customValidator": {"code": "x => true"}},
    )
    place.suite("s", "s", case("c", root))
    (found,) = imported(place.root / "tests")
    assert found.suite["test_cases"][0]["assertions"] == [
        {"name": "Assert Error Message", "assertion_target": "error", "operator": "equals", "object": "bad"},
        {"name": "throws", "assertion_target": "error", "operator": "contains", "object": ""},
        {"name": "own", "code": "x => true", "language": "javascript"},
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (case("c", node("f", compared("output", "like", 1))), "config.assertions[0]: the operator 'like' is not known"),
        (case("c", node("f", {"name": "empty"})), "config.assertions[0]: neither ioConfig nor"),
        (case("c", node("f", children=[{"isMocked": True, "functionMeta": trace("g")}])),
         "config.children[0].functionCallCount: missing"),
        ({"id": "1", "config": node("f"), "inputToPass": []}, "name: missing"),
        ({"id": "1", "name": "c"}, "config: missing"),
        (case("c", {"functionMeta": {"name": "f"}}), "config.moduleName: missing"),
        (case("c", {"functionMeta": trace("f")}), "config.assertions: missing"),
    ],
)  # fmt: skip
def test_a_case_that_lacks_something_costs_itself_alone(place: Place, written: Any, said: str) -> None:
    """Fact 18."""
    place.suite("s", "s", written, case("right", node("f")))
    (found,) = imported(place.root)
    assert [each["name"] for each in found.suite["test_cases"]] == ["right"]
    (problem,) = found.problems
    assert problem.startswith(f"s: case 1: {said}")


def test_suites_of_one_name_have_files_of_their_own(place: Place) -> None:
    place.suite("a", "same/../name")
    place.suite("b", "same/../name")
    place.suite("c", "///")
    assert [found.name for found in imported(place.root)] == ["same-..-name", "same-..-name-2", "c"]


def test_what_is_no_project_says_what_would_be(place: Place, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no suites of Identity: there is no index\.json"):
        list(imported(tmp_path))
    index = place.root / "tests" / "index.json"
    index.write_text(json.dumps([["../../etc/passwd", "x"]]))
    with pytest.raises(UsageError, match="is no id of a suite"):
        list(imported(tmp_path))
    index.write_text("{}")
    with pytest.raises(UsageError, match="a list is expected"):
        list(imported(tmp_path))
    index.write_text(json.dumps([["gone", "x"]]))
    with pytest.raises(UsageError, match=r"gone\.json: cannot be read: No such file"):
        list(imported(tmp_path))
    (place.root / "tests" / "gone.json").write_text("{")
    with pytest.raises(UsageError, match=r"gone\.json: no valid JSON"):
        list(imported(tmp_path))
