"""A handler of its own for each test: see daemon_house.py."""

from __future__ import annotations

import pytest
from daemon_house import Daemon


@pytest.fixture
def daemon(tmp_path_factory, monkeypatch):
    made = Daemon(tmp_path_factory.mktemp("d"), monkeypatch)
    yield made
    made.end()
