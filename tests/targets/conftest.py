"""A project on targets of every kind; of none of them may anything be left."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mixed import HERE, Mixed, mixed, versions

from container_engine import Engine
from house import House
from ssh_hosts import Hosts


@pytest.fixture
def project(house: House, container_engine: Engine, ssh_hosts: Hosts, tmp_path: Path) -> Iterator[Mixed]:
    """The mixed project. Afterwards no container, no process on a host and none here may be left."""
    old, new, first_node, last_node = versions()
    if old in (HERE, new) or first_node == last_node:
        pytest.skip("left out: this needs an older and a newer Python, and two versions of Node.js")
    made = mixed(house, tmp_path / "project", container_engine, ssh_hosts)
    yield made
    made.end()
    left = [process for host in ssh_hosts.by_name.values() for process in host.left()]
    assert not left, f"left on a host: {left}"
    left = container_engine.left(made.label)
    assert not left, f"left containers: {left}"


@pytest.fixture
def plain(house: House, tmp_path: Path) -> Iterator[Mixed]:
    """A project without any target, and its daemon."""
    made = Mixed(house, tmp_path / "project")
    made.write("test_it.py", "def test_it():\n    pass\n")
    yield made
    made.end()
