"""Suites and run files on targets of every kind that is a Python, and what a Node.js says of them."""

from __future__ import annotations

import json

import pytest
from mixed import Mixed

#: Making images takes longer than any test, where that is not done yet.
pytestmark = pytest.mark.timeout(900)

EXP = "from testd import traced\n@traced\ndef child(x): return 2 * x\ndef parent(xs): return [child(x) for x in xs]\n"
META = {"module_name": "exp", "function_name": "parent", "file_name": "exp.py"}


def test_cases_and_items_run_wherever_a_python_is(project: Mixed) -> None:
    project.write("exp.py", EXP)
    case = {
        "id": "1", "name": "doubles", "function_to_execute": {"function_meta": META}, "input_to_pass": [[1, 2], {}],
        "assertions": [{"operator": "equals", "object": [2, 4]}], "children": [{"function": "exp:child"}],
    }  # fmt: skip
    project.write("exp.suite.json", json.dumps({"id": "s", "name": "s", "test_cases": [case]}))
    item = {"execution_id": "a", "function_meta": META, "input_to_pass": [[3], {}]}
    items = project.write("items.json", json.dumps({"functions_to_run": [item]}))
    pythons = [name for name in project.targets if not name.startswith("node")]
    results = project.project / "results"

    told = project.told(project.start(
        "suite", "run", "--target", "all", "--format", "json", "--results", f"{results}/",
    ))  # fmt: skip
    assert told.verdicts() == {name: {"exp.suite.json::doubles": "passed"} for name in pythons}, told.err
    said = {event["target"]: event["message"] for event in told.of("unavailable")}
    assert set(said) == set(project.targets) - set(pythons)
    assert all("suites and run files name functions of Python modules" in message for message in said.values())
    assert sorted(path.relative_to(results).as_posix() for path in results.rglob("*.json")) == sorted(
        f"{name}/exp.result.json" for name in pythons
    )

    targets = [word for name in pythons for word in ("--target", name)]
    told = project.told(project.start("run-file", "items.json", "--format", "json", *targets))
    assert told.verdicts() == {name: {"items.json::a": "passed"} for name in pythons}, told.err
    (written,) = json.loads(items.read_text())["functions_to_run"]
    assert {name: found["executed_function"]["output"] for name, found in written["targets"].items()} == {
        name: [6] for name in pythons
    }
    assert written["executed_function"] == written["targets"][pythons[0]]["executed_function"]
