"""B6: tests for Node.js, warm, beside the `node --test` of the same Node.js on files that test the same.

`node --test` gives each file a process of its own; testd's tests run in a thread that has loaded the files already, or
in mode `bin` in a new process.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from contenders import counts, warm
from context import Context, race
from house import House
from measuring import Contender, MeasureError, Sample, interleave, run
from parts import node_versions
from suites import PYTEST, Prepared, Suite, environment_only
from table import Row

__all__ = ["measure"]

SUITE = Suite(name="floor-bare", version="1", requirements=(PYTEST,))
VERSIONS = ("20", "22")
FILES, EACH = 20, 10
FILE_GOAL = 0.35
_PASSED = re.compile(r"^(?:\u2139|#) pass (\d+)$", re.MULTILINE)

LIBRARY = """
export const total = (numbers) => numbers.reduce((sum, number) => sum + number, 0);
export const parsed = async (text) => JSON.parse(text);
"""
HEAD = """
import assert from 'node:assert';
import { parsed, total } from '../prices.mjs';
"""
ADDS = "assert.strictEqual(total([%(number)d, 1]), %(number)d + 1);"
PARSES = """assert.deepStrictEqual(await parsed('{"number": [%(number)d]}'), { number: [%(number)d] });"""


def measure(context: Context) -> Iterator[Row]:
    """Yield one file and a whole project, on each Node.js that is here."""
    found = node_versions()
    chosen = {version: found[version] for version in VERSIONS if version in found}
    if not chosen:
        raise MeasureError(f"B6 needs Node.js {' or '.join(VERSIONS)}; found: {', '.join(found) or 'none'}")
    with tempfile.TemporaryDirectory(prefix="testd-node-") as folder:
        project = Path(folder)
        _write(project, chosen)
        prepared = environment_only(SUITE, context.root, project)
        with context.house(prepared) as house:
            for version, node in chosen.items():
                yield from _case(context, house, prepared, version, node, 1)
            for version, node in list(chosen.items())[: 1 if context.quick else None]:
                yield from _case(context, house, prepared, version, node, FILES)


def _write(project: Path, chosen: dict[str, str]) -> None:
    """Write each file twice: exports for testd, node:test for Node.js, in a folder in which testd finds no tests."""
    tables = [f'[targets.node{version}]\nnode = "{path}"\n' for version, path in chosen.items()]
    (project / "testd.toml").write_text("\n".join(tables))
    (project / "prices.mjs").write_text(LIBRARY)
    for folder in ("exports", "plain"):
        (project / folder).mkdir()
    for file in range(FILES):
        bodies = {test: (PARSES if test % 2 else ADDS) % {"number": test} for test in range(EACH)}
        exports = [f"export async function test{test}() {{\n  {body}\n}}\n" for test, body in bodies.items()]
        plain = [f"test('test{test}', async () => {{\n  {body}\n}});\n" for test, body in bodies.items()]
        (project / "exports" / f"part{file}.test.mjs").write_text(HEAD + "".join(exports))
        (project / "plain" / f"part{file}.mjs").write_text(HEAD + "import test from 'node:test';\n" + "".join(plain))


def _case(context: Context, house: House, prepared: Prepared, version: str, node: str, files: int) -> Iterator[Row]:
    names = [f"part{file}" for file in range(files)]
    paths = [f"exports/{name}.test.mjs" for name in names] if files == 1 else []
    target = ("--target", f"node{version}")
    plain = Contender(
        name="node --test", command=[node, "--test", *(f"plain/{name}.mjs" for name in names)], cwd=prepared.project,
        environment=house.environment,
    )  # fmt: skip
    ours = warm(house, context.testd, prepared, paths, target)
    contenders = [plain, ours, warm(house, context.testd, prepared, paths, (*target, "--mode", "bin"), "testd, bin")]
    case = f"Node.js {version}, {f'{files} files' if files > 1 else 'one file'} of {EACH} tests"
    wrong = _wrong(contenders, files * EACH)
    if wrong:
        yield Row(scenario="B6", case=case, what="testd", value="-", met=False, note=f"not timed: {wrong}")
        return
    series = interleave(contenders, max(5, context.rounds))
    yield from race("B6", case, series, {"testd": (["node --test"], FILE_GOAL if files == 1 else 0.0)})


def _wrong(contenders: Sequence[Contender], expected: int) -> str:
    """Run each once; say whose tests did not all pass."""
    found = {contender.name: _passed(run(contender)) for contender in contenders}
    return "" if set(found.values()) == {expected} else f"{found} of {expected} passed"


def _passed(sample: Sample) -> int:
    said = _PASSED.search(sample.output)
    return int(said[1]) if said else counts(sample)["passed"]
