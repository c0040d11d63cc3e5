"""The memory of what tests depend on, for the agent's event loop: learn from a run, and say what is affected.

All work is done in a thread, one piece at a time. What a run told is learned after the run; whoever asks meanwhile
waits for it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Final, TypeVar

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from testd_daemon.agent.affected.book import Book, Shelf
from testd_daemon.agent.affected.choice import Changes, Reason, affected, differing
from testd_daemon.agent.affected.looked import Looked
from testd_daemon.agent.affected.recorder import Facts, Moment, environment_parts, record
from testd_daemon.agent.affected.since import differences
from testd_daemon.agent.affected.state import State
from testd_daemon.agent.affected.store import Store
from testd_daemon.agent.affected.why import explain
from testd_protocol.messages import WhyEntry

__all__ = ["Affected", "Selection"]

#: Seconds that a target has to tell which modules it loaded, once its run is over.
MODULES_DEADLINE: Final = 20.0
#: Share of a target's test files above which all of them are collected: that serves the next runs, too.
MOST_FILES: Final = 0.6
#: Runs after which what no test holds any more is swept out.
SWEEP_EVERY: Final = 50
#: Files younger than this (ns) are read when a run is over; at most so many.
YOUNG_NS: Final = 120 * 10**9
MOST_YOUNG: Final = 50
_T = TypeVar("_T")
#: Is told the generation of the workspace on which a run was.
Learned = Callable[[int], Awaitable[None]]


class Selection:
    """The tests of one target that are affected."""

    def __init__(
        self, shelf: Shelf, reasons: dict[str, Reason], generation: int, changed: Iterable[str],
        unseen: list[str] | None = None,
    ) -> None:  # fmt: skip
        """Take the reasons of those that have a record, and the files that were not collected as they are."""
        self.reasons = reasons
        self.generation = generation  # of the workspace when it was looked at
        self.changed = frozenset(changed)  # paths that this look has found to be other than in the one before
        self._shelf = shelf
        self._unseen = unseen

    def reason(self, test: str, failing: Collection[str] = (), root: str = "") -> Reason | None:
        """Return why a test is to run, None where it need not; `failing` are those that did not pass last time.

        `root` is the folder to which the test's name is relative: names relative to another one mean other tests.
        """
        if root and root != self._shelf.root:
            return Reason("new")
        if test in failing or test.partition("::")[0] in failing:
            return Reason("failed")
        found = self.reasons.get(test)
        if found is None and test not in self._shelf.tests:
            return Reason("new")
        return found

    def files(self, known: Iterable[str], failing: Iterable[str]) -> list[str] | None:
        """Return the files that are to be looked into: absolute, sorted; None: all of them.

        They are those of the affected tests, of the `failing` ones, of `known` tests without a record, and those that
        may hold new ones. All: too many are affected, or it is not known what there is.
        """
        if self._unseen is None or any(reason.kind in ("unknown", "shadow") for reason in self.reasons.values()):
            return None
        root, recorded = self._shelf.root, self._shelf.tests
        without = [test for test in known if test not in recorded]
        found = {f"{root}/{test.partition('::')[0]}" for test in (*self.reasons, *failing, *without)}
        found = {path for path in found if os.path.exists(path)}.union(self._unseen)
        there = {test.partition("::")[0] for test in recorded}
        return sorted(found) if len(found) <= MOST_FILES * len(there) else None


class Affected:
    """What the tests of a workspace depend on. `path` is a file, or `:memory:`."""

    def __init__(self, workspace: str, path: str, tasks: TaskGroup) -> None:
        """Open nothing yet; what is learned later is learned in this task group."""
        self._tasks = tasks
        self._book = Book()
        self._state = State(workspace)
        self._store = Store(path)
        self._limiter = anyio.CapacityLimiter(1)
        self._stale: dict[str, set[int]] = {}  # by path
        self._environments: dict[str, bytes] = {}  # what parts that are no files are now
        self._looked: dict[str, Looked] = {}  # by target
        self._pending: dict[int, tuple[str, anyio.Event]] = {}
        self._learned = 0
        self._products: set[str] = set()  # files that tests have written
        self._results: set[str] = set()  # those that runs have
        self._problem = ""
        self._opened = False

    async def close(self) -> None:
        """Close the file, after what is being written."""
        await self._in_thread(self._store.close)

    def complaints(self) -> list[str]:
        """Return what a user should be told, once."""
        problem, self._problem, self._store.problem = self._problem or self._store.problem, "", ""
        return [f"what tests depend on cannot be kept: {problem}"] if problem else []

    # ── learning ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def hand_over(self, facts: Facts, learned: Learned | None = None) -> None:
        """Learn from a run when its target has told all there is. Until then its tests have no record.

        `learned` is called behind that with the generation of the workspace on which the run was.
        """
        done = self._pending[id(facts)] = facts.target, anyio.Event()
        self._tasks.start_soon(self._await_and_learn, facts, done[1], learned)

    def stay(self, target: str, began_ns: int, learned: Learned) -> None:
        """Keep the records of a target's tests: they were valid when a run began (wall clock, ns) that told nothing.

        `learned` is called with the generation of the workspace on which the run was.
        """
        self._tasks.start_soon(self._await_and_stay, target, began_ns, learned)

    async def _await_and_stay(self, target: str, began_ns: int, learned: Learned) -> None:
        try:
            generation = await self._in_thread(lambda: self._generation_at(began_ns))
        except Exception as error:  # a defect here costs records, never the agent
            self._problem = f"{type(error).__name__}: {error}"
        else:
            await learned(generation)

    def _generation_at(self, began_ns: int) -> int:
        self._look(began_ns)
        return self._state.before(began_ns)[0]

    async def valid(self, target: str, environment: dict[str, str], tests: Iterable[str], root: str) -> bool:
        """Tell whether each of these tests has a record, and nothing has changed of what it used.

        `root` is the folder to which their names are relative. Not where something is still being learned.
        """
        if target not in self._looked or any(found == target for found, _ in self._pending.values()):
            return False
        selection = await self.select(target, environment)
        return all(selection.reason(test, root=root) is None for test in tests)

    async def differing(self, generation: int, earlier: Iterable[int]) -> dict[int, list[str]]:
        """Return for each earlier generation which files of the workspace were not then what they are in this one.

        Paths are relative and sorted. What tests have written is a product, and does not count.
        """
        return await self._in_thread(lambda: {since: self._differing(since, generation) for since in earlier})

    def _differing(self, since: int, generation: int) -> list[str]:
        state = self._state
        return sorted(
            path[len(state.root) + 1 :]
            for path, versions in state.versions.items()
            if versions[-1][0] > since and path not in self._products
            and state.at(path, since) != state.at(path, generation)
        )  # fmt: skip

    async def settle(self) -> None:
        """Wait until all that was handed over is learned."""
        while self._pending:
            _, done = next(iter(self._pending.values()))
            await done.wait()

    async def _await_and_learn(self, facts: Facts, done: anyio.Event, learned: Learned | None) -> None:
        generation = 0
        try:
            generation = await self._await_all(facts)
        except Exception as error:  # a defect here costs records, never the agent
            self._problem = f"{type(error).__name__}: {error}"
            with contextlib.suppress(Exception):
                await self._in_thread(lambda: self._store.forget(facts.target, facts.tests))
        finally:
            self._pending.pop(id(facts), None)
            done.set()
        if generation and learned is not None:
            await learned(generation)

    async def _await_all(self, facts: Facts) -> int:
        """Learn from a run once its target has told which modules were loaded; where it never does, forget.

        Returns the generation on which the run was, 0 where nothing was learned.
        """
        moment = await self._in_thread(lambda: self._begin(facts))
        collections = {facts.collection, *(told.collection for told in facts.told)}
        with anyio.move_on_after(MODULES_DEADLINE):
            for collection in collections:
                await collection.settled.wait()
        if all(collection.known for collection in collections):
            return await self._in_thread(lambda: self._learn(facts, moment))
        await self._in_thread(lambda: self._store.forget(facts.target, facts.tests))
        return 0

    def _begin(self, facts: Facts) -> Moment:
        """Take the records that are out of date now; if this process ends before new ones are written, take all.

        Returns what is there now: more may have changed until the target has told all.
        """
        self._store.mark(facts.target)
        tests = self._book.shelf(facts.target).tests
        for test in facts.tests:
            tests.pop(test, None)
        self._look(facts.began_ns)
        view = self._state.as_loaded(facts.loaded, facts.began_ns)
        young = time.time_ns() - YOUNG_NS  # likely to be changed again soon, and then it could not be read any more
        recent = [path for path, seen in view.seen.items() if path.endswith(".py") and seen.moved_at > young]
        for path in recent[:MOST_YOUNG]:
            view.source_of(path, places=True)
        return Moment(view, *self._state.before(facts.began_ns), self._state.entries)

    def _learn(self, facts: Facts, moment: Moment) -> int:
        """Learn from a run, and return the generation of the workspace on which it was."""
        known = self._book.last_part
        record(self._book, facts, moment)
        tests = self._book.shelf(facts.target).tests
        self._looked.setdefault(facts.target, Looked()).learn(facts.collection, moment, tests)
        self._refresh({part.path for number, part in self._book.parts.items() if number > known})
        self._store.save(self._book, self._state, facts.target, facts.tests)
        self._learned += 1
        if self._learned % SWEEP_EVERY == 0:
            self._store.drop(*self._book.sweep())
        self._products.update(path for told in facts.told for path in told.page.written)
        return moment.generation

    def produced(self, path: str) -> None:
        """Take note that a run writes a file beside its tests: no test is affected by that unless it reads it."""
        self._results.add(path)

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def select(self, target: str, environment: dict[str, str], since: str = "") -> Selection:
        """Look at the workspace, and say which tests of a target are affected.

        `since`: those too that what differs from this git revision may affect. Raises UsageError where git knows none.
        """
        for found, done in list(self._pending.values()):
            if found == target:
                await done.wait()
        return await self._in_thread(lambda: self._select(target, environment, since))

    def _select(self, target: str, environment: dict[str, str], since: str) -> Selection:
        changed = self._look()
        for part in environment_parts(target, environment):
            self._environments[part.path] = part.digest
            self._refresh([part.path])
        stale: set[int] = set()
        for numbers in self._stale.values():
            stale |= numbers
        changes = Changes(stale, products=self._results)
        if since:
            changes = differing(self._book, self._state, changes, differences(self._state.root, since))
        reasons = affected(self._book, self._state, target, changes)
        unseen = self._looked[target].unseen(self._state.entries) if target in self._looked else None
        if unseen is not None:
            unseen = [f"{self._state.root}/{path}" for path in unseen]
        return Selection(self._book.shelf(target), reasons, self._state.generation, changed, unseen)

    async def targets(self) -> list[str]:
        """Return the targets whose tests have a record, behind what is being learned: meanwhile its tests have none."""
        await self.settle()
        return await self._in_thread(lambda: sorted(name for name, shelf in self._book.shelves.items() if shelf.tests))

    async def why(self, target: str, text: str, known: Iterable[str], failing: Collection[str]) -> list[WhyEntry]:
        """Say of each of the tests of a target that have `text` in their id why it would run now, or not.

        `known` are tests of which history knows. The environment is taken to be that of the last run.
        """
        found = await self.select(target, {})

        def work() -> list[WhyEntry]:
            tests = self._book.shelf(target).tests
            names = sorted(name for name in {*tests, *known} if text in name and "::" in name)
            stale = {number for numbers in self._stale.values() for number in numbers}
            root = self._state.root
            return [
                explain(self._book, root, target, name, found.reason(name), stale, failing=name in failing)
                for name in names
            ]

        return await self._in_thread(work)

    def _look(self, began_ns: int = 0) -> set[str]:
        others = [path for path in self._book.by_path if path.startswith("/") and not self._state.inside(path)]
        changed = self._state.look(others, began_ns)
        self._refresh(changed)
        return changed

    def _refresh(self, paths: Iterable[str]) -> None:
        """Find out which parts of these paths are not what they were."""
        book, state = self._book, self._state
        for path in paths:
            numbers = book.by_path.get(path)
            stale = set()
            for number in numbers or ():
                part = book.parts[number]
                if path.startswith("/"):
                    now = state.digest_of(path, part.key)
                else:
                    now = self._environments.get(path, part.digest)
                if now != part.digest:
                    stale.add(number)
            if stale:
                self._stale[path] = stale
            else:
                self._stale.pop(path, None)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        def opened() -> _T:
            if not self._opened:
                self._opened = True
                self._book = self._store.open(self._state)
                self._refresh(self._book.by_path)
            return work()

        # Not to be cancelled (the default): a piece of work is short, and half of one is worth nothing.
        return await anyio.to_thread.run_sync(opened, limiter=self._limiter)
