"""Tracing on every interpreter: each function `fact_*` of the files in `facts` holds on each of them."""

from __future__ import annotations

import ast
import functools
import json
import os
import subprocess
from pathlib import Path

import pytest

import interpreters

HERE = Path(__file__).parent
RUNNERS = HERE.parent.parent.parent / "runners"
FILES = sorted((HERE / "facts").glob("*.py"))
FACTS = [
    (file.name, node.name)
    for file in FILES
    for node in ast.parse(file.read_text()).body
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("fact_")
]
#: Seconds for all facts of a file.
DEADLINE = 60


@functools.cache
def results(version: str, file: str) -> dict[str, str | None]:
    command = [interpreters.found()[version], "-B", str(HERE / "every_python.py"), str(HERE / "facts" / file)]
    env = {**os.environ, "PYTHONPATH": str(RUNNERS), "PYTHONHASHSEED": "random"}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, env=env, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.parametrize("version", interpreters.found())
@pytest.mark.parametrize(("file", "name"), FACTS)
def test_it_holds(version, file, name):
    told = results(version, file)
    assert name in told
    assert told[name] is None, told[name]
