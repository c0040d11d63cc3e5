"""What `traced` records on Node.js, and what it leaves alone: facts in JavaScript, on every Node.js found."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import nodes

FACTS = Path(__file__).parent / "facts"
RUNNER = Path(__file__).resolve().parents[3] / "runners" / "node"


@pytest.mark.every_node
@pytest.mark.parametrize("facts", ["definitions.js", "recording.js", "unaltered.js"])
def test_facts(version: str, facts: str) -> None:
    command = [nodes.found()[version], str(FACTS / facts), str(RUNNER)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
