"""A project of JavaScript test files, and what came of running them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from launched import Launched, Place

from testd_protocol.messages import (
    Collect,
    Collected,
    Dependencies,
    Fault,
    FinishWorker,
    Modules,
    Outcome,
    Output,
    RunJob,
    Started,
    StartWorker,
    StopWorker,
    WorkerExited,
)


class Came(NamedTuple):
    """What a worker said."""

    outcomes: dict[str, Outcome]  # by the name of the test
    exited: WorkerExited
    output: str
    messages: list[Any]

    def verdicts(self) -> dict[str, str]:
        return {name: outcome.verdict for name, outcome in self.outcomes.items()}

    def detail(self, name: str) -> Any:
        found = self.outcomes[name].detail
        assert found is not None, f"nothing was said about {name}"
        return found


class Runner:
    """A runner of the project that has been collected."""

    def __init__(self, launched: Launched) -> None:
        self.launched = launched
        self.numbers = count(1)
        self.collection = 0
        self.ids: list[str] = []
        self.last: Collected | None = None
        self.dependencies: list[Dependencies] = []

    def collect(self, *paths: str) -> list[str]:
        """Collect; return the names, and keep what was said of the whole."""
        self.collection = next(self.numbers)
        self.launched.send(Collect(collection=self.collection, paths=list(paths)))
        before: list[Any] = []
        answer = self.launched.until((Collected, Fault), before, that=lambda said: isinstance(said, Fault) or said.done)
        assert isinstance(answer, Collected), answer
        self.last = answer
        self.dependencies = [said for said in before if isinstance(said, Dependencies)]
        self.modules = [said for said in before if isinstance(said, Modules)]
        self.ids = [item.id for page in before if isinstance(page, Collected) for item in page.items]
        return self.ids

    def fault(self, *paths: str) -> Fault:
        """Collect what cannot be."""
        self.launched.send(Collect(collection=next(self.numbers), paths=list(paths)))
        answer: Fault = self.launched.until(Fault)
        return answer

    def order(self, names: list[str], *, alone: bool = False, **more: Any) -> int:
        """Start a worker with these tests."""
        worker = next(self.numbers)
        ids = [next(found for found in self.ids if found.endswith(f"::{name}")) for name in names]
        paths = sorted({found.partition("::")[0] for found in ids}) if alone else []
        tests = [self.ids.index(found) for found in ids]
        self.launched.send(
            StartWorker(worker=worker, collection=self.collection, paths=paths, **more),
            RunJob(job=next(self.numbers), worker=worker, tests=tests, ids=ids if alone else []),
            FinishWorker(worker=worker),
        )
        return worker

    def came(self, worker: int) -> Came:
        """Return what a worker said until its end."""
        before: list[Any] = []
        exited = self.launched.until(WorkerExited, before, that=lambda said: said.worker == worker)
        named = {self.ids[said.test].rpartition("::")[2]: said for said in before if isinstance(said, Outcome)}
        output = "".join(said.text for said in before if isinstance(said, Output))
        return Came(named, exited, output, before)

    def came_side_by_side(self, workers: list[int]) -> list[Came]:
        """Return what several workers said that run at once: the outcome of a single test each, and what it printed."""
        before: list[Any] = []
        exits = [self.launched.until(WorkerExited, before) for _ in workers]
        found = []
        for worker in workers:
            said = [one for one in before if isinstance(one, Outcome) and one.job == worker + 1]
            printed = "".join(one.text for one in before if isinstance(one, Output) and one.worker == worker)
            (exited,) = [one for one in exits if one.worker == worker]
            found.append(Came({self.ids[one.test].rpartition("::")[2]: one for one in said}, exited, printed, before))
        return found

    def interrupted(self, *names: str, **more: Any) -> Came:
        """Run tests of which the last never ends, and stop the worker as soon as it has come to that."""
        worker = self.order(list(names), **more)
        before: list[Any] = []
        for _ in names[:-1]:
            before.append(self.launched.until(Outcome, before))
        self.launched.until(Started, before, that=lambda said: said.worker == worker)
        self.launched.send(StopWorker(worker=worker, grace=0.1))
        came = self.came(worker)
        output = "".join(said.text for said in before if isinstance(said, Output))
        return came._replace(output=output + came.output, messages=before + came.messages)

    def run(self, *names: str, **more: Any) -> Came:
        """Run tests by their names, all of them if none is given, in one worker."""
        return self.came(self.order(list(names) or [found.rpartition("::")[2] for found in self.ids], **more))


class Project:
    """Test files, and a Node.js."""

    def __init__(self, root: Path, node: str, code: Path) -> None:
        self.root = root
        self.node = node
        self._code = code

    def write(self, **files: str) -> Path:
        """Write files: `a_test_mjs` is `a.test.mjs`, `__` a folder. Returns the last one."""
        path = self.root
        for name, text in files.items():
            path = self.root / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        return path

    @contextmanager
    def runner(self, **settings: Any) -> Iterator[Runner]:
        """A runner on it, not collected yet."""
        with Launched(Place("node", self.node, ""), self.root, self._code, **settings) as launched:
            yield Runner(launched)

    @contextmanager
    def collected(self, **settings: Any) -> Iterator[Runner]:
        """A runner on it that has collected everything."""
        with self.runner(**settings) as runner:
            runner.collect()
            yield runner
