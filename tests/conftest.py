"""Fixtures for tests of whole daemons: each has folders of its own, and nothing of it may outlive its test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "benchmarks"))  # the comparison is tested, and used

from house import House

#: What would change how a daemon under test behaves, or where it looks.
_NOT_INHERITED = ("TESTD_", "PYTEST_", "XDG_", "VIRTUAL_ENV", "NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_")
_KEPT = ("TESTD_TEST_PYTHONS",)


@pytest.fixture
def house() -> Iterator[House]:
    """A daemon's folders (`runtime`, `environment`, `processes()`). Fails the test if a process or a file survives."""
    inherited = {
        key: value for key, value in os.environ.items() if key in _KEPT or not key.startswith(_NOT_INHERITED)
    }
    inherited["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # hypothesis' plugin costs a second at each start
    with House(inherited) as house:
        yield house
        house.stop()
        left = sorted(path.name for path in house.runtime.iterdir()) if house.runtime.is_dir() else []
        assert not left, f"left in the runtime folder: {left}"


@pytest.fixture
def daemon_env(house: House) -> dict[str, str]:
    """The variables under which a client finds the test's own daemon, and no other."""
    return house.environment
