"""Suites and run files whose functions are of JavaScript modules, on every Node.js found, with a real daemon."""

from __future__ import annotations

import json

import pytest

import nodes

EXP = """
    const traced = globalThis[Symbol.for('testd.traced')] ?? ((body) => body);

    export const child = traced(function child(x) { return 2 * x; });
    export const parent = traced(function parent(xs) { return xs.map((x) => child(x)); });
    export const fact = traced((n) => (n < 2 ? 1 : n * fact(n - 1)));
    export const slowly = traced(async function slowly(x) {
      await new Promise((resolve) => { setTimeout(resolve, 1); });
      return (await Promise.all([x, x + 1].map(async (y) => { await null; return child(y); }))).join();
    });
    export const count = traced(function* count(n) { for (let i = 0; i < n; i++) yield child(i); return 'end'; });
    export async function* later(n) { for (let i = 0; i < n; i++) yield i; }
    export const boom = () => { throw new RangeError('bad value 42'); };
    export class OutOfStock extends Error {}
    export const runs_out = async (what) => { throw new OutOfStock(`no ${what}`); };
    export class Cart {
      constructor(total) { this.total = total; }
      doubled() { return new Cart(2 * this.total); }
      static make(total, { times = 1 } = {}) { return new Cart(total * times); }
    }
    export const odd = (first) => ({
      nothing: undefined, big: 10n, date: new Date(0), map: new Map([[1, { a: 1 }]]), set: new Set([1, 2]),
      bytes: Buffer.from('x'), not: NaN, zero: -0, f() {}, get getter() { throw new Error('it was called'); },
    });
    export const cycle = () => { const made = { name: 'it' }; made.self = made; return made; };
    export const mutates = (xs) => { xs.push(1); return xs; };
    export const says = (text) => { console.log(text); throw new Error(text); };
    export const prepare = (item) => { item.input_to_pass = [[7], {}]; };
    export const leaves = () => process.exit(3);
"""


ACTIONS = 'actions = {prepare = "./exp.mjs:prepare", boom = "./exp.mjs:boom"}'


def case(name, function, given, *assertions, module="./exp.mjs", **more):
    meta = {"module_name": module, "function_name": function}
    return {"id": f"id of {name}", "name": name, "function_to_execute": {"function_meta": meta},
            "input_to_pass": given, "assertions": list(assertions), **more}  # fmt: skip


def equals(value, **more):
    return {"operator": "equals", "object": value, **more}


@pytest.fixture(params=nodes.found())
def project(request, cli):
    (cli.project / "exp.mjs").write_text(EXP)
    (cli.project / "exp.py").write_text("def double(x): return 2 * x\n")
    (cli.project / "testd.toml").write_text(f'{ACTIONS}\n[targets.there]\nnode = "{nodes.found()[request.param]}"\n')
    return cli


def run(project, *cases, target="there", arguments=(), **more):
    document = {"id": "s", "name": "s", "test_cases": cases, **more}
    (project.project / "it.suite.json").write_text(json.dumps(document))
    ran = project.run("suite", "run", "--target", target, "--results", "found.json", *arguments)
    results = json.loads((project.project / "found.json").read_text())
    return ran, {found["name"]: found for result in results for found in result["test_case_results"]}


