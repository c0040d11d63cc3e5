"""B11: a host reached by ssh. A warm run there and here; one changed file of 5,000; the first sync and rsync's."""

from __future__ import annotations

import random
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import anyio

from contenders import same, warm
from context import Context, race
from differences import excess, over
from house import House
from measuring import interleave, run
from mirroring import Mirrored, rsync_seconds
from parts import Hosts, one_host
from suites import Prepared
from table import Row

__all__ = ["measure"]

HOST = "build1"
EDITED = "tests/test_utils.py"  # of tomlkit
FOLDERS, EACH = 50, 100
CHANGED = "data/folder0/file0.txt"
WARM_GOAL = 0.100  # over a local warm run
CHANGE_GOAL = 0.050  # over the round trip
FIRST_GOAL = 2.0  # of rsync
TARGET = """
[targets.{host}]
ssh = "{host}"
ssh_config = "{config}"
python = "{python}"
"""


def measure(context: Context) -> Iterator[Row]:
    """Yield the warm race, then the syncs."""
    suite = context.suite("tomlkit")
    with tempfile.TemporaryDirectory(prefix="testd-mirror-") as folder, one_host(Path(folder), HOST) as hosts:
        project = Path(folder, "tomlkit")
        shutil.copytree(suite.project, project, ignore=shutil.ignore_patterns(".*_cache", "*.egg-info", "__pycache__"))
        many, one = Path(folder, "many"), Path(folder, "one")
        _write(many, FOLDERS)
        _write(one, 0)
        for workspace in (project, many, one):
            told = TARGET.format(host=HOST, config=hosts.config, python=suite.python)
            (workspace / "testd.toml").write_text(told)
        with context.house(suite) as house:
            found = Prepared(suite=suite.suite, project=project, venv=suite.venv)
            yield from _warm(context, house, found, "tomlkit, warm", None)
            yield from _warm(context, house, found, "tomlkit, a test file edited", _changing(project / EDITED))
            yield from _run_with_change(context, house, Prepared(suite=suite.suite, project=many, venv=suite.venv))
        yield from _change(context, hosts, suite, many, one)
        yield from _first(context, hosts, suite, many)


def _write(workspace: Path, folders: int) -> None:
    """Write a trivial suite, and beside it folders of text files of about a module's size."""
    chance = random.Random(5)
    (workspace / "tests").mkdir(parents=True)
    (workspace / "pytest.ini").write_text("[pytest]\ntestpaths = tests\n")
    (workspace / "tests" / "test_trivial.py").write_text("def test_trivial():\n    pass\n")
    for folder in range(folders):
        place = workspace / "data" / f"folder{folder}"
        place.mkdir(parents=True)
        for file in range(EACH):
            lines = (f"{chance.getrandbits(160):040x}\n" for _ in range(chance.randint(5, 150)))
            (place / f"file{file}.txt").write_text("".join(lines))


def _warm(
    context: Context, house: House, found: Prepared, case: str, change: Callable[[], None] | None
) -> Iterator[Row]:
    contenders = [
        warm(house, context.testd, found, name="here", before=change),
        warm(house, context.testd, found, options=("--target", HOST), name="on the host", before=change),
    ]
    differing = same({contender.name: run(contender) for contender in contenders}, "here")
    if differing:
        yield Row(scenario="B11", case=case, what="testd", value="-", met=False, note=f"not timed: {differing}")
        return
    series = interleave(contenders, max(3, context.rounds))
    yield from race("B11", case, series, {})
    yield over("B11", case, "the host over here", (series["on the host"], series["here"]), WARM_GOAL)


def _run_with_change(context: Context, house: House, found: Prepared) -> Iterator[Row]:
    there = ("--target", HOST)
    contenders = [
        warm(house, context.testd, found, options=there, name="nothing changed"),
        warm(
            house,
            context.testd,
            found,
            options=there,
            name="one file changed",
            before=_changing(found.project / CHANGED),
        ),
    ]
    series = interleave(contenders, max(5, context.rounds), warm_up=2)
    case = f"{FOLDERS * EACH:,} files, a run"
    yield from race("B11", case, series, {})
    pair = series["one file changed"], series["nothing changed"]
    yield over("B11", case, "what the change costs", pair, CHANGE_GOAL)


def _change(context: Context, hosts: Hosts, suite: Prepared, many: Path, one: Path) -> Iterator[Row]:
    """The sync by itself: both sides look at 5,000 files and one travels, over one where there is nothing to do."""
    rounds = max(10, context.rounds)
    found = {}
    for workspace, change in ((one, _nothing), (many, _changing(many / CHANGED))):
        mirrored = Mirrored(workspace, hosts, HOST, suite.python, workspace.parent / "cache")
        there = str(hosts[HOST].home / f"change-{workspace.name}")
        found[workspace] = anyio.run(mirrored.warm_seconds, there, rounds, change)
    trip = statistics.median(found[one])
    note = f"a sync in which nothing is to be done takes {trip * 1000:.1f} ms"
    case = f"{FOLDERS * EACH:,} files, the sync alone"
    cost = statistics.median(found[many]) - trip
    yield excess("B11", case, "one file changed, over the round trip", cost, CHANGE_GOAL, note)


def _first(context: Context, hosts: Hosts, suite: Prepared, many: Path) -> Iterator[Row]:
    """Interleaved, each time into a place where nothing is."""
    mirrored = Mirrored(many, hosts, HOST, suite.python, many.parent / "cache")
    home = hosts[HOST].home
    seconds: dict[str, list[float]] = {"rsync -a -e ssh": [], "testd": []}
    for turn in range(-1, max(3, context.rounds // 2)):
        theirs, ours = home / f"rsync-{turn}", home / f"testd-{turn}"
        found = rsync_seconds(many, hosts, HOST, str(theirs)), anyio.run(mirrored.first_seconds, str(ours))
        for times, took in zip(seconds.values(), found, strict=True):
            times.extend([took] if turn >= 0 else [])
        shutil.rmtree(theirs)
        shutil.rmtree(ours)
    case = f"{FOLDERS * EACH:,} files, first sync"
    rsync, testd = (statistics.median(times) for times in seconds.values())
    yield Row(scenario="B11", case=case, what="rsync -a -e ssh", value=f"{rsync:.3f} s")
    yield Row(
        scenario="B11", case=case, what="testd", value=f"{testd:.3f} s", ratio=testd / rsync, against="rsync",
        goal=f"≤ {FIRST_GOAL:g}", met=testd / rsync <= FIRST_GOAL,
        note="connection, the runner's code and its start included",
    )  # fmt: skip


def _changing(file: Path) -> Callable[[], None]:
    """Return what gives a file another last line each time."""
    text, turns = file.read_text(), count()

    def change() -> None:
        file.write_text(f"{text}\n# change {next(turns)}\n")

    return change


def _nothing() -> None:
    """Leave all as it is."""
