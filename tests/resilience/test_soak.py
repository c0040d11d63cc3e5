"""A short form of benchmarks/soak.py: random edits under watch, each state held against a fresh pytest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
def test_random_edits_never_leave_a_verdict_that_a_fresh_run_would_not_give(seed: int) -> None:
    command = [sys.executable, str(SOAK), "--generations", "14", "--clients", "4", "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=580, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no difference" in done.stdout
