"""Suites of other systems on the command line: from one that was imported to tests that pytest runs."""

from __future__ import annotations

import json


def trace(name):
    return {"id": "t", "name": name, "moduleName": "exp", "fileName": "exp.py"}


def test_what_is_imported_passes_and_can_be_exported(cli):
    (cli.project / "exp.py").write_text("def child(x): return 2 * x\ndef parent(xs): return [child(x) for x in xs]\n")
    old = cli.project / "old" / "tests"
    old.mkdir(parents=True)
    output = {"name": "Assert Output", "ioConfig": {"target": "output", "operator": "equals", "object": [2, "MOCK"]}}
    mocked = {"functionMeta": trace("child"), "isMocked": True, "mockedOutput": "MOCK", "functionCallCount": 2}
    config = {"functionMeta": trace("parent"), "assertions": [output], "children": [mocked]}
    cases = [
        {"id": "1", "name": "mocks", "inputToPass": [[1, 2], {}], "config": config},
        {"id": "2", "name": "lacks", "inputToPass": [{}]},
    ]
    (old / "index.json").write_text(json.dumps([["s", "parents", "exp", "exp.py"]]))
    (old / "s.json").write_text(json.dumps({"name": "parents", "description": "", "tests": cases}))

    done = cli.run("suite", "import", "identity", "old", "--to", "new")
    assert (done.returncode, done.stdout) == (1, "new/parents.suite.json: 1 case\n")
    assert done.stderr == "not taken over: parents: case 2: config: missing\n"
    again = cli.run("suite", "import", "identity", "old", "--to", "new")
    assert (again.returncode, "new/parents.suite.json is there already" in again.stderr) == (4, True)
    assert cli.run("suite", "import", "identity", "old", "--to", "new", "--force").returncode == 1
    assert cli.run("suite", "import", "else", "old").returncode == 4

    ran = cli.run("suite", "run", "new")
    assert ran.returncode == 0, ran.stdout

    done = cli.run("suite", "export", "pytest", "new/parents.suite.json")
    assert (done.returncode, done.stdout) == (1, "new/test_parents.py\n")
    assert done.stderr == "not in it: mocks: which calls it makes\n"
    ran = cli.run("run", "new/test_parents.py")
    assert ran.returncode == 0, ran.stdout
    assert ran.stdout.startswith("1 passed")
    (cli.project / "new" / "wrong.suite.json").write_text('{"id": "x", "name": "x", "test_cases": [{}]}')
    wrong = cli.run("suite", "export", "pytest", "new/wrong.suite.json")
    assert (wrong.returncode, "wrong.suite.json: test_cases[0].id: missing" in wrong.stderr) == (4, True)
