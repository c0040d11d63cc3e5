"""The codec of the Node.js runner passes the same vectors as everybody's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import nodes

HERE = Path(__file__).parent
RUNNER = HERE.parents[1] / "runners" / "node"
VECTORS = HERE / "vectors.jsonl"


@pytest.mark.parametrize("version", nodes.found())
def test_the_vectors_pass_on_every_node(version: str) -> None:
    command = [nodes.found()[version], str(HERE / "node_side.js"), str(RUNNER), str(VECTORS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == str(len(VECTORS.read_text(encoding="utf-8").splitlines())), done.stdout + done.stderr
    assert done.returncode == 0
