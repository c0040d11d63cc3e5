"""Suites and run files on targets of every kind: each runs the cases whose functions are of its language."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mixed import Mixed

#: Making images takes longer than any test, where that is not done yet.
pytestmark = pytest.mark.timeout(900)

EXP = "from testd import traced\n@traced\ndef child(x): return 2 * x\ndef parent(xs): return [child(x) for x in xs]\n"
META = {"module_name": "exp", "function_name": "parent", "file_name": "exp.py"}


def suite(meta: dict[str, str], **more: Any) -> str:
    """Return a suite of one case, which doubles two numbers."""
    case = {
        "id": "1", "name": "doubles", "function_to_execute": {"function_meta": meta}, "input_to_pass": [[1, 2], {}],
        "assertions": [{"operator": "equals", "object": [2, 4]}], **more,
    }  # fmt: skip
    return json.dumps({"id": "s", "name": "s", "test_cases": [case]})


def test_cases_and_items_run_on_every_kind(project: Mixed) -> None:
    project.write("exp.py", EXP)
    project.write("exp.mjs", "export const parent = (xs) => xs.map((x) => 2 * x);\n")
    project.write("exp.suite.json", suite(META, children=[{"function": "exp:child"}]))
    project.write("js.suite.json", suite({"module_name": "./exp.mjs", "function_name": "parent"}))
    item = {"execution_id": "a", "function_meta": META, "input_to_pass": [[3], {}]}
    items = project.write("items.json", json.dumps({"functions_to_run": [item]}))
    pythons = [name for name in project.targets if not name.startswith("node")]
    results = project.project / "results"

    told = project.told(project.start(
        "suite", "run", "--target", "all", "--format", "json", "--results", f"{results}/",
    ))  # fmt: skip
    files = {name: "exp" if name in pythons else "js" for name in project.targets}
    passed = {name: {f"{file}.suite.json::doubles": "passed"} for name, file in files.items()}
    assert told.verdicts() == passed, told.err
    assert sorted(path.relative_to(results).as_posix() for path in results.rglob("*.json")) == sorted(
        f"{name}/{file}.result.json" for name, file in files.items()
    )

    targets = [word for name in pythons for word in ("--target", name)]
    told = project.told(project.start("run-file", "items.json", "--format", "json", *targets))
    assert told.verdicts() == {name: {"items.json::a": "passed"} for name in pythons}, told.err
    (written,) = json.loads(items.read_text())["functions_to_run"]
    assert {name: found["executed_function"]["output"] for name, found in written["targets"].items()} == {
        name: [6] for name in pythons
    }
    assert written["executed_function"] == written["targets"][pythons[0]]["executed_function"]