def test_cases_of_javascript_modules(project):
    ran, found = run(
        project,
        case("calls", "parent", [[1, 2], {}], equals([2, 4]), children=[{"function": "exp.mjs:child"}] * 2),
        case("differs", "parent", [[1, 2], {}], equals([2, 5])),
        case("awaits", "slowly", [1, {}], equals("2,4"), children=[{"function": "child"}] * 2, strict=True),
        case("raises", "boom", [{}], {"operator": "raises", "object": {"type": "RangeError", "contains": "42"}}),
        case("rejects", "runs_out", ["tea", {}], {"operator": "raises", "object": "OutOfStock"},
             {"operator": "raises", "object": {"type": "Error", "message": "no tea"}}),
        case("throws", "boom", [{}], equals(1)),
        case("makes", "Cart.make", [3, {"times": 2}], {"operator": "type", "object": "Cart"},
             {"operator": "contains", "object": {"total": 6}}),
        case("of an object", "Cart.doubled", [{"$type": "object", "class": "exp.mjs:Cart", "state": {"total": 4}}, {}],
             {"operator": "subset", "object": {"total": 8}}),
        case("constructs", "Cart", [5, {}], {"operator": "contains", "object": {"total": 5}}),
        case("generates", "count", [2, {}], {"code": "({output}) => output.items.join() === '0,2'"}),
        case("generates later", "later", [2, {}], {"code": "({output}) => output.items.join() === '0,1'"}),
        case("mutates", "mutates", [[], {}], equals([1]), equals([[], {}], assertion_target="input")),
        case("mocked", "parent", [[1, 2, 3], {}], equals([2, "MOCK", 6]),
             mocks={"./exp.mjs:child": {"2": {"output": "MOCK"}}}),
        case("counted", "fact", [4, {}], equals(400), mocks={"exp.mjs:fact": {"2": {"output": 100}}}),
        case("fails as told", "parent", [[1], {}],
             {"operator": "raises", "object": {"type": "TypeError", "message": "no"}},
             mocks={"exp.mjs:child": {"*": {"error_to_throw": "no", "error_type": "TypeError"}}}),
        case("nowhere", "f", [{}], module="./nope.mjs"),
        case("nobody", "childs", [{}]),
        case("wrong", "child", [1, {}], {"operator": "equal", "object": 2}),
        case("in Python", "child", [1, {}], {"language": "python", "code": "lambda call: True"}),
        case("ends it", "leaves", [{}]),
        case("prints", "says", ["hello from here", {}]),
        case("another language", "double", [1, {}], module="exp"),
    )  # fmt: skip
    right = ["calls", "awaits", "raises", "rejects", "makes", "of an object", "constructs", "generates",
             "generates later", "mutates", "mocked", "counted", "fails as told"]  # fmt: skip
    assert {name: found[name]["failure_message"] for name in right if not found[name]["successful"]} == {}
    assert {name for name, result in found.items() if result["successful"]} == set(right)
    assert "another language" not in found
    assert found["differs"]["assertions"][0]["differences"][0].startswith("output[1]")
    assert found["throws"]["failure_message"] == "Function threw an error."
    assert found["throws"]["executed_function"]["stack"][-1]["function"] == "boom"
    assert found["mocked"]["executed_function"]["children"][1]["execution_context"]["is_mocked"]
    assert "Could not import module ./nope.mjs." in found["nowhere"]["error"]
    assert "does not export it; it exports" in found["nobody"]["error"]
    assert "assertions[0].operator" in found["wrong"]["error"]
    assert "assertions[0]: code in Python runs where the function does" in found["in Python"]["error"]
    assert "ends it" in ran.stdout
    assert "hello from here" in ran.stdout
    assert ran.returncode == 1


def test_values_that_json_does_not_have(project):
    expected = {
        "nothing": {"$type": "undefined"}, "big": {"$type": "bigint", "value": "10"},
        "date": {"$type": "datetime", "value": "1970-01-01T00:00:00+00:00"},
        "map": {"$type": "object", "class": "node:Map", "state": {"entries": [[1, {"a": 1}]]}},
        "set": {"$type": "set", "items": [2, 1]}, "bytes": {"$type": "bytes", "base64": "eA=="},
        "not": {"$type": "float", "value": "nan"}, "zero": {"$type": "float", "value": "-0.0"},
        "f": {"$type": "opaque", "class": "function", "name": "f"}, "getter": None,
    }  # fmt: skip
    _, found = run(
        project,
        case("odd", "odd", [{"$type": "undefined"}, {}], equals(expected)),
        case("loosely", "odd", [{}], {"operator": "contains", "object": {"set": [1, 2], "big": "10"}}),
        case("cycle", "cycle", [{}], {"code": "({output}) => output.self.$type === 'ref' && output.self.path === ''"}),
    )
    assert {name: result["failure_message"] for name, result in found.items()} == dict.fromkeys(found, "")
    context = found["odd"]["executed_function"]["execution_context"]
    assert context["copy_output_error"] == "/getter: a getter, which is not called"
    assert found["odd"]["executed_function"]["input"] == [{"$type": "undefined"}, {}]


