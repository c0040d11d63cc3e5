"""Suites and run files from the command line, with a real daemon: what is run, what is told, what is written."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import psutil
import pytest
from fake_handler import DEADLINE

import interpreters

EXP = """
import os
from testd import traced

@traced
def child(x): return 2 * x

@traced
def parent(xs): return [child(x) for x in xs]

def crash(status): os._exit(status)

def hang():
    while True: pass

def boom(): raise ValueError("bad value 42")
"""


WAITS = """
import pathlib, time
def wait():
    again = pathlib.Path('waiting').exists()
    pathlib.Path('waiting').touch()
    while not again: time.sleep(0.01)
    return 'again'
"""


def meta(name, module="exp"):
    return {"module_name": module, "function_name": name, "file_name": f"{module}.py"}


def case(number, name, function, given, *assertions, module="exp", **more):
    return {"id": str(number), "name": name, "function_to_execute": {"function_meta": meta(function, module)},
            "input_to_pass": given, "assertions": list(assertions), **more}  # fmt: skip


def equals(value):
    return {"operator": "equals", "object": value}


def suite(name, *cases):
    return json.dumps({"id": f"id of {name}", "name": name, "test_cases": cases})


@pytest.fixture
def project(cli):
    (cli.project / "exp.py").write_text(EXP)
    (cli.project / "test_it.py").write_text("def test_it(): pass\n")
    (cli.project / "good.suite.json").write_text(
        suite("good", case(1, "doubles", "parent", [[1, 2], {}], equals([2, 4])))
    )
    (cli.project / "sub").mkdir()
    (cli.project / "sub" / "bad.suite.json").write_text(suite(
        "bad",
        case(1, "differs", "parent", [[1, 2], {}], equals([2, 5])),
        case(2, "crashes", "crash", [3, {}]),
        case(3, "nowhere", "f", [{}], module="nope"),
    ))  # fmt: skip
    return cli


class Receiver:
    """A server that takes what is posted."""

    def __init__(self):
        taken = self.taken = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/taken"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def verdicts(done):
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return {each["test"]: each["verdict"] for each in events if each["event"] == "outcome"}


def agents(project):
    """Return the agents of the test's own daemon."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            ours = process.environ().get("TESTD_STATE_DIR", "").startswith(str(project.home))
            if ours and "testd_daemon.agent" in process.cmdline():
                found.append(process)
    return found


def wait_for(path):
    """Wait until a running test has made a file; the test's own deadline ends a wait that never does."""
    look = "import sys, time, pathlib\nwhile not pathlib.Path(sys.argv[1]).exists(): time.sleep(0.01)"
    subprocess.run([sys.executable, "-c", look, str(path)], timeout=DEADLINE * 2, check=True)


def run_file(project, *items, **more):
    path = project.project / "items.json"
    path.write_text(json.dumps({"functions_to_run": items, **more}, indent=1))
    return path


def item(name, function, given, **more):
    return {"execution_id": name, "function_meta": meta(function), "input_to_pass": given, "action": "x", **more}


def test_cases_are_tests_like_any_other(project):
    done = project.run("suite", "run", "--format", "json")
    assert done.returncode == 1, done.stderr
    assert verdicts(done) == {
        "good.suite.json::doubles": "passed",
        "sub/bad.suite.json::differs": "failed",
        "sub/bad.suite.json::crashes": "crashed",
        "sub/bad.suite.json::nowhere": "error",
    }
    assert verdicts(project.run("run", "--format", "json")) == {"test_it.py::test_it": "passed"}  # as ever

    told = project.run("suite", "run", "--last-failed", "sub")
    assert "output[1]:\n      expected: 5\n      actual:   4\n" in told.stdout
    assert "again: testd suite run sub/bad.suite.json::differs\n" in told.stdout
    assert "exited with status 3" in told.stdout
    assert "Could not import module nope.\n" in told.stdout
    last = told.stdout.splitlines()[-1]
    assert last.startswith("1 failed, 1 error, 1 crashed in ")
    assert last.endswith("(warm)")

    one = project.run("run", "-v", "good.suite.json::doubles")  # a suite's file says what it is
    assert "passed" in one.stdout
    assert one.returncode == 0


