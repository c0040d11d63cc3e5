"""Whole runs by the command: several Node.js at once, both modes, hostile tests, an edit in between."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import nodes
from house import House, find_testd

DEADLINE = 100.0
SUITE = """
    import assert from 'node:assert';
    import { value } from './value.mjs';
    export const passes = () => assert.strictEqual(value, 1);
    export const fails = () => assert.strictEqual(value, 2);
    export const exits = () => process.exit(0);
    export const dies = () => { process.kill(process.pid, 'SIGSEGV'); for (;;); };
    export const spins = () => { for (;;); };
    export const waits = () => new Promise(() => {});
    export const last = () => {};
"""
VERDICTS = {
    "passes": "passed", "fails": "failed", "exits": "crashed", "dies": "crashed", "spins": "timed out",
    "waits": "timed out", "last": "passed",
}  # fmt: skip
Run = Callable[..., tuple[int, list[dict[str, Any]]]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "all.test.mjs").write_text(SUITE)
    (root / "value.mjs").write_text("export const value = 1;\n")
    targets = [f'[targets.node{version}]\nnode = "{path}"\n' for version, path in nodes.found().items()]
    (root / "testd.toml").write_text("\n".join(targets))
    return root


@pytest.fixture
def run(house: House, root: Path) -> Run:
    def run(*arguments: str) -> tuple[int, list[dict[str, Any]]]:
        command = [str(find_testd()), "run", "--format", "json", *arguments]
        done = subprocess.run(
            command, cwd=root, env=house.environment, capture_output=True, text=True, timeout=DEADLINE, check=False
        )
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    return run


def verdicts(events: list[dict[str, Any]]) -> dict[str, list[tuple[str, str]]]:
    """Return target → (name, verdict) of every outcome."""
    found: dict[str, list[tuple[str, str]]] = {}
    for event in events:
        if event["event"] == "outcome":
            found.setdefault(event["target"], []).append((event["test"].rpartition("::")[2], event["verdict"]))
    return {target: sorted(outcomes) for target, outcomes in found.items()}


@pytest.mark.parametrize("mode", ["worker", "bin"])
def test_every_test_has_one_outcome_on_every_node(run: Run, mode: str) -> None:
    code, events = run("--target", "all", "--timeout", "1", "--mode", mode)
    assert code == 1
    assert verdicts(events) == {f"node{version}": sorted(VERDICTS.items()) for version in nodes.found()}


def test_an_edit_is_seen_by_the_next_run_which_is_warm_otherwise(run: Run, root: Path) -> None:
    target = f"node{list(nodes.found())[-1]}"
    chosen = ("--target", target, "all.test.mjs::passes", "all.test.mjs::fails")
    for value, expected in ((1, ("failed", "passed")), (2, ("passed", "failed")), (1, ("failed", "passed"))):
        (root / "value.mjs").write_text(f"export const value = {value};\n")
        for _ in range(2):
            _, events = run(*chosen)
            assert verdicts(events) == {target: list(zip(("fails", "passes"), expected, strict=True))}


def test_what_a_node_keeps_beside_the_runner_is_no_change_for_python(
    house: House, root: Path, run: Run, tmp_path: Path
) -> None:
    house.environment["TESTD_CACHE_DIR"] = str(tmp_path / "cache")  # nothing is kept there yet
    (root / "test_it.py").write_text("def test_it():\n    pass\n")
    with (root / "testd.toml").open("a") as file:
        file.write(f'[targets.python]\npython = "{sys.executable}"\n')
    run("--target", "python")
    run("--target", f"node{list(nodes.found())[-1]}", "all.test.mjs::passes")
    _, events = run("--target", "python")
    assert [(event["warm"], event["reason"][:11]) for event in events if "warm" in event] == [(True, "1 test kept")]
