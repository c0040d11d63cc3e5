"""Fixtures of the tests of containers: a project, a daemon of its own that uses a real engine, and its runs as JSON."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "conformance"))  # launched, places

from contained import Contained

from container_engine import Engine
from house import House


@pytest.fixture
def contained(house: House, container_engine: Engine, tmp_path: Path) -> Contained:
    """A project whose tests run in containers."""
    return Contained(house, container_engine, tmp_path / "project")
