"""B6: save a JavaScript module under watch → the last affected verdict; beside the watch mode of vitest, by default.

Each tool has a project of its own, with files that test the same. vitest is installed once, with npm.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from context import Context
from measuring import MeasureError
from parts import node_versions
from suites import PYTEST, Suite, environment_only
from table import Row
from watching import Answer, Testd, Watched

__all__ = ["measure"]

SUITE = Suite(name="floor-bare", version="1", requirements=(PYTEST,))
NODE, VITEST = "20", "4.1.12"
FILES, EACH = 20, 10
#: The edited module, how many tests may be affected, and the goal.
CASES = (("a leaf module", "lib/part0.mjs", EACH, 0.4), ("the module that all import", "one.mjs", FILES * EACH, 0.3))
INSTALL_DEADLINE = 300.0
_SUMMARY = re.compile(r"^\s*Tests\s.*?(\d+) passed \((\d+)\)")

BASE = "export const one = () => 1;\n"
LEAF = "import { one } from '../one.mjs';\nexport const value = () => {file} + one();\n"
OURS = ("export async function test{test}() {{ assert.strictEqual(await value(), {file} + 1); }}\n", "")
THEIRS = ("test('test{test}', async () => {{ assert.strictEqual(await value(), {file} + 1); }});\n",
          "import { test } from 'vitest';\n")  # fmt: skip
HEAD = "import assert from 'node:assert';\nimport {{ value }} from '../lib/part{file}.mjs';\n"


class Edit:
    """Writes a module anew, with another comment at its end."""

    def __init__(self, file: Path) -> None:
        self._file, self._text, self._count = file, file.read_text(), 0

    def make(self) -> None:
        self._count += 1
        self._file.write_text(f"{self._text}// {self._count}\n")


class Vitest(Watched):
    """`vitest --watch`, read by its summaries."""

    def __init__(self, node: str, installed: Path, cwd: Path, environment: Mapping[str, str]) -> None:
        program = str(installed / "node_modules" / "vitest" / "vitest.mjs")
        super().__init__("vitest", [node, program, "--watch"], cwd, {**environment, "NO_COLOR": "1"})

    def answer(self, began: float, deadline: float) -> Answer:
        """Wait for the summary of a run. Raises MeasureError."""
        for at, line in self._until(deadline):
            said = _SUMMARY.match(line)
            if said:
                return Answer(at - began, at - began, int(said[1]))
        raise AssertionError


def measure(context: Context) -> Iterator[Row]:
    """Yield the edit of one test file's module, and of the module behind all of them."""
    node = node_versions().get(NODE)
    if node is None:
        raise MeasureError(f"the watch of Node.js needs Node.js {NODE}")
    installed = _vitest(context.root)
    with tempfile.TemporaryDirectory(prefix="testd-watch-node-") as folder:
        ours, theirs = Path(folder, "ours"), Path(folder, "theirs")
        _write(ours, *OURS)
        _write(theirs, *THEIRS)
        (ours / "testd.toml").write_text(f'default_targets = ["web"]\n[targets.web]\nnode = "{node}"\n')
        (theirs / "node_modules").symlink_to(installed / "node_modules")
        suite = environment_only(SUITE, context.root, ours)
        for what, file, tests, goal in CASES:
            case = f"Node.js {NODE}, {FILES} files of {EACH} tests, {what}"
            with context.house(suite) as house, Testd(context.testd, ours, house.environment) as tool:
                mine = _answers(tool, Edit(ours / file), context.rounds)
            with Vitest(node, installed, theirs, dict(os.environ)) as tool:
                rival = _answers(tool, Edit(theirs / file), context.rounds)
            yield from _rows(case, mine, rival, tests, goal)


def _vitest(root: Path) -> Path:
    """Return the folder in which vitest is installed. Raises MeasureError."""
    folder = root / f"vitest-{VITEST}"
    if not (folder / "node_modules" / "vitest" / "vitest.mjs").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), f"vitest@{VITEST}"]
        try:
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=INSTALL_DEADLINE)
        except (OSError, subprocess.SubprocessError) as error:
            raise MeasureError(f"vitest {VITEST} cannot be installed: {error}") from error
    return folder


def _write(project: Path, test: str, more: str) -> None:
    for folder in ("lib", "tests"):
        (project / folder).mkdir(parents=True)
    (project / "one.mjs").write_text(BASE)
    for file in range(FILES):
        tests = "".join(test.format(test=number, file=file) for number in range(EACH))
        (project / "lib" / f"part{file}.mjs").write_text(LEAF.replace("{file}", str(file)))
        (project / "tests" / f"part{file}.test.mjs").write_text(more + HEAD.format(file=file) + tests)


def _answers(tool: Watched, edit: Edit, rounds: int) -> list[Answer]:
    tool.time(edit)
    return [tool.time(edit) for _ in range(rounds)]


def _rows(case: str, ours: list[Answer], theirs: list[Answer], tests: int, goal: float) -> Iterator[Row]:
    wrong = {answer.tests for answer in (*ours, *theirs)} - {tests}
    if wrong:
        yield Row(scenario="B6", case=case, what="testd watch", value="-", met=False, note=f"not timed: {wrong} tests")
        return
    mine, rival = (statistics.median(answer.last for answer in found) for found in (ours, theirs))
    yield Row(scenario="B6", case=case, what="vitest --watch", value=f"{rival:.3f} s", note=f"{tests} tests")
    first = statistics.median(answer.first for answer in ours)
    yield Row(
        scenario="B6", case=case, what="testd watch", value=f"{mine:.3f} s", ratio=mine / rival, against="vitest",
        goal=f"≤ {goal:g}", met=mine / rival <= goal, note=f"{tests} tests, the first verdict after {first:.3f} s",
    )  # fmt: skip
