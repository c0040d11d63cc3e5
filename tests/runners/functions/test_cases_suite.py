"""The suite of cases from outside: documents in, collection and outcomes out, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest

import interpreters
from testd.functions import checking

RUNNERS = Path(__file__).resolve().parents[1]
SOURCE = str(RUNNERS.parent.parent / "runners")
#: A driver that is not done by then hangs.
DEADLINE = 60

EXP = '''
    import asyncio, sys, threading
    from decimal import Decimal
    from testd import traced

    @traced
    def add(a, b=1): return a + b

    @traced
    def child(x): return 2 * x

    @traced
    def parent(xs): return [child(x) for x in xs]

    @traced
    def boom(): raise ValueError("bad value 42")

    @traced
    def catches():
        try:
            boom()
        except ValueError:
            return "caught"

    @traced
    def fact(n): return 1 if n < 2 else n * fact(n - 1)

    @traced
    async def slowly(x):
        await asyncio.sleep(0)
        return await double(x)

    @traced
    async def double(x): return 2 * x

    def leaves(status): sys.exit(status)

    def forks():
        import os
        return bool(os.fork())

    @traced(find_parent=False)
    def apart(): return 1

    def calls_apart(): return apart()

    def mutates(xs):
        xs.append(1)
        return xs

    def says(text):
        print(text)
        return text

    class Cart:
        def __init__(self, total): self.total = total
        def doubled(self): return Cart(2 * self.total)
        @staticmethod
        def make(total): return Cart(total)

    def price(): return Decimal("1.10")
'''


class Project:
    """A folder of modules and documents, and the suite that runs them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.write("exp.py", EXP)

    def write(self, name: str, text: str) -> None:
        (self.root / name).write_text(textwrap.dedent(text))

    def run(self, *paths: str, python: str = sys.executable, keyword=None, documents=True, actions=None, trace=None):
        asked = {"source": SOURCE, "root": str(self.root), "paths": paths, "keyword": keyword, "update": False,
                 "stream": False, "limit": 4096, "stopping": False, "kind": "cases", "documents": documents,
                 "settings": {"actions": json.dumps(actions or {}), "trace": json.dumps(trace or {}),
                              "trace_source": "testd.toml"}}  # fmt: skip
        with tempfile.TemporaryFile("w+") as answer:
            done = subprocess.run(
                [python, str(RUNNERS / "exports_driver.py"), str(answer.fileno())], input=json.dumps(asked), text=True,
                pass_fds=[answer.fileno()], capture_output=True, timeout=DEADLINE, check=False,
                env={key: value for key, value in os.environ.items() if not key.startswith(("TESTD_", "PYTEST_"))},
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            answer.seek(0)
            told = SimpleNamespace(**json.load(answer))
        told.of = {name: outcome(*given) for (name, _), given in zip(told.items, told.outcomes, strict=True)}
        return told

    def cases(self, *cases, **more):
        """Write a suite of cases, and return what came of each by its name."""
        (self.root / "exp.suite.json").write_text(json.dumps({"id": "s", "name": "exp", "test_cases": cases}))
        told = self.run("exp.suite.json", **more)
        return {name.partition("::")[2]: found for name, found in told.of.items()}

    def items(self, *items, **more):
        """Write a run file, and return what came of each item by its id."""
        (self.root / "run.json").write_text(json.dumps({"functions_to_run": items}))
        told = self.run("run.json", **more)
        return {name.partition("::")[2]: found for name, found in told.of.items()}


def outcome(verdict, duration, detail):
    document = json.loads(detail["document"]) if detail and detail["document"] else None
    return SimpleNamespace(verdict=verdict, duration=duration, detail=detail, document=document)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def meta(name, module="exp", file="exp.py"):
    return {"module_name": module, "function_name": name, "file_name": file}


def case(name, function, given, *assertions, module="exp", **more):
    return {"id": f"id of {name}", "name": name, "function_to_execute": {"function_meta": meta(function, module)},
            "input_to_pass": given, "assertions": list(assertions), **more}  # fmt: skip


def item(name, function, given, **more):
    return {"execution_id": name, "function_meta": meta(function), "input_to_pass": given, "action": "", **more}


def equals(value, target="output"):
    return {"operator": "equals", "object": value, "assertion_target": target}


@pytest.mark.parametrize(("version", "python"), interpreters.found().items())
def test_a_suite_on_every_python(project, version, python):
    found = project.cases(
        case("adds", "add", [1, {"b": 2}], equals(3)),
        case("keywords alone", "add", {"a": 1, "b": 4}, equals(5)),
        case("fails", "parent", [[1, 2], {}], equals([2, 5])),
        case("raises", "boom", [{}], {"operator": "raises", "object": {"type": "ValueError", "contains": "42"}}),
        case("awaits", "slowly", [4, {}], equals(8), children=[{"function": "exp:double"}]),
        case("a method", "Cart.make", [3, {}], {"operator": "contains", "object": {"total": 3}},
             {"operator": "type", "object": "Cart"}),
        case("of an object", "Cart.doubled", [{"$type": "object", "class": "exp:Cart", "state": {"total": 4}}, {}],
             {"operator": "subset", "object": {"total": 8}}),
        case("typed", "price", [{}], equals({"$type": "decimal", "value": "1.10"})),
        case("coded", "add", [1, {}], {"language": "python", "code": "lambda call: call['output'] == 2"}),
        case("mocked", "parent", [[1, 2, 3], {}], equals([2, 0, 6]), mocks={"exp:child": {"2": {"output": 0}}}),
        case("nowhere", "f", [{}], module="nope"),
        case("in another language", "add", [1, {}], {"code": "call => true"}),
        case("wrong", "add", [1, {}], {"operator": "equal", "object": 2}),
        python=python,
    )  # fmt: skip
    assert {name: each.verdict for name, each in found.items()} == {
        "adds": "passed", "keywords alone": "passed", "fails": "failed", "raises": "passed", "awaits": "passed",
        "a method": "passed", "of an object": "passed", "typed": "passed", "coded": "passed", "mocked": "passed",
        "nowhere": "error", "in another language": "error", "wrong": "error",
    }, version  # fmt: skip
    assert "output[1]:\n      expected: 5\n      actual:   4" in found["fails"].detail["text"]
    assert found["nowhere"].detail["message"] == "Could not import module nope."
    assert "there is no daemon" in found["in another language"].detail["message"]
    assert "did you mean equals?" in found["wrong"].detail["message"]


def test_a_result_has_all_that_the_specification_says(project):
    """Fact 19."""
    found = project.cases(
        case("right", "add", [1, {}], equals(2)),
        case("wrong", "parent", [[1], {}], equals([3]), children=[{"function": "exp:boom"}]),
        case("nowhere", "f", [{}], equals(1), module="nope"),
    )
    right, wrong, nowhere = (each.document for each in found.values())
    assert (right["successful"], right["failure_message"]) == (True, "")
    assert right["executed_function"]["output"] == 2
    assert right["function_to_execute"] == {"function_meta": meta("add")}
    assert (right["id"], right["name"], right["input_to_pass"]) == ("id of right", "right", [1, {}])
    assert wrong["failure_message"] == "Output does not match the expectation. Child function boom."
    assert wrong["assertions"][0]["received"] == [2]
    assert [found["successful"] for found in (*wrong["assertions"], *wrong["children"])] == [False, False]
    assert (nowhere["executed_function"], nowhere["successful"]) == (None, False)
    assert nowhere["error"].startswith("Could not import module nope.")


def test_documents_are_only_made_where_somebody_wants_them(project):
    found = project.cases(case("right", "add", [1, {}], equals(2)), case("wrong", "add", [1, {}], equals(3)),
                          documents=False)  # fmt: skip
    assert found["right"].detail is None
    assert found["wrong"].detail["document"] == ""


def test_what_a_failing_function_printed_and_raised_is_told(project):
    found = project.cases(
        case("said", "says", ["loud", {}], equals("quiet")),
        case("raised", "boom", [{}], equals(1)),
    )
    assert found["said"].detail["sections"] == [{"name": "Captured stdout call", "text": "loud\n"}]
    assert found["said"].detail["kind"] == "assertion"
    assert "ValueError: bad value 42" in found["raised"].detail["text"]
    assert found["raised"].detail["kind"] == "project"
    assert found["raised"].detail["frames"][-1]["file"] == "exp.py"


def test_mocks_of_the_suite_are_those_of_each_case(project):
    suite = {"id": "s", "name": "exp", "mocks": {"exp:child": {"*": {"output": 0}}}, "test_cases": [
        case("of the suite", "parent", [[1, 2], {}], equals([0, 0])),
        case("of its own", "parent", [[1, 2], {}], equals([2, 7]), mocks={"exp:child": {"2": {"output": 7}}}),
        case("unused", "add", [1, {}], equals(2)),
        case("no mock", "add", [1, {}], mocks={"exp": {}}),
    ]}  # fmt: skip
    (project.root / "exp.suite.json").write_text(json.dumps(suite))
    suite_of, own, unused, wrong = project.run().of.values()
    assert [each.verdict for each in (suite_of, own, unused)] == ["passed"] * 3
    assert unused.detail["leaks"] == ["the mock of exp:child, all calls, which was never used"]
    assert "names no function" in wrong.detail["message"]


def test_files_are_found_and_broken_ones_cost_only_themselves(project):
    (project.root / "sub").mkdir()
    project.write("sub/b.suite.json", json.dumps({"id": "b", "name": "b", "test_cases": [case("x", "add", [1, {}])]}))
    project.write("a.suite.json", '{"id": "a",\n "name": }')
    project.write("other.json", "{}")
    told = project.run()
    assert told.items == [["sub/b.suite.json::x", 1]]
    ((name, verdict, detail),) = told.errors
    assert (name, verdict) == ("a.suite.json", "error")
    assert detail["message"] == "a.suite.json: line 2, column 10: no valid JSON: Expecting value"


def test_a_keyword_is_about_folders_files_and_names(project):
    project.cases(case("two items", "add", [1, {}]), case("none", "add", [1, {}]))
    assert project.run(keyword="items").selected == [0]
    assert project.run(keyword="exp and not two").selected == [1]


def test_items_of_a_run_file(project):
    """Facts 1, 3, 4 and 5: each item has one of both, and the rest still run."""
    found = project.items(
        item("ok", "parent", [[1, 2], {}]),
        item("unknown", "f", [{}], function_meta=meta("f", "nomod", "x.py")),
        {"execution_id": "neither", "input_to_pass": [{}]},
        {"execution_id": "no input", "function_meta": meta("add")},
        item("wrong input", "add", [5]),
        item("both", "add", [1, {}], code="1/0"),
        item("main", "add", [1, {}], function_meta=meta("add", "__main__", "/p/exp.py")),
        item("boom", "boom", [{}]),
        item("catches", "catches", [{}]),
        item("leaves", "leaves", [3, {}]),
        item("last", "add", [2, {}]),
    )
    assert {name: each.verdict for name, each in found.items()} == {
        "ok": "passed", "unknown": "error", "neither": "error", "no input": "error", "wrong input": "error",
        "both": "passed", "main": "passed", "boom": "failed", "catches": "passed", "leaves": "failed", "last": "passed",
    }  # fmt: skip
    assert all(len({"executed_function", "error"} & set(each.document)) == 1 for each in found.values())
    root = found["ok"].document["executed_function"]
    assert (root["output"], root["parent_id"]) == ([2, 4], None)
    assert [(child["name"], child["input"], child["parent_id"]) for child in root["children"]] == [
        ("child", [1, {}], root["id"]), ("child", [2, {}], root["id"]),
    ]  # fmt: skip
    assert root["total_time"] == root["end_time"] - root["start_time"]
    assert found["unknown"].document["error"].splitlines() == [
        "Could not import module nomod.", "Original Module: nomod", "File Name: x.py", "Error: No module named 'nomod'",
    ]  # fmt: skip
    assert found["neither"].document["error"].startswith("Invalid function config ")
    assert "it ends with the map of keyword arguments" in found["wrong input"].document["error"]
    assert found["both"].document["executed_function"]["output"] == 2
    boom = found["boom"].document["executed_function"]
    assert (boom["executed_successfully"], boom["thrown_error"]) == (False, "bad value 42")
    assert boom["error_type"] == "ValueError"
    assert boom["stack"]
    caught = found["catches"].document["executed_function"]
    assert caught["executed_successfully"]
    assert [child["executed_successfully"] for child in caught["children"]] == [False]
    assert found["leaves"].document == {"error": "The function ended the process: exit status 3"}


def test_code_of_an_item(project):
    """Fact 6: names of the code are seen in its functions, all roots are kept, an error behind a trace is told."""
    found = project.items(
        {"execution_id": "one", "code": "import math\nfrom exp import add\ndef f(x): return add(math.floor(x))\nf(1.5)",
         "input_to_pass": None},
        {"execution_id": "two", "code": "from exp import add, child\nadd(1)\nchild(2)"},
        {"execution_id": "none", "code": "print('x')"},
        {"execution_id": "late", "code": "from exp import add\nadd(*input_to_pass[:1])\n1/0", "input_to_pass": [4, {}]},
        {"execution_id": "broken", "code": "def"},
    )  # fmt: skip
    documents = {name: each.document for name, each in found.items()}
    assert documents["one"]["executed_function"]["output"] == 2
    assert "executed_functions" not in documents["one"]
    assert [root["name"] for root in documents["two"]["executed_functions"]] == ["add", "child"]
    assert documents["two"]["executed_function"]["name"] == "child"
    assert documents["none"]["error"].startswith("No trace recorded for the execution of code.")
    assert documents["late"]["error"] == "The code raised ZeroDivisionError: division by zero"
    assert [root["output"] for root in documents["late"]["executed_functions"]] == [5]
    assert documents["broken"]["error"].startswith("The code raised SyntaxError: ")


def test_mocks_and_actions_of_an_item(project):
    """Facts 9 and 11."""
    project.write("hooks.py", "def prepare(item): item['input_to_pass'] = [[5], {}]\n")
    second = {"exp:child": {"2": {"output": "MOCK"}}}
    found = project.items(
        item("mocked", "parent", [[1, 2, 3], {}], context={"mocks": second, "test_run": {}}),
        item("recursive", "fact", [4, {}], context={"mocks": {"exp:fact": {"2": {"output": 100}}}}),
        item("acted", "parent", [[1], {}], action="test_run"),
        item("nobody's action", "parent", [[1], {}], action="run_function"),
        actions={"test_run": "hooks:prepare"},
    )
    outputs = {name: each.document["executed_function"]["output"] for name, each in found.items()}
    assert outputs == {"mocked": [2, "MOCK", 6], "recursive": 400, "acted": [10], "nobody's action": [2]}
    children = found["mocked"].document["executed_function"]["children"]
    assert [child["execution_context"].get("is_mocked", False) for child in children] == [False, True, False]


def test_the_input_is_what_it_was_before_the_call(project):
    """Fact 23."""
    (found,) = project.items(item("x", "mutates", [[], {}])).values()
    executed = found.document["executed_function"]
    assert (executed["input"], executed["output"]) == ([[], {}], [1])


def test_what_is_recorded_and_too_large_says_so(project):
    project.write("big.py", "from testd import traced\n\n@traced\ndef one(): return 'x' * 990_000\n"
                            "def big(): return len([one() for _ in range(9)])\n")  # fmt: skip
    suite = case("big", "big", [{}], module="big")
    (found,) = project.cases(suite).values()
    assert found.verdict == "passed"
    assert "What was recorded is 8," in found.document["error"]


def test_modules_are_traced_by_configuration(project):
    """Fact 24."""
    project.write("plain.py", "def inner(x): return x + 1\ndef outer(x): return inner(x) * 2\n")
    inner = {"function": "plain:inner", "assertions": [equals(2)]}
    given = case("o", "outer", [1, {}], equals(4), module="plain", children=[inner])
    assert project.cases(given)["o"].verdict == "failed"
    assert project.cases(given, trace={"modules": ["plain"]})["o"].verdict == "passed"
    assert project.cases(given, trace={"modules": ["plain"], "exclude": ["inner"]})["o"].verdict == "failed"

    told = project.run(trace={"modules": {"plain": ["zzz", "outer"], "nowhere": True}})
    ((name, verdict, detail),) = told.errors
    assert (name, verdict) == ("testd.toml", "error")
    assert "Invalid callable (zzz) specified inside module (plain) in config file" in detail["text"]
    assert "Could not import module nowhere, which tool.testd.trace.modules names" in detail["text"]


def test_what_is_configured_bounds_the_record_of_an_item(project):
    given = item("x", "says", ["a long text", {}])
    (found,) = project.items(given, trace={"text": 6}).values()
    assert found.document["executed_function"]["output"] == {"$type": "str", "value": "a long", "cut": 5}
    (found,) = project.items(item("x", "add", [{}, {"b": {"token": 1}}]), trace={"redact": False}).values()
    assert found.document["executed_function"]["input"] == [{}, {"b": {"token": 1}}]


def test_a_process_that_a_function_forks_reports_nothing(project):
    found = project.cases(case("forks", "forks", [{}], equals(True)), case("next", "add", [1, {}], equals(2)))
    assert [each.verdict for each in found.values()] == ["passed", "passed"]


def test_a_wrong_call_is_a_record_of_its_own(project):
    (found,) = project.items(item("x", "add", [1, 2, 3, {}])).values()
    executed = found.document["executed_function"]
    assert (executed["name"], executed["input"]) == ("add", [1, 2, 3, {}])
    assert executed["error_type"] == "TypeError"


def test_calls_that_are_roots_of_their_own_are_kept(project):
    (found,) = project.items(item("x", "calls_apart", [{}])).values()
    assert found.document["executed_function"]["name"] == "calls_apart"
    assert [root["name"] for root in found.document["executed_functions"]] == ["apart", "calls_apart"]


def test_what_is_nested_too_deeply_costs_its_case(project):
    deep = nested = []
    for _ in range(700):
        nested.append([])
        nested = nested[0]
    found = project.cases(case("deep", "says", [deep, {}], equals(deep)), case("next", "add", [1, {}], equals(2)))
    assert found["next"].verdict == "passed"
    assert found["deep"].verdict in ("error", "failed")


def test_the_schemas_on_the_target_are_used():
    assert checking.problems({"functions_to_run": []}, "RunFile") == []
