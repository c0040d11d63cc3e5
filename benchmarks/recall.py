"""Does the selection miss a test? Change real suites at random, and ask a fresh pytest whose verdict that changes.

    python benchmarks/recall.py click tomlkit [--mutations 50] [--seed 1] [--python python3.13]

Each mutation changes one place in one function of the project (a constant, a comparison, a statement …). Every test
whose verdict differs from that of the unchanged project must be among those that `testd run --affected` ran, and all
of these must have the verdict that fresh pytest gives. Prints what was missed or is wrong, the recall, how much was
selected, and how often the processes at hand could be used; exits with 1 where anything was missed or wrong.

Works on a copy of each suite, with a daemon of its own. `--python` is an interpreter to run the suites with, for which
their environments are made beside those of testd's own. Runs in testd's environment.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anyio

import suites
from house import House, find_testd
from sides import Project, run_pytest
from verdicts import FidelityError, Verdicts, flaky, moving, outcomes, shape

__all__ = ["Mutation", "main", "mutations"]

#: Seconds for one test, and for one run of a suite: a mutation may never end.
TEST_DEADLINE = 20
RUN_DEADLINE = 180.0
_SWAPPED: dict[type[ast.AST], Any] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.GtE, ast.GtE: ast.Lt, ast.Gt: ast.LtE, ast.LtE: ast.Gt,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add,
}  # fmt: skip


class Mutation(NamedTuple):
    """One change of a file: where, what to write instead, and what it is called."""

    path: Path
    line: int
    text: bytes  # of the whole file
    what: str


def mutations(files: Sequence[Path], seed: int) -> Iterator[Mutation]:
    """Yield random changes of these files without end, the same ones for the same seed."""
    chance = random.Random(seed)
    while True:
        path = chance.choice(files)
        data = path.read_bytes()
        nodes = [node for node in _inside(ast.parse(data)) if _instead(node, chance) is not None]
        if nodes:
            node = chance.choice(nodes)
            other = _instead(node, chance)
            assert other is not None
            yield Mutation(path, node.lineno, _replaced(data, node, other), f"{_short(node)} → {_short(other)}")


def _inside(tree: ast.AST) -> list[ast.stmt | ast.expr]:
    """Return what is in function bodies, without docstrings and what is in f-strings, which has no place of its own."""
    found: dict[int, ast.stmt | ast.expr] = {}
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for statement in function.body:
            for node in _walk(statement):
                docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
                if isinstance(node, ast.stmt | ast.expr) and not docstring:
                    found[id(node)] = node
    return list(found.values())


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    if not isinstance(node, ast.JoinedStr) and not docstring:
        for below in ast.iter_child_nodes(node):
            yield from _walk(below)


def _instead(node: ast.AST, chance: random.Random) -> ast.AST | None:
    """Return what a node may become, None where it stays."""
    other = copy.deepcopy(node)
    if isinstance(other, ast.Constant):
        value = other.value
        if isinstance(value, bool):
            other.value = not value
        elif isinstance(value, int | float):
            other.value = value + 1
        elif isinstance(value, str):
            other.value = value + "x"
        else:
            return None
        return other
    if isinstance(other, ast.Compare):
        other.ops = [_SWAPPED[type(other.ops[0])](), *other.ops[1:]]
        return other
    if isinstance(other, ast.BoolOp | ast.BinOp):
        swapped = _SWAPPED.get(type(other.op))
        if swapped is None:
            return None
        other.op = swapped()
        return other
    if isinstance(other, ast.Return) and other.value is not None:
        return ast.Return(ast.Constant(None))
    if isinstance(other, ast.If) and chance.random() < 0.3:
        return None  # tests of conditions are compared and negated often enough
    if isinstance(other, ast.Expr | ast.Assign | ast.AugAssign | ast.Raise):
        return ast.Pass()
    return None


def _replaced(data: bytes, node: ast.stmt | ast.expr, other: ast.AST) -> bytes:
    """Return a file with a node written anew; all else, comments and layout, is as it was."""
    lines = data.splitlines(keepends=True)
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    before = b"".join(lines[: node.lineno - 1]) + lines[node.lineno - 1][: node.col_offset]
    after = lines[node.end_lineno - 1][node.end_col_offset :] + b"".join(lines[node.end_lineno :])
    text = ast.unparse(other)
    return before + (f"({text})" if isinstance(other, ast.expr) else text).encode() + after


def _short(node: ast.AST) -> str:
    text = ast.unparse(node).replace("\n", " ")
    return text if len(text) < 50 else text[:47] + "..."


class Unloadable(Exception):
    """The project's conftest file cannot be imported: no test can run."""


