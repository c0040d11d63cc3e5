"""Importing what user code may import from testd costs nothing. Which names these are: tests/test_public_names.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import testd

SOURCE = str(Path(testd.__file__).resolve().parent.parent)


def test_importing_loads_nothing_but_what_is_used():
    script = (
        "import sys; before = set(sys.modules); import testd; from testd import assertions\n"
        "print(sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.insert(0, {SOURCE!r}); import importlib\n{script}"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout
    assert loaded.strip() == "['testd', 'testd.assertions']"
