"""`testd workflow graph`, from outside, without a daemon."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from workflow_files import document

SHAPE = {"s": ["c", "x"], "c": [{"True": ["t"]}], "t": ["j"], "x": ["j"], "j": ["r(2)"], "r": []}


@pytest.fixture
def flow(tmp_path):
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(document(SHAPE), indent=2))
    return path


def command(*arguments, cwd):
    words = [sys.executable, "-m", "testd_daemon.cli", "workflow", *map(str, arguments)]
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=60)


def test_text_with_what_a_static_join_would_do(flow):
    done = command("graph", flow.name, cwd=flow.parent)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "Testing  7 functions of 6 actions"
    assert [line.split()[0 if line[1] == " " else 1] for line in lines[1:7]] == ["s", "c", "x", "t", "j", "r"]
    assert lines[7:] == [
        "warning: with --join faasr, j: it waits for all that invoke it: it runs only if c returns True"
    ]


def test_a_picture_in_a_file(flow):
    done = command("graph", flow.name, "--format", "svg", "-o", "out/flow.svg", cwd=flow.parent)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (flow.parent / "out" / "flow.svg").read_text().startswith("<svg ")


def test_json(flow):
    found = json.loads(command("graph", flow.name, "--format", "json", cwd=flow.parent).stdout)
    assert found["entry"] == "s"
    assert found["joins"] == ["j"]
    assert found["actions"]["r"] == {"function": "r", "level": 4, "functions": ["r(1)", "r(2)"], "predecessors": ["j"]}
    assert found["edges"][2] == {"from": "c", "to": "t", "if": True}


def test_each_mistake_is_a_line_with_its_place(flow):
    flow.write_text(json.dumps(document({"s": ["ghost"], "x": []}, DefaultDataStore="S9"), indent=1))
    done = command("graph", flow.name, cwd=flow.parent)
    assert done.returncode == 4
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0] == "testd: flow.json: 3 mistakes"
    assert [line.split(": ")[1] for line in lines[1:]] == [
        "ActionList.s.InvokeNext[0]", "ActionList.x", "DefaultDataStore",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("grph", "x"), "workflow: unknown verb: grph\nDid you mean `testd workflow graph`?"),
        (("graph", "nothing.json"), "nothing.json: cannot be read: No such file or directory"),
        (("graph",), "FILE"),
        (("graph", "flow.json", "--format", "png"), "'png' is not text or svg or json"),
    ],
)
def test_what_is_asked_for_wrongly(flow, arguments, said):
    done = command(*arguments, cwd=flow.parent)
    assert done.returncode == 4
    assert said in done.stderr


def test_without_a_verb_there_is_help(flow):
    assert "usage: testd workflow VERB" in command(cwd=flow.parent).stdout
