"""Suites with assertions in JavaScript, with a real daemon: who judges them, and what a wild one costs."""

from __future__ import annotations

import json

import pytest

EXP = """
from testd import traced

@traced
def double(x): return 2 * x
"""


def case(name, *assertions):
    return {
        "id": name, "name": name, "input_to_pass": [2, {}], "assertions": list(assertions),
        "function_to_execute": {"function_meta": {"module_name": "exp", "function_name": "double"}},
    }  # fmt: skip


@pytest.fixture
def project(cli):
    (cli.project / "exp.py").write_text(EXP)
    return cli


def run(project, *cases, arguments=()):
    document = {"id": "s", "name": "s", "test_cases": cases}
    (project.project / "it.suite.json").write_text(json.dumps(document))
    ran = project.run("suite", "run", *arguments, "--results", "found.json")
    results = json.loads((project.project / "found.json").read_text())
    return ran, {found["name"]: found for result in results for found in result["test_case_results"]}


def test_many_cases_wait_for_their_answers_together_and_each_gets_its_own(project):
    """More than may wait at a time; what holds, what does not, and what is wrong stay with their cases."""
    kinds = {
        0: "(call) => call.output === 4",
        1: "(call) => { globalThis.left = (globalThis.left ?? 0) + 1; throw new Error(`left ${globalThis.left}`) }",
        2: "5",
        3: "async (call) => { await null; return call.output === 5 }",
    }
    names = [f"case {number}" for number in range(200)]
    codes = [{"code": kinds[number % 4]} for number in range(200)]
    ran, found = run(project, *(case(name, code, codes[0]) for name, code in zip(names, codes, strict=True)))
    assert ran.returncode == 1
    assert list(found) == names
    told = [found[name]["failure_message"] for name in names]
    assert told[0::4] == [""] * 50
    assert told[1::4] == ["left 1"] * 50
    assert {text.partition(":")[0] for text in told[2::4]} == {"code is no function"}
    assert told[3::4] == ["The assertion's code returned false."] * 50


def test_assertions_in_javascript_hold_or_not(project):
    ran, found = run(
        project,
        case("right", {"code": "(call) => call.output === 4"}),
        case("wrong", {"code": "(call) => { if (call.output !== 5) throw new Error(`it is ${call.output}`) }"}),
        case("mixed", {"code": "lambda call: call['output'] == 4", "language": "python"},
             {"code": "call => call.input[0] === 2"}, {"operator": "equals", "object": 4}),
    )  # fmt: skip
    assert ran.returncode == 1
    assert found["right"]["successful"]
    assert found["mixed"]["successful"]
    assert found["wrong"]["failure_message"] == "it is 4"
    assert "it is 4" in ran.stdout


def test_a_wild_assertion_costs_itself(project):
    ran, found = run(
        project,
        case("loops", {"code": "() => { for (;;) {} }"}),
        case("bomb", {"code": "() => { const all = []; for (;;) all.push(new Array(1000).fill(all.length)) }"}),
        case("right", {"code": "(call) => call.output === 4"}),
    )
    assert ran.returncode == 1
    assert "code ran for more than 1 s" in found["loops"]["error"]
    assert not found["bomb"]["successful"]
    assert found["right"]["successful"]
