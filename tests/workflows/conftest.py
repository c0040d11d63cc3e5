"""A workspace with a workflow, and a daemon of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flows import Flow

from house import House


@pytest.fixture
def flow(house: House, tmp_path: Path) -> Iterator[Flow]:
    """A workspace; its daemon starts with the first run."""
    made = Flow(house, tmp_path)
    yield made
    made.close()
