"""A project with a few hundred tests, a daemon of its own, and the command as a process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from suite_under_fire import Fire

from house import House


@pytest.fixture
def fire(house: House, tmp_path: Path) -> Iterator[Fire]:
    """Runs whose processes are killed; when the test is over nothing of them may be left."""
    fire = Fire(house, tmp_path / "project")
    yield fire
    fire.end()
