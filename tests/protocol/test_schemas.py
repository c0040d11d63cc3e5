"""The schemas that are checked in are those of the classes."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from testd.functions import checking
from testd_protocol import functions, schemas, workflows

ROOT = Path(__file__).resolve().parents[2]
AGAIN = "run: python -m testd_protocol.schemas docs/schema runners/testd/functions/schemas.py"


def test_the_files_are_those_of_the_classes():
    there = {path.stem: json.loads(path.read_text("utf-8")) for path in (ROOT / "docs" / "schema").glob("*.json")}
    assert there == {name: schemas.schema(document) for name, document in schemas.DOCUMENTS.items()}, AGAIN
    module = (ROOT / "runners" / "testd" / "functions" / "schemas.py").read_text("utf-8")
    assert module == schemas.module(), AGAIN


@pytest.mark.parametrize("name", functions.__all__)
def test_every_field_says_what_it_is(name):
    if name == "Mocks":
        return
    _, parts = msgspec.json.schema_components([getattr(functions, name)])
    assert name in parts
    described = schemas.schema(getattr(functions, name))
    assert all(shape["description"] for shape in described["properties"].values())
    assert described["description"]


@pytest.mark.parametrize("name", workflows.__all__)
def test_every_key_of_a_workflow_says_what_it_is(name):
    described = schemas.schema(getattr(workflows, name))
    assert all(shape["description"] for shape in described["properties"].values())
    assert described["description"]


MINIMAL = {"id": "1", "name": "n", "function_to_execute": {"code": ""}, "input_to_pass": [{}]}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("TestCase", MINIMAL),
        ("TestCase", {**MINIMAL, "assertions": [{"operator": "equals", "object": 1, "ignore": ["a"]}]}),
        ("TestCase", {**MINIMAL, "assertions": [{"operator": "equal"}]}),
        ("TestCase", {**MINIMAL, "assertions": {}}),
        ("TestCase", {**MINIMAL, "input_to_pass": None}),
        ("TestCase", {**MINIMAL, "input_to_pass": {"a": 1}}),
        ("TestCase", {**MINIMAL, "mocks": {"m:f": {"1": {"output": 1}}}}),
        ("TestCase", {**MINIMAL, "mocks": {"m:f": {"1": 5}}}),
        ("TestCase", {**MINIMAL, "children": [{"function": "f", "children": [{}]}]}),
        ("TestCase", {**MINIMAL, "more": 1}),
        ("TestCase", {"id": "1"}),
        ("FunctionToRun", {"execution_id": "x", "more": 1, "context": {"mocks": None, "test_run": {}}}),
        ("FunctionToRun", {"execution_id": "x", "function_meta": {"module_name": "m"}}),
        ("FunctionToRun", {"execution_id": 5}),
        ("RunFile", {"functions_to_run": [], "signal_endpoint": 5}),
        ("TestSuite", {"id": "s", "name": "n", "test_cases": [MINIMAL], "mocks": None}),
    ],
)
def test_a_target_takes_what_the_classes_take(kind, value):
    try:
        msgspec.convert(value, getattr(functions, kind))
    except msgspec.ValidationError:
        taken = False
    else:
        taken = True
    assert (not checking.problems(value, kind)) == taken
