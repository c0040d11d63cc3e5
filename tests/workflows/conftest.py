"""A workspace with a workflow, and a daemon of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flows import Flow, git

from house import House


@pytest.fixture
def flow(house: House, tmp_path: Path) -> Iterator[Flow]:
    """A workspace; its daemon starts with the first run."""
    made = Flow(house, tmp_path)
    yield made
    made.close()


@pytest.fixture
def forge(flow: Flow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with the repository `eve/code`, in which the functions are."""
    base = tmp_path_factory.mktemp("forge")
    flow.environment["TESTD_GIT_BASE"] = f"file://{base}"
    code = base / "eve" / "code"
    (code / "deep" / "er").mkdir(parents=True)
    git(code, "init", "-q")
    (code / "one.py").write_text("def one(): faasr_log('one')\n")
    (code / "deep" / "two.py").write_text("from .er.three import text\ndef two(): faasr_log(text())\n")
    (code / "deep" / "er" / "three.py").write_text("def text(): return 'two'\n")
    git(code, "add", "-A")
    git(code, "commit", "-q", "-m", "first")
    return code
