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


PLAIN = """
    %s
    export function priceOf(item) { return item.price; }
    export const total = (items) => items.reduce((sum, item) => sum + priceOf(item), 0);
    export class Cart {
      #items = [];
      add(item) { this.#items.push(item); return this; }
      total() { return total(this.#items); }
    }
    export function hidden() { return priceOf({ price: 1 }); }
"""
COMMON = """
    'use strict';
    function priceOf(item) { return item.price; }
    exports.total = (items) => items.reduce((sum, item) => sum + priceOf(item), 0);
    exports.strict = function () { return this === undefined; };
"""


def item(name, module, function, given):
    return {"execution_id": name, "function_meta": {"module_name": module, "function_name": function},
            "input_to_pass": given}  # fmt: skip


def ran(project, *items):
    """Run items on the Node.js; return what came of each."""
    path = project.project / "items.json"
    path.write_text(json.dumps({"functions_to_run": list(items)}))
    done = project.run("run-file", "items.json", "--target", "there")
    found = json.loads(path.read_text())["functions_to_run"]
    assert all(set(each) & {"executed_function", "error"} for each in found), done.stdout + done.stderr
    return {each["execution_id"]: each.get("executed_function", each.get("error")) for each in found}


def tree(call):
    return [call["name"], *map(tree, call["children"])]


def test_modules_are_traced_by_configuration(project):
    """Fact 24 on Node.js: all that a module defines, calls inside of it too, or what is named; and by patterns."""
    configuration = project.project / "testd.toml"
    before = configuration.read_text()
    (project.project / "plain.mjs").write_text(PLAIN % "import { total as other } from './common.cjs';")
    (project.project / "common.cjs").write_text(COMMON)
    configuration.write_text(before + """
        [trace]
        modules = {"./plain.mjs" = true, "*.cjs" = true, "some.python" = true}
        exclude = ["hid*"]
    """)
    given = [[{"price": 2}, {"price": 3}], {}]
    code = (
        "const { Cart } = await import(require('node:url').pathToFileURL(require.resolve('./plain.mjs')));"
        "return new Cart().add({ price: 5 }).total();"
    )
    got = ran(
        project,
        item("es", "./plain.mjs", "total", given),
        item("common", "./common.cjs", "total", given),
        item("strict", "./common.cjs", "strict", [{}]),
        item("left out", "./plain.mjs", "hidden", [{}]),
        {"execution_id": "methods", "code": code, "language": "javascript", "input_to_pass": [{}]},
    )
    assert tree(got["es"]) == tree(got["common"]) == ["total", ["priceOf"], ["priceOf"]]
    assert (got["es"]["output"], got["es"]["line"], got["es"]["module"]) == (5, 4, "plain.mjs")
    assert got["strict"]["output"] is True
    assert (tree(got["left out"]), got["left out"]["line"]) == (["hidden", ["priceOf"]], None)
    assert tree(got["methods"]) == ["Cart.total", ["total", ["priceOf"]]]

    (project.project / "late.mjs").write_text("export const nothing = 1;")
    configuration.write_text(before + """
        [trace.modules]
        "gone.js" = true
        "./plain.mjs" = ["priceOf", "zzz", {name = "Cart.total", config = {copy_output = false}}]
    """)
    got = ran(project, item("named", "./plain.mjs", "total", given),
              {"execution_id": "methods", "code": code, "language": "javascript", "input_to_pass": [{}]})  # fmt: skip
    assert tree(got["named"]) == ["total", ["priceOf"], ["priceOf"]]
    assert (tree(got["methods"]), got["methods"]["output"]) == (["Cart.total", ["priceOf"]], None)
    suite = {"id": "p", "name": "p", "test_cases": [case("adds up", "total", given, equals(5), module="./plain.mjs")]}
    (project.project / "plain.suite.json").write_text(json.dumps(suite))
    done = project.run("suite", "run", "--target", "there")
    assert done.returncode == 1
    assert "Invalid callable (zzz) specified inside module (plain.mjs) in config file" in done.stdout
    assert "Could not import module gone.js" in done.stdout
    assert "1 passed" in done.stdout


def test_the_package_is_there_without_an_installation(project):
    (project.project / "es.mjs").write_text(
        "import { traced } from 'testd';\n"
        "const inner = traced(function inner(x) { return 2 * x; });\n"
        "export const outer = (x) => inner(x);\n"
    )
    (project.project / "cjs.js").write_text(
        "const { traced } = require('testd');\n"
        "const inner = traced(function inner(x) { return 2 * x; });\n"
        "exports.outer = (x) => inner(x);\n"
    )
    modules = ["./es.mjs", "./cjs.js"]
    got = ran(project, *(item(module, module, "outer", [4, {}]) for module in modules))
    assert [tree(got[module]) for module in modules] == [["outer", ["inner"]]] * 2
    mine = project.project / "node_modules" / "testd"
    mine.mkdir(parents=True)
    (mine / "package.json").write_text('{"main": "it.js"}')
    (mine / "it.js").write_text("exports.traced = (body) => (...given) => body(...given) + 1;\n")
    got = ran(project, *(item(module, module, "outer", [4, {}]) for module in modules))
    assert [(tree(got[module]), got[module]["output"]) for module in modules] == [(["outer"], 9)] * 2


def test_packages_that_have_exports_for_import_alone(project):
    package = project.project / "node_modules" / "@shop" / "only"
    (package / "lib").mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({
        "name": "@shop/only", "type": "module",
        "exports": {".": {"import": "./lib/main.js"}, "./parts/*": {"import": "./lib/*.js"}},
    }))  # fmt: skip
    (package / "lib" / "main.js").write_text("export const double = (x) => 2 * x;\n")
    (package / "lib" / "more.js").write_text("export const triple = (x) => 3 * x;\n")
    meta = [("@shop/only", "double"), ("@shop/only/parts/more", "triple"), ("@shop/only/none", "f")]
    got = ran(project, *({**item(f, m, f, [4, {}]), "language": "javascript"} for m, f in meta))
    assert (got["double"]["output"], got["triple"]["output"]) == (8, 12)
    assert got["f"].startswith("Could not import module @shop/only/none.")


def test_a_mock_throws_errors_of_the_projects_own(project):
    (project.project / "mine.mjs").write_text("""
        const traced = globalThis[Symbol.for('testd.traced')];
        export class NoStock extends Error { constructor(what) { super(`no ${what}`); this.name = 'NoStock'; } }
        export const ask = traced(function ask() { return 1; });
        export function order() {
          try { return ask(); } catch (error) { return error instanceof NoStock ? error.message : 'other'; }
        }
    """)
    thrown = {"error_to_throw": "sold out", "error_type": "./mine.mjs:NoStock"}
    mocks = {"./mine.mjs:ask": {"1": thrown}}
    wrong = {"./mine.mjs:ask": {"1": {**thrown, "error_type": "./mine.mjs:Nothing"}}}
    got = ran(
        project,
        {**item("a", "./mine.mjs", "order", [{}]), "context": {"mocks": mocks}},
        {**item("b", "./mine.mjs", "order", [{}]), "context": {"mocks": wrong}},
    )
    assert got["a"]["output"] == "sold out"
    assert "Could not get function (Nothing)" in got["b"]
