"""Runs tests in a real runner on a real interpreter, and reads what they are recorded to have used."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from driver import Driver, runner

import interpreters

#: What pytest consists of, where it is loaded by an interpreter into which nothing was installed.
PYTEST = ("pytest", "_pytest", "pluggy", "iniconfig", "packaging", "py", "pygments")
#: Versions that can say which functions run, of those on this machine.
MODERN = [version for version in interpreters.found() if version not in ("3.8", "3.9", "3.10", "3.11")]


@dataclass
class Use:
    """One test's use, by names: functions without their `<locals>`, paths relative to the project."""

    functions: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    everything: bool = False


@dataclass
class Record:
    """What the workers of one run told."""

    uses: dict[str, Use] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)
    loaded: set[str] = field(default_factory=set)  # what the stem told
    written: set[str] = field(default_factory=set)
    functions: bool = False
    messages: list[dict[str, Any]] = field(default_factory=list)

    def functions_of(self, test: str) -> set[str]:
        """Return the functions that a test has used, beside itself."""
        return self.uses[test].functions - {test.rpartition("::")[2].partition("[")[0]}


def read(driver: Driver, root: Path, ids: list[str]) -> Record:
    """Return what has been told so far."""
    record = Record(messages=driver.seen("Used"))
    names: dict[tuple[int, int], str] = {}

    def relative(path: str) -> str:
        return str(Path(path).relative_to(root))

    for message in record.messages:
        worker = message["worker"]
        names |= {(worker, number): name.replace("<locals>.", "") for number, _, name, _ in message["codes"]}
        for test, codes, files, folders, everything in message["uses"]:
            name = ids[test].partition("::")[2]
            assert name not in record.uses, "a test is told twice"
            record.uses[name] = Use(
                {names[worker, code] for code in codes},
                set(map(relative, files)),
                set(map(relative, folders)),
                everything,
            )
        shared = {names[worker, code] for code in message["shared"]}
        if worker:
            record.shared |= shared
            record.functions = message["functions"]
        else:
            record.loaded |= shared
        record.written |= set(map(relative, message["written"]))
    return record


@contextmanager
def driven(root: Path, version: str, variables: Mapping[str, str] = {}, **settings: Any) -> Iterator[Driver]:
    """Drive a runner on this version of Python, into which pytest is put by way of PYTHONPATH."""
    packages = root.parent / "packages"
    packages.mkdir(exist_ok=True)
    for name in PYTEST:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            source = origin.parent if origin.name == "__init__.py" else origin
            if not (packages / source.name).exists():
                (packages / source.name).symlink_to(source)
    environment = {"PYTHONPATH": str(packages), **variables}
    with runner(root, python=interpreters.found()[version], environment=environment, **settings) as driver:
        yield driver


def recorded(root: Path, version: str, *, failing: frozenset[str] = frozenset(), **settings: Any) -> Record:
    """Run all tests of a project in one worker, which are to pass, and return their record."""
    with driven(root, version, **settings) as driver:
        found = driver.collect()
        assert found["type"] == "Collected", found
        ended = driver.run(list(range(len(found["ids"]))))
        failed = {
            found["ids"][test]: outcome["detail"]["text"]
            for test, outcome in ended.outcomes.items()
            if outcome["verdict"] != "passed" and found["ids"][test].partition("::")[2] not in failing
        }
        assert not failed
        assert ended.exited["completed"]
        return read(driver, root, found["ids"])