def test_filters_have_to_match_all_together(project):
    """Fact 20."""

    def listed(*filters):
        return project.run("suite", "list", *filters).stdout.split()

    assert listed("--name", "doub") == ["good.suite.json::doubles"]
    assert listed("--id", "id of good") == ["good.suite.json::doubles"]
    assert listed("--id", "1", "--file", "sub/") == ["sub/bad.suite.json::differs"]
    assert listed("--function", "par", "--module", "ex", "--name", "good") == ["good.suite.json::doubles"]
    assert listed("--id", "id of") == []
    ran = project.run("suite", "run", "--function", "parent", "--file", "good", "-q")
    assert (ran.returncode, ran.stdout.splitlines()[-1].split(" in ")[0]) == (0, "1 passed, 3 deselected")
    assert project.run("suite", "run", "--name", "nothing").returncode == 5
    assert project.run("suite", "run", "--nam", "x").returncode == 4
    wrong = project.run("suite", "rnu")
    assert (wrong.returncode, "Did you mean `testd suite run`?" in wrong.stderr) == (4, True)


def test_results_are_written_and_posted(project, receiver):
    """Facts 19 and 21."""
    done = project.run("suite", "run", "--results", "out.json", "--report-url", receiver.url, "-j", "1")
    assert done.returncode == 1, done.stderr
    written = json.loads((project.project / "out.json").read_text())
    assert written == receiver.taken
    good, bad = written
    assert (good["id"], good["name"], good["file"]) == ("id of good", "good", "good.suite.json")
    assert good["successful"]
    assert good["test_case_results"][0]["executed_function"]["output"] == [2, 4]
    assert not bad["successful"]
    differs, crashes, nowhere = bad["test_case_results"]
    assert differs["assertions"][0]["differences"] == ["output[1]:", "  expected: 5", "  actual:   4"]
    assert "exited with status 3" in crashes["error"]
    assert (crashes["name"], crashes["executed_function"], crashes["successful"]) == ("crashes", None, False)
    assert nowhere["error"].startswith("Could not import module nope.")

    receiver.close()
    again = project.run("suite", "run", "--results", "out/", "--report-url", receiver.url, "good.suite.json")
    assert again.returncode == 0
    assert "the result of good.suite.json could not be posted: " in again.stdout
    (path,) = (project.project / "out").iterdir()
    assert (path.name, json.loads(path.read_text())["successful"]) == ("good.result.json", True)


def test_a_run_file_gets_what_came_of_each_item(project, receiver):
    """Facts 1, 4, 7 and 8."""
    path = run_file(
        project,
        item("one", "parent", [[1, 2], {}], error="of an earlier run"),
        item("crash", "crash", [3, {}]),
        item("hang", "hang", [{}]),
        item("boom", "boom", [{}]),
        {"execution_id": "nothing"},
        item("last", "parent", [[3], {}]),
        signal_endpoint=receiver.url,
        kept={"as": "it was"},
    )
    done = project.run("run-file", "items.json", "--timeout", "1", "-j", "1")
    assert done.returncode == 1, done.stderr
    assert "again: testd run-file --timeout 1" not in done.stdout
    assert "again: testd run-file items.json::boom\n" in done.stdout
    document = json.loads(path.read_text())
    assert document["kept"] == {"as": "it was"}
    items = {each["execution_id"]: each for each in document["functions_to_run"]}
    assert all(len({"executed_function", "error"} & set(each)) == 1 for each in items.values())
    assert items["one"]["executed_function"]["output"] == [2, 4]
    assert items["last"]["executed_function"]["output"] == [6]
    assert items["boom"]["executed_function"]["thrown_error"] == "bad value 42"
    assert "exited with status 3" in items["crash"]["error"]
    assert "1 s" in items["hang"]["error"]
    assert items["nothing"]["error"].startswith("Invalid function config")
    assert [each["run_file_id"] for each in receiver.taken] == ["items"] * 6
    assert sorted(each["execution_id"] for each in receiver.taken) == sorted(items)

def test_what_is_written_stays_when_the_agent_is_killed(project, ended):
    """An item that was told of is in the file, whatever is killed; the others run in the next agent."""
    (project.project / "waits.py").write_text(WAITS)
    waits = {**item("two", "wait", [{}]), "function_meta": meta("wait", "waits")}
    path = run_file(project, item("one", "parent", [[1], {}]), waits, item("three", "parent", [[2], {}]))
    client = project.start("run-file", "items.json", "-j", "1", "--format", "json")
    ended(client)
    assert any('"test":"items.json::one"' in line for line in iter(client.stdout.readline, ""))
    wait_for(project.project / "waiting")
    before = {each["execution_id"]: each for each in json.loads(path.read_text())["functions_to_run"]}
    assert before["one"]["executed_function"]["output"] == [2]
    agents(project)[0].kill()
    out, _ = client.communicate(timeout=DEADLINE)
    assert client.returncode == 0, out
    after = {each["execution_id"]: each for each in json.loads(path.read_text())["functions_to_run"]}
    assert after["one"] == before["one"]
    assert [after[name]["executed_function"]["output"] for name in ("two", "three")] == ["again", [4]]


