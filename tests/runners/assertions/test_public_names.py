"""What user code may import from testd, and that importing it costs nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import testd
from testd import assertions

SOURCE = str(Path(testd.__file__).resolve().parent.parent)


def test_the_public_names():
    assert testd.__all__ == ["Context", "NoTest", "Skip", "assertions", "current_test"]
    assert assertions.__all__ == [
        "conforms", "deep_equal", "is_", "is_not", "maybe", "similar", "snapshot", "throws",
    ]


@pytest.mark.parametrize("module", [testd, assertions])
def test_every_public_name_is_there_and_listed(module):
    for name in module.__all__:
        assert getattr(module, name) is not None
        assert name in dir(module)


@pytest.mark.parametrize("module", [testd, assertions])
def test_an_unknown_name_is_told_with_the_known_ones(module):
    with pytest.raises(AttributeError, match=r"'nothing'.*; it has "):
        _ = module.nothing


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
