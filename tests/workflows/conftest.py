"""A workspace with a workflow, and a daemon of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest
from flows import Flow

from house import House


@pytest.fixture
def flow(house: House, tmp_path: Path) -> Flow:
    """A workspace; its daemon starts with the first run."""
    return Flow(house, tmp_path)