def test_results_hold_everything_when_the_agent_is_killed(project, ended, receiver):
    """Facts 19 and 21: what the first agent has and what the second one adds; each suite is posted once."""
    (project.project / "waits.py").write_text(WAITS)
    cases = [case(1, "one", "parent", [[1], {}]), case(2, "two", "wait", [{}], module="waits"),
             case(3, "three", "parent", [[3], {}])]  # fmt: skip
    (project.project / "waits.suite.json").write_text(suite("waits", *cases))
    client = project.start("suite", "run", "good.suite.json", "waits.suite.json", "-j", "1", "--format", "json",
                           "--results", "out.json", "--report-url", receiver.url)  # fmt: skip
    ended(client)
    assert any('"test":"waits.suite.json::one"' in line for line in iter(client.stdout.readline, ""))
    wait_for(project.project / "waiting")
    agents(project)[0].kill()
    out, _ = client.communicate(timeout=DEADLINE)
    assert client.returncode == 0, out
    written = json.loads((project.project / "out.json").read_text())
    assert {each["name"]: [found["name"] for found in each["test_case_results"]] for each in written} == {
        "good": ["doubles"], "waits": ["one", "two", "three"],
    }  # fmt: skip
    assert [found["executed_function"]["output"] for found in written[-1]["test_case_results"]] == [[2], "again", [6]]
    assert sorted(each["name"] for each in receiver.taken) == ["good", "waits"]
    assert not list((project.home / "state").rglob("*.jsonl"))


def test_an_endpoint_that_is_not_there_is_told_in_the_item(project):
    """Fact 8."""
    path = run_file(project, item("one", "parent", [[1], {}]), signal_endpoint="http://127.0.0.1:1/none")
    assert project.run("run-file", "items.json::one").returncode == 0
    (one,) = json.loads(path.read_text())["functions_to_run"]
    assert one["executed_function"]["output"] == [2]
    assert one["signal_error"].startswith("http://127.0.0.1:1/none: ")


