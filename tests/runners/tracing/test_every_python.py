"""Tracing on every interpreter: each function `fact_*` of the files in `facts` holds on each of them."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from pathlib import Path

import pytest

import interpreters

HERE = Path(__file__).parent
RUNNERS = HERE.parent.parent.parent / "runners"
#: The facts of each file that has any.
FACTS = {
    file.name: names
    for file in sorted((HERE / "facts").glob("*.py"))
    if (
        names := {
            node.name
            for node in ast.parse(file.read_text(encoding="utf-8")).body
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("fact_")
        }
    )
}
#: Seconds for all facts of a file.
DEADLINE = 60


@pytest.mark.parametrize("version", interpreters.found())
@pytest.mark.parametrize("file", FACTS)
def test_they_hold(version, file):
    command = [interpreters.found()[version], "-B", str(HERE / "every_python.py"), str(HERE / "facts" / file)]
    env = {**os.environ, "PYTHONPATH": str(RUNNERS), "PYTHONHASHSEED": "random"}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env=env, check=False)
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told.keys() == FACTS[file]
    failed = {name: trace for name, trace in told.items() if trace is not None}
    assert not failed, "\n".join(f"{name}\n{trace}" for name, trace in failed.items())
