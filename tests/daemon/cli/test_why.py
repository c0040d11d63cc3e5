"""`testd why` and `testd run --affected` from outside, with a real daemon."""

from __future__ import annotations

import json

TESTS = "from lib import used\n\n\ndef test_it():\n    assert used()\n"


def test_why(cli):
    (cli.project / "lib.py").write_text("def used():\n    return 1\n")
    (cli.project / "test_it.py").write_text(TESTS)
    done = cli.run("why", "test_it")
    assert done.returncode == 4
    assert "no test with 'test_it' in its name has run here" in done.stderr
    assert cli.run("run").returncode == 0
    assert "nothing is affected by what has changed" in cli.run("run", "--affected").stdout
    said = cli.run("why", "test_it", "-v").stdout
    assert "test_it.py::test_it: not affected, last run" in said
    assert "nothing that it used has changed: " in said
    assert "    lib.py" in said
    (cli.project / "lib.py").write_text("def used():\n    return 0\n")
    said = cli.run("why", "test_it.py::test_it").stdout
    assert "test_it.py::test_it: affected" in said
    assert "    lib.py changed: " in said
    (entry,) = map(json.loads, cli.run("why", "test_it", "--format", "json").stdout.splitlines())
    assert entry["affected"]
    assert entry["reasons"][0].startswith("lib.py changed: ")
    assert cli.run("run", "--affected").returncode == 1
    assert "it did not pass last time" in cli.run("why", "test_it").stdout
    assert cli.run("why", "test_it", "--target", "nowhere").returncode == 4
