"""A collection that a runner keeps: its tests, and what it depends on. Pure; runs in the agent."""

# Paths as text, not objects: paths are compared as text with those of thousands of tests

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from functools import cached_property

import anyio

from testd_daemon.agent.freshness import Record
from testd_daemon.agent.modules import ModuleGraph
from testd_daemon.agent.selection import Argument, FileIndex, covers
from testd_daemon.agent.strangers import Strangers
from testd_protocol.messages import Collected, CollectError, Kind, Modules, Used

__all__ = ["Collection"]


class Collection:
    """What came of one `Collect`. Indexes are those of the runner."""

    def __init__(self, number: int, paths: Sequence[str], workspace: str) -> None:
        """Expect the pages of collection `number`, which is of these absolute paths; none: the framework's default."""
        self.number = number
        self.paths = tuple(paths)
        self.workspace = workspace
        self.ids: list[str] = []
        self.lines: list[int] = []
        self.errors: list[CollectError] = []
        self.deselected = 0
        self.forkable = True
        self.reason = ""
        self.framework = ""
        self.kind: Kind | None = None  # where the runner has chosen it
        self.maxfail = 0
        self.notices: list[str] = []
        self.imported = 0.0  # seconds in which test modules were imported, where that was measured
        self.patterns: list[str] = []  # names of files that may hold tests
        self.began_ns = time.time_ns()
        self.since = 0.0  # wall clock, when it was complete
        self.record = Record()
        self.modules = ModuleGraph()
        self.strangers = Strangers()
        self.known = False  # its stem has told which modules it loaded
        self.settled = anyio.Event()  # it has, or never will
        self.shared_code: Used | None = None  # what ran while it was loaded and collected
        self.parts: list[Collection] = []  # collected later, whose tests are in the place of earlier ones
        self.users = 0
        self.retired = False  # to be dropped as soon as nobody uses it

    def extend(self, tests: Iterable[tuple[str, int]]) -> None:
        """Take tests that another collection has, with their lines."""
        for test, line in tests:
            self.ids.append(test)
            self.lines.append(line)

    def add(self, page: Collected) -> None:
        """Take a page."""
        self.ids += [item.id for item in page.items]
        self.lines += [item.line for item in page.items]
        if page.done:
            self.errors = page.errors
            self.deselected = page.deselected
            self.forkable, self.reason = page.forkable, page.reason
            self.framework, self.kind = page.framework, page.kind
            self.maxfail, self.notices = page.maxfail, page.notices
            self.patterns = page.patterns
            self.imported = page.imported
            self.strangers.add(page.strangers)
            self.since = time.time()

    def learn(self, message: Modules) -> None:
        """Take what a stem or a worker loaded."""
        self.modules.add(message)
        self.strangers.add(message.strangers)
        if not message.worker:
            self.known = True
            self.settled.set()

    def lose(self) -> None:
        """Its stem is gone: nothing more will come of it."""
        self.settled.set()

    @cached_property
    def root(self) -> str:
        """The folder to which node ids are relative: the workspace, or where the framework found its configuration."""
        sample = next(iter(self.ids), "") or next((error.id for error in self.errors), "")
        name = sample.partition("::")[0]
        start = os.path.commonpath([self.workspace, *self.paths]) if self.paths else self.workspace
        deepest = os.path.commonpath(self.paths) if self.paths else start
        candidates = [self.workspace]
        folder = deepest
        while folder != os.path.dirname(folder):
            candidates.append(folder)
            folder = os.path.dirname(folder)
        return next((found for found in candidates if os.path.exists(os.path.join(found, name))), self.workspace)

    @cached_property
    def index(self) -> FileIndex:
        """The tests by file."""
        return FileIndex(self.root, self.ids)

    @cached_property
    def broken(self) -> frozenset[str]:
        """Absolute paths of files that could not be collected."""
        return frozenset(self.path_of(error.id) for error in self.errors)

    def is_broken(self, file: str) -> bool:
        """Tell whether a file, as in a node id, could not be collected."""
        return self.path_of(file) in self.broken

    def path_of(self, test: str) -> str:
        """Return the absolute path of a node id's file."""
        return os.path.normpath(os.path.join(self.root, test.partition("::")[0]))

    def has_looked_at(self, file: str) -> bool:
        """Tell whether a file, as in a node id, was among what was collected, whatever was found in it."""
        return self.has_looked_at_path(self.path_of(file))

    def has_looked_at_path(self, path: str) -> bool:
        """Tell the same of an absolute path."""
        return not self.paths or any(path == found or path.startswith(found + os.sep) for found in self.paths)

    def covers(self, arguments: Sequence[Argument]) -> bool:
        """Tell whether all that the arguments may mean is in here."""
        return covers(self.paths, self.index, self.broken, arguments)
