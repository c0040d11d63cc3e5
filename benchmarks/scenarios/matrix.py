"""B4: one suite on five Pythons. testd beside tox and nox, warm, and the first run with everything that it makes."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from context import Context, race
from house import House
from measuring import Contender, MeasureError, Sample, interleave, run
from suites import Suite, environment_only
from table import Row
from testd_daemon.agent import pythons

__all__ = ["measure"]

VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")
REQUIREMENTS = ("pytest", "PyYAML")
TOOLS = Suite(name="matrix-tools", version="1", requirements=("tox==4.67.15", "nox==2026.10.20", "uv==0.13.9"))
WARM_GOAL = 0.5  # of the best of tox and nox, warm and side by side
PLAIN_GOAL = 0.15  # of plain `tox run`
FIRST_GOAL = 1.0  # of nox's first run
_PASSED = re.compile(r"(\d+) (?:passed|skipped)\b")

TARGET = """
[targets."py{version}"]
python = "{python}"
install = [{requirements}]
"""
TOX = """
[tox]
env_list = {names}
[testenv]
package = editable
deps =
    {requirements}
commands = pytest -q
"""
NOX = """
import nox

@nox.session(python={versions})
def tests(session):
    session.install("-e", ".", *{requirements})
    session.run("pytest", "-q")
"""


def measure(context: Context) -> Iterator[Row]:
    """Yield the warm race, and the first runs."""
    tools = environment_only(TOOLS, context.root, context.root)
    found = {version: next(iter(pythons.of_version(version, os.environ)), "") for version in VERSIONS}
    missing = [version for version, path in found.items() if not path]
    if missing:
        raise MeasureError(f"B4 needs Python {', '.join(missing)}")
    environment = tools.environ()
    folders = [str(Path(path).parent) for path in found.values()]
    environment["PATH"] = os.pathsep.join([environment["PATH"], *folders])
    with tempfile.TemporaryDirectory(prefix="testd-matrix-") as folder:
        project = Path(folder, "tomlkit")
        shutil.copytree(
            context.suite("tomlkit").project, project, ignore=shutil.ignore_patterns(".*_cache", "*.egg-info")
        )
        _configure(project, found)
        with House(environment, context.testd) as house:
            yield from _race(context, house, project, tools.venv / "bin", environment)


def _configure(project: Path, found: Mapping[str, str]) -> None:
    quoted = ", ".join(f'"{name}"' for name in ("-e .", *REQUIREMENTS))
    targets = [TARGET.format(version=version, python=path, requirements=quoted) for version, path in found.items()]
    (project / "testd.toml").write_text("".join(targets))
    names = ", ".join(f"py{version.replace('.', '')}" for version in found)
    (project / "tox.ini").write_text(TOX.format(names=names, requirements="\n    ".join(REQUIREMENTS)))
    (project / "noxfile.py").write_text(NOX.format(versions=list(found), requirements=REQUIREMENTS))


def _race(
    context: Context, house: House, project: Path, programs: Path, environment: Mapping[str, str]
) -> Iterator[Row]:
    def tool(name: str, *command: str) -> Contender:
        return Contender(name=name, command=[str(programs / command[0]), *command[1:]], cwd=project,
                         environment=environment)  # fmt: skip

    ours = Contender(
        name="testd", command=[str(context.testd), "run", "--target", "all"], cwd=project,
        environment=house.environment, helpers=house.processes,
    )  # fmt: skip
    first = {"testd": run(ours), "nox -j 2": run(tool("nox", "nox", "-j", "2")), "tox": run(tool("tox", "tox", "run"))}
    passed = {name: _passed(sample) for name, sample in first.items()}
    if len(set(passed.values())) > 1:
        yield Row(scenario="B4", case="tomlkit", what="testd", value="-", met=False, note=f"not timed: {passed}")
        return
    for name, sample in first.items():
        ratio = sample.wall / first["nox -j 2"].wall if name == "testd" else None
        yield Row(
            scenario="B4", case="tomlkit on 5 Pythons, first run", what=name, value=f"{sample.wall:.1f} s",
            cpu=sample.cpu, ratio=ratio, against="nox -j 2" if ratio else "", goal=f"≤ {FIRST_GOAL:g}" if ratio else "",
            met=ratio <= FIRST_GOAL if ratio else None, note="environments included, once",
        )  # fmt: skip
    rivals = [tool("tox -p 2 --skip-pkg-install", "tox", "run-parallel", "-p", "2", "--skip-pkg-install"),
              tool("nox -R -j 2", "nox", "-R", "-j", "2"), tool("tox run", "tox", "run")]  # fmt: skip
    series = interleave([ours, *rivals], max(2, context.rounds // 2))
    goals: dict[str, tuple[Sequence[str], float]] = {"testd": ([rival.name for rival in rivals[:2]], WARM_GOAL)}
    yield from race(
        "B4", "tomlkit on 5 Pythons", series, {name: (list(of), goal) for name, (of, goal) in goals.items()}
    )
    ratio = series["testd"].median / series["tox run"].median
    yield Row(
        scenario="B4", case="tomlkit on 5 Pythons", what="testd against tox run", value="", ratio=ratio,
        against="tox run", goal=f"≤ {PLAIN_GOAL:g}", met=ratio <= PLAIN_GOAL,
    )  # fmt: skip


def _passed(sample: Sample) -> int:
    """How many tests ran well on all Pythons together: tox and nox have a summary of pytest's for each."""
    ends = [line for line in sample.output.splitlines() if re.search(r"\bin [0-9.]+ ?m?s", line)]
    return sum(int(number) for line in ends for number in _PASSED.findall(line))
