"""A project of JavaScript files and a runner of its own, on the newest Node.js or on every one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "conformance"))  # launched

from javascript import Project

import nodes


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "version" in metafunc.fixturenames:
        versions = list(nodes.found())
        everywhere = metafunc.definition.get_closest_marker("every_node") is not None
        metafunc.parametrize("version", versions if everywhere else versions[-1:], scope="function")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "every_node: run on every Node.js that is found, not on the newest alone")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for version, reason in nodes.left_out.items():
        terminalreporter.write_line(f"left out: the tests on Node.js {version}: {reason}", yellow=True)


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("code")


@pytest.fixture
def project(version: str, tmp_path: Path, code: Path) -> Project:
    root = tmp_path / "project"
    root.mkdir()
    return Project(root, nodes.found()[version], code)
