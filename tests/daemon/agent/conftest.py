"""A project and an agent for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from agent_driver import AgentDriver

#: Long before any test: a file that was written just now is not trusted to be what was loaded.
LONG_AGO = 1_600_000_000


def write(root: Path, **files: str) -> Path:
    """Write files (`tests__test_a_py`: dots and slashes as underscores), as if they had always been there."""
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_py", ".py").replace("_ini", ".ini").replace("_toml", ".toml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        os.utime(path, (LONG_AGO, LONG_AGO))
    return root


@pytest.fixture
def project(tmp_path: Path) -> Callable[..., Path]:
    root = tmp_path / "project"
    root.mkdir()

    def make(**files: str) -> Path:
        return write(root, **{"pytest_ini": "[pytest]\naddopts = -p no:cacheprovider\n", **files})

    return make


@pytest.fixture
def agent(tmp_path: Path, runner_cache: Path) -> Iterator[Callable[..., AgentDriver]]:
    started: list[AgentDriver] = []

    def start(root: Path, **options: bool) -> AgentDriver:
        started.append(AgentDriver(root, tmp_path / "state", runner_cache, **options))
        return started[-1].__enter__()

    yield start
    for driver in started:
        driver.__exit__(None, None, None)
