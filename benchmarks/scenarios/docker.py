"""A warm run in a container beside the same one here: the same Python, the same pytest, the same files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from contenders import same, warm
from context import Context, race
from differences import over
from house import House
from measuring import interleave, run
from parts import container_engine, interpreter
from suites import PYTEST, Prepared, Suite, environment_only
from table import Row

__all__ = ["measure"]

SUITE = Suite(name="floor-bare", version="1", requirements=(PYTEST,))
GOAL = 0.030
MANY = 200
HERE, THERE = "here", "in a container"
PYTEST_VERSION = "import pytest; print(pytest.__version__)"
TARGETS = """
[targets.here]
python = "{python}"
install = ["pytest=={pytest}"]

[targets.box]
docker = "{image}"
"""


def measure(context: Context) -> Iterator[Row]:
    """Yield a run of one trivial test, and one of a file that keeps two workers busy."""
    with container_engine() as engine, tempfile.TemporaryDirectory(prefix="testd-docker-") as folder:
        version, python = interpreter()
        image = engine.image("full", version)
        pytest = engine.run("run", "--rm", "--network", "none", image, "python3", "-c", PYTEST_VERSION)
        project = Path(folder)
        project.chmod(0o755)
        _write(project)
        (project / "testd.toml").write_text(TARGETS.format(python=python, pytest=pytest, image=image))
        prepared = environment_only(SUITE, context.root, project)
        with House({**prepared.environ(), **engine.environment}, context.testd) as house:
            for path, case in (("test_trivial.py", "one trivial test"), ("test_many.py", f"{MANY} tests")):
                yield from _case(context, house, prepared, path, f"{case}, warm")


def _write(project: Path) -> None:
    (project / "pytest.ini").write_text("[pytest]\n")
    (project / "test_trivial.py").write_text("def test_trivial():\n    pass\n")
    (project / "test_many.py").write_text(
        "import json, pytest\n"
        f"@pytest.mark.parametrize('number', range({MANY}))\n"
        "def test_round_trip(number, tmp_path):\n"
        "    file = tmp_path / 'numbers.json'\n"
        "    file.write_text(json.dumps(list(range(number * 20))))\n"
        "    assert sum(json.loads(file.read_text())) == sum(range(number * 20))\n"
    )


def _case(context: Context, house: House, prepared: Prepared, path: str, case: str) -> Iterator[Row]:
    contenders = [
        warm(house, context.testd, prepared, (path,), ("--target", target), name)
        for name, target in ((HERE, "here"), (THERE, "box"))
    ]
    differing = same({contender.name: run(contender) for contender in contenders}, HERE)
    if differing:
        yield Row(scenario="docker", case=case, what="testd", value="-", met=False, note=f"not timed: {differing}")
        return
    series = interleave(contenders, max(5, context.rounds))
    yield from race("docker", case, series, {})
    yield over("docker", case, "the container over here", (series[THERE], series[HERE]), GOAL)