def test_a_run_file_may_be_elsewhere(project, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = elsewhere / "items.json"
    path.write_text(json.dumps({"functions_to_run": [item("one", "parent", [[1], {}])]}))
    done = project.run("run-file", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
    (one,) = json.loads(path.read_text())["functions_to_run"]
    assert one["executed_function"]["output"] == [2]
    assert project.run("run-file", f"{path}::one").returncode == 0
    assert project.run("run-file", f"{path}::two").returncode == 4


def test_a_run_file_on_several_targets(project):
    first, *others = interpreters.found()
    if not others:
        pytest.skip("one Python alone")
    path = run_file(project, item("one", "parent", [[1], {}]))
    done = project.run("run-file", "items.json", "--target", others[-1], "--target", first)
    assert done.returncode == 0, done.stdout + done.stderr
    (one,) = json.loads(path.read_text())["functions_to_run"]
    assert sorted(one["targets"]) == sorted([f"py{others[-1]}", f"py{first}"])
    assert one["executed_function"] == one["targets"][f"py{others[-1]}"]["executed_function"]


def test_callbacks_of_the_configuration(project):
    (project.project / "pyproject.toml").write_text('[tool.testd]\nactions = {x = "hooks:prepare"}\nsuites = ["sub"]\n')
    (project.project / "hooks.py").write_text("def prepare(item): item['input_to_pass'][0].append(5)\n")
    path = run_file(project, item("one", "parent", [[1], {}]))
    assert project.run("run-file", "items.json").returncode == 0
    (one,) = json.loads(path.read_text())["functions_to_run"]
    assert one["executed_function"]["output"] == [2, 10]
    assert one["input_to_pass"] == [[1], {}]
    assert all(test.startswith("sub/") for test in project.run("suite", "list").stdout.split())


@pytest.mark.parametrize("way", [["--fresh"], ["--mode", "bin"], ["--isolate", "test"], ["--verify"]])
def test_every_way_to_run_gives_the_same_verdicts(project, way):
    done = project.run("suite", "run", *way, "--format", "json", "--results", "out.json")
    assert verdicts(done) == {
        "good.suite.json::doubles": "passed",
        "sub/bad.suite.json::differs": "failed",
        "sub/bad.suite.json::crashes": "crashed",
        "sub/bad.suite.json::nowhere": "error",
    }
    written = json.loads((project.project / "out.json").read_text())
    assert [[found["successful"] for found in suite["test_case_results"]] for suite in written] == [[True], [False] * 3]


def test_a_new_suite_is_found_by_what_is_warm(project):
    assert len(project.run("suite", "list").stdout.split()) == 4
    (project.project / "sub" / "new.suite.json").write_text(suite("new", case(1, "n", "parent", [[1], {}])))
    done = project.run("suite", "run", "--format", "json")
    assert verdicts(done)["sub/new.suite.json::n"] == "passed"


@pytest.mark.parametrize("version", dict.fromkeys([*interpreters.found()][:1] + [*interpreters.found()][-1:]))
def test_a_change_affects_the_suites_that_use_the_module(project, version):
    """Before Python 3.12 too, where functions are not recorded: by what a suite names, and what that imports."""
    (project.project / "base.py").write_text("def half(x): return x // 2\n")
    (project.project / "one.py").write_text("import base\ndef f(x): return base.half(x)\n")
    (project.project / "two.py").write_text("def g(x): return x\n")
    for name, function in (("one", "f"), ("two", "g")):
        value = 2 if name == "one" else 4
        found = suite(name, case(1, "it", function, [4, {}], equals(value), module=name))
        (project.project / f"{name}.suite.json").write_text(found)
    source = "import two\nfrom testd import traced\n@traced\ndef run(): return two.g(1)\nrun()\n"
    code = {"id": "1", "name": "it", "function_to_execute": {"code": source}, "input_to_pass": [{}], "assertions": []}
    (project.project / "code.suite.json").write_text(suite("code", code))
    suites = ["one.suite.json", "two.suite.json", "code.suite.json"]

    def affected():
        done = project.run("suite", "run", *suites, "--affected", "--target", version, "--format", "json")
        return sorted(test.partition(".")[0] for test in verdicts(done))

    assert affected() == ["code", "one", "two"]
    assert affected() == []
    (project.project / "two.py").write_text("def g(x): return x + 0\n")
    assert affected() == ["code", "two"]
    (project.project / "base.py").write_text("def half(x): return int(x / 2)\n")
    assert affected() == ["one"]
    assert affected() == []


def test_a_watch_runs_what_a_change_affects(project, ended):
    watch = project.start("suite", "watch", "--format", "json", "good.suite.json")
    ended(watch)

    def generation():
        events = []
        while not events or events[-1]["event"] != "completed":
            events.append(json.loads(watch.stdout.readline()))
        return {each["test"]: each["verdict"] for each in events if each["event"] == "outcome"}

    assert generation() == {"good.suite.json::doubles": "passed"}
    (project.project / "exp.py").write_text(EXP.replace("2 * x", "3 * x"))
    assert generation() == {"good.suite.json::doubles": "failed"}
    right = case(1, "triples", "parent", [[1, 2], {}], equals([3, 6]))
    (project.project / "good.suite.json").write_text(suite("good", right))
    assert generation() == {"good.suite.json::triples": "passed"}


def test_traced_modules_of_the_configuration(project):
    (project.project / "pyproject.toml").write_text('[tool.testd.trace]\nmodules = {plain = true}\n')
    (project.project / "plain.py").write_text("def inner(x): return x + 1\ndef outer(x): return inner(x) * 2\n")
    path = run_file(project, {**item("one", "outer", [1, {}]), "function_meta": meta("outer", "plain")})
    assert project.run("run-file", "items.json").returncode == 0
    (one,) = json.loads(path.read_text())["functions_to_run"]
    assert [child["name"] for child in one["executed_function"]["children"]] == ["inner"]
    (project.project / "pyproject.toml").write_text('[tool.testd.trace]\nmodules = {plain = ["zzz"]}\n')
    done = project.run("suite", "run")
    assert "ERROR pyproject.toml" in done.stdout
    assert "Invalid callable (zzz) specified inside module (plain) in config file" in done.stdout
    (project.project / "pyproject.toml").write_text("[tool.testd.trace]\nmodul = 1\n")
    done = project.run("suite", "run")
    assert (done.returncode, "tool.testd.trace has no key 'modul'" in done.stderr) == (4, True)


def test_what_is_no_document_says_so(project):
    (project.project / "broken.suite.json").write_text('{"id": "x",\n"name": }')
    done = project.run("suite", "run", "broken.suite.json")
    assert done.returncode == 1
    assert "broken.suite.json: line 2, column 9: no valid JSON" in done.stdout
    (project.project / "empty.json").write_text("{}")
    done = project.run("run-file", "empty.json")
    assert "holds neither test_cases (a suite) nor functions_to_run (a run file)" in done.stdout
    assert (project.project / "empty.json").read_text() == "{}"
