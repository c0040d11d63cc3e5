"""The two sides take turns in each project's folder, and neither waits while the other is somewhere else."""

from __future__ import annotations

import argparse
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

import fidelity
from fidelity import Comparison, compare_all
from sides import Project
from verdicts import FidelityError, Verdicts

SAID: Verdicts = {"t": ["passed"]}


class Sides:
    """What the comparison calls instead of pytest and testd: notes who is in which folder, and meets the other one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inside: dict[str, list[str]] = {}
        self.calls: list[tuple[str, str]] = []
        self.ours, self.broken = SAID, ""
        monkeypatch.setattr(fidelity, "run_pytest", self.run_pytest)
        monkeypatch.setattr(fidelity, "run_testd", self.run_testd)

    async def run_pytest(self, project: Project) -> Verdicts:
        await self._be_in(project, "pytest")
        if project.folder.name == self.broken:
            raise FidelityError(f"no verdicts on {self.broken}")
        return SAID

    async def run_testd(self, project: Project, testd: Path, mode: str) -> Verdicts:
        await self._be_in(project, "testd")
        return self.ours

    async def _be_in(self, project: Project, side: str) -> None:
        there = self.inside.setdefault(project.folder.name, [])
        assert there == [], f"{side} met {there} in {project.folder.name}"
        there.append(side)
        self.calls.append((side, project.folder.name))
        await anyio.lowlevel.checkpoint()  # the other side has its chance to come in
        there.remove(side)


@pytest.fixture
def sides(monkeypatch: pytest.MonkeyPatch) -> Sides:
    return Sides(monkeypatch)


def run(*names: str) -> int:
    options = argparse.Namespace(repeat=1, mode=None, show=30, testd=None)

    async def main() -> int:
        return await compare_all(
            [
                Comparison(name, Project(folder=Path(name), python=Path("python"), environment={}), options, warm=True)
                for name in names
            ]
        )

    return anyio.run(main)


def test_each_project_is_compared_cold_warm_and_in_new_processes(sides, capsys):
    assert run("long", "short", "tiny") == 0
    titles = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    kinds = ("worker", "worker, warm", "bin")
    assert titles == [f"{name} ({kind})" for name in ("tiny", "short", "long") for kind in kinds]
    assert sorted(sides.calls) == sorted(
        [("pytest", name) for name in ("long", "short", "tiny")]
        + [("testd", name) for name in ("long", "short", "tiny") for _ in kinds]
    )


def test_pytest_begins_with_the_longest_and_testd_ends_with_it(sides):
    run("long", "short", "tiny")
    order = {side: [name for who, name in sides.calls if who == side] for side in ("pytest", "testd")}
    assert order["pytest"] == ["long", "short", "tiny"]
    assert list(dict.fromkeys(order["testd"])) == ["tiny", "short", "long"]


def test_every_difference_counts(sides):
    sides.ours = {"t": ["failed"], "u": ["passed"]}
    assert run("long", "short") == 2 * 3 * 2


def test_a_side_that_does_not_work_ends_the_comparison(sides):
    sides.broken = "short"
    with pytest.raises(Exception) as raised:
        run("long", "short", "tiny")
    assert isinstance(fidelity._first(raised.value), FidelityError)
