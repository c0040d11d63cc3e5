"""Compiled code of an earlier text, in real runners."""

import os
import time
from pathlib import Path

from runners.driver import runner

NAMES = ("source.py", "package/__init__.py", "package/inner.py", "conftest.py")
COMPILES = {"PYTHONDONTWRITEBYTECODE": ""}
NS = 1_000_000_000


def test_two_edits_within_a_second_that_keep_the_size(tmp_path: Path) -> None:
    """The second text was never loaded: what was compiled of the first counts as fresh by size and second."""
    test = """
import conftest, package, source
from package import inner

def test_a():
    assert [source.N, package.N, inner.N, conftest.N, M] == [1, 1, 1, 1, 1]

M = 0
"""
    (tmp_path / "package").mkdir()
    (tmp_path / "test_a.py").write_text(test)
    for name in NAMES:
        (tmp_path / name).write_text("N = 0\n")
    with runner(tmp_path, environment=COMPILES) as driver:
        assert driver.run_all()["test_a"]["verdict"] == "failed"
    second = (time.time_ns() // NS - 10) * NS
    compiled = list(tmp_path.rglob("*.pyc"))
    assert len(compiled) == len(NAMES) + 1
    for path in compiled:
        header = path.read_bytes()
        path.write_bytes(header[:8] + (second // NS).to_bytes(4, "little") + header[12:])
        os.utime(path, ns=(second, second + 200_000_000))
    for name in (*NAMES, "test_a.py"):
        path = tmp_path / name
        path.write_text(path.read_text().replace("= 0\n", "= 1\n"))
        os.utime(path, ns=(second, second + 500_000_000))
    with runner(tmp_path, environment=COMPILES) as driver:
        outcome = driver.run_all()["test_a"]
    assert outcome["verdict"] == "passed", outcome