def test_a_target_of_each_language_has_its_own_cases(project):
    config = (project.project / "testd.toml").read_text()
    (project.project / "testd.toml").write_text(config + "[targets.here]\n")
    cases = [case("one", "child", [1, {}], equals(2)), case("two", "double", [1, {}], equals(2), module="exp")]
    document = {"id": "s", "name": "s", "test_cases": cases}
    (project.project / "it.suite.json").write_text(json.dumps(document))
    ran = project.run("suite", "run", "--target", "there", "--target", "here", "--results", "found/")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for target, name in (("there", "one"), ("here", "two")):
        results = json.loads((project.project / "found" / target / "it.result.json").read_text())
        assert [result["name"] for result in results["test_case_results"]] == [name]
    assert "1 passed" in project.run("suite", "run", "--target", "there", "--id", "id of one").stdout
    assert project.run("suite", "run", "--target", "there", "--function", "double").returncode == 5


def test_a_run_file_of_javascript(project):
    def meta(name):
        return {"module_name": "./exp.mjs", "function_name": name}

    code = """
        const { parent } = await import(require('node:url').pathToFileURL(require.resolve('./exp.mjs')));
        parent(input_to_pass[0]);
    """
    items = [
        {"execution_id": "calls", "function_meta": meta("parent"), "input_to_pass": [[1, 2], {}]},
        {"execution_id": "throws", "function_meta": meta("boom"), "input_to_pass": [{}]},
        {"execution_id": "ends", "function_meta": meta("leaves"), "input_to_pass": [{}]},
        {"execution_id": "missing", "function_meta": meta("nope"), "input_to_pass": [{}]},
        {"execution_id": "code", "code": code, "language": "javascript", "input_to_pass": [[5], {}]},
        {"execution_id": "acts", "function_meta": meta("parent"), "input_to_pass": [[1], {}], "action": "prepare"},
        {"execution_id": "cannot act", "function_meta": meta("parent"), "input_to_pass": [[1], {}], "action": "boom"},
        {"execution_id": "input", "function_meta": meta("parent"), "input_to_pass": [5]},
    ]
    (project.project / "run.json").write_text(json.dumps({"functions_to_run": items}))
    ran = project.run("run-file", "run.json", "--target", "there")
    written = json.loads((project.project / "run.json").read_text())["functions_to_run"]
    found = {item["execution_id"]: item for item in written}
    assert ran.returncode == 1
    root = found["calls"]["executed_function"]
    assert (root["output"], root["parent_id"], root["module"]) == ([2, 4], None, "exp.mjs")
    assert [(call["name"], call["input"], call["parent_id"]) for call in root["children"]] == [
        ("child", [1, {}], root["id"]), ("child", [2, {}], root["id"]),
    ]  # fmt: skip
    assert root["total_time"] == pytest.approx(root["end_time"] - root["start_time"])
    assert found["throws"]["executed_function"]["thrown_error"] == "bad value 42"
    assert found["throws"]["executed_function"]["error_type"] == "RangeError"
    assert "does not export it" in found["missing"]["error"]
    assert "exit" in found["ends"]["error"]
    assert found["code"]["executed_function"]["output"] == [10], found["code"]
    assert found["acts"]["executed_function"]["output"] == [14]
    assert found["cannot act"]["error"] == "The callback of the action 'boom' failed: bad value 42"
    assert "it ends with a map of options" in found["input"]["error"]