class Tally:
    """What came of one suite."""

    def __init__(self) -> None:
        self.changed = self.found = self.selected = self.tests = self.mutations = self.wrong = self.warm = 0

    def __str__(self) -> str:
        if not self.changed:
            return f"{self.mutations} mutations changed no verdict"
        return (
            f"recall {self.found / self.changed:.2%} ({self.found} of {self.changed} changed verdicts, "
            f"{self.mutations} mutations), {self.wrong} wrong verdicts, selected "
            f"{self.selected / max(1, self.tests):.1%} of the tests, {self.warm} mutations found warm processes"
        )


async def measure(name: str, found: suites.Prepared, options: argparse.Namespace) -> Tally:
    """Mutate a copy of a suite. Raises FidelityError where a side does not work on it unchanged."""
    with tempfile.TemporaryDirectory(prefix="testd-recall-") as folder:
        copied = _copied(found.project, folder)
        source = copied / "src" if (found.project / "src").is_dir() else copied
        environment = found.environ() | {"PYTHONPATH": str(source)}  # in front of the suite itself, which is installed
        with House(environment, options.testd) as house:
            project = Project(folder=copied, python=found.python, environment=house.environment)
            return await _Suite(name, project, source, options).measure()


def _copied(project: Path, folder: str) -> Path:
    copied = Path(folder).resolve() / project.name
    shutil.copytree(project, copied, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    return copied


class _Suite:
    def __init__(self, name: str, project: Project, source: Path, options: argparse.Namespace) -> None:
        self._name = name
        self._project = project
        self._options = options
        self._files = sorted(path for path in source.rglob("*.py") if not _is_test(path.relative_to(project.folder)))

    async def measure(self) -> Tally:
        runs = [await run_pytest(self._project) for _ in range(2)]
        unsteady, shapes = flaky(runs), moving(runs)
        base = {test: found for test, found in runs[0].items() if test not in unsteady and shape(test) not in shapes}
        await self._settle()
        tally = Tally()
        chosen = mutations(self._files, self._options.seed)
        while tally.mutations < self._options.mutations:
            mutation = next(chosen)
            before = mutation.path.read_bytes()
            mutation.path.write_bytes(mutation.text)
            try:
                await self._one(mutation, base, tally)
            finally:
                mutation.path.write_bytes(before)
            await self._settle()
        return tally

    async def _settle(self) -> None:
        """Bring the record up to date, and wait until it is: who asks after a run waits until that is learned."""
        await self._affected()
        await self._affected()

    async def _one(self, mutation: Mutation, base: Verdicts, tally: Tally) -> None:
        where = f"{mutation.path.relative_to(self._project.folder)}:{mutation.line} {mutation.what}"
        try:
            ran, warm = await self._affected()
        except Unloadable:
            ran, warm = base, False  # and so it says of every test
        fresh: Verdicts | None = None
        with anyio.move_on_after(RUN_DEADLINE):
            try:
                fresh = await run_pytest(self._project)
            except FidelityError:  # not even pytest's start survives it
                fresh = {}
        if fresh is None:
            print(f"  left out, it never ends: {where}", flush=True)
            return
        files = {test for test in ran if "::" not in test}
        changed = {test for test in base if base[test] != fresh.get(test)}
        missed = sorted(test for test in changed if test not in ran and test.partition("::")[0] not in files)
        wrong = sorted(test for test in ran.keys() & base.keys() & fresh.keys() if ran[test] != fresh[test])
        tally.mutations += 1
        tally.warm += warm
        tally.wrong += len(wrong)
        tally.changed += len(changed)
        tally.found += len(changed) - len(missed)
        tally.selected += len(ran.keys() & base.keys()) if fresh else 0
        tally.tests += len(base) if fresh else 0
        state = "warm" if warm else "cold"
        counts = f"{len(changed):5} changed, {len(ran):5} ran, {state}, {len(missed)} missed, {len(wrong)} wrong"
        print(f"  {counts}: {where}", flush=True)
        for test in missed[: self._options.show]:
            print(f"        {test}: {base[test]} → {fresh.get(test)}", flush=True)
        for test in wrong[: self._options.show]:
            print(f"        {test}: {ran[test]} in place of {fresh[test]}", flush=True)

    async def _affected(self) -> tuple[Verdicts, bool]:
        """Return the verdicts of what is affected, and whether what was loaded could be used."""
        command = [str(self._options.testd), "run", "--affected", "--format", "json", "--timeout", str(TEST_DEADLINE)]
        done = await anyio.run_process(
            command, cwd=self._project.folder, env=dict(self._project.environment), check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        if done.returncode == 4 and b"every test below it needs it" in done.stdout:
            raise Unloadable
        if done.returncode not in (0, 1):
            raise FidelityError(f"testd: exit {done.returncode}\n{done.stdout[-2000:].decode()}{done.stderr.decode()}")
        lines = done.stdout.decode().splitlines()
        ready = [event for event in map(json.loads, lines) if event["event"] == "target"]
        return outcomes(lines), bool(ready) and ready[0]["warm"]


def _is_test(path: Path) -> bool:
    parts = {"tests", "test", "docs", "examples", "build", "tools", "tasks"}
    return not parts.isdisjoint(path.parts) or path.name.startswith(("test_", "conftest", "setup", "noxfile"))


def _prepared(suite: suites.Suite, options: argparse.Namespace) -> suites.Prepared:
    """Return a suite with its environment, made by the interpreter that is to run it."""
    root = options.root.resolve()
    if not options.python:
        return suites.prepare(suite, root)
    version = subprocess.run(
        [options.python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    root = root / f"python{version}"
    script = os.fspath(Path(suites.__file__))
    subprocess.run([options.python, script, suite.name, "--root", str(root)], check=True, stdout=subprocess.DEVNULL)
    project = root / "projects" / f"{suite.name}-{suite.version}"
    return suites.Prepared(suite=suite, project=project, venv=root / "environments" / suite.name)


def main() -> int:
    """Measure; exit with 0 where nothing was missed, 1 where something was, 2 where a side did not work."""
    parser = argparse.ArgumentParser(description="Find tests that the selection misses.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="suites of benchmarks/suites.py; none: seven")
    parser.add_argument("--mutations", type=int, default=50, metavar="N", help="of each suite (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="other mutations (%(default)s)")
    parser.add_argument("--python", help="the interpreter to run the suites with (default: the one that runs this)")
    parser.add_argument("--root", type=Path, default=suites.default_root(), help="where suites are kept (%(default)s)")
    parser.add_argument("--show", type=int, default=10, metavar="N", help="print at most N missed tests of a mutation")
    parser.add_argument("--testd", type=Path, help="the testd command (default: beside this Python, then on PATH)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # blocks end: nothing is left behind
    missed = 0
    try:
        options.testd = find_testd(options.testd)
        for suite in suites.choose(options.names):
            print(suite.name, flush=True)
            tally = anyio.run(measure, suite.name, _prepared(suite, options), options)
            print(f"{suite.name}: {tally}", flush=True)
            missed += tally.changed - tally.found + tally.wrong
    except (FidelityError, suites.SuiteError, OSError, subprocess.CalledProcessError) as error:
        print(f"recall: {error}", file=sys.stderr)
        return 2
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
