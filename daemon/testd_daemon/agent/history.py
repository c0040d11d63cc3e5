"""What is remembered of a workspace: how long tests take, their last verdicts, and when these changed.

Runs in the agent, which owns the file; every statement runs in a thread, one at a time. What scheduling needs is kept
in memory as well. History is a help, never a condition: where it cannot be written the run is not affected, the user is
told once, and where it cannot be read it is put aside and begun anew.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import anyio
import anyio.to_thread
import msgspec

from testd_daemon.agent.history_file import connect
from testd_daemon.agent.plan import BAD
from testd_protocol.messages import HistoryEntry

__all__ = ["History", "Known", "RunRecord", "Stamp", "TestRecord"]

#: How much of a new duration enters the average.
WEIGHT: Final = 0.4
#: What is kept: runs, changes of verdicts, and days for which a test that is not run any more is remembered.
RUNS_KEPT: Final = 500
CHANGES_KEPT: Final = 20_000
DAYS_KEPT: Final = 90
GENERATIONS_KEPT: Final = 2000
_UPSERT: Final = f"""
INSERT INTO tests (target, test, duration, verdict, runs, failures, at, run) VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7)
ON CONFLICT (target, test) DO UPDATE SET
    duration = duration * {1 - WEIGHT} + excluded.duration * {WEIGHT},
    verdict = excluded.verdict, runs = runs + 1, failures = failures + excluded.failures,
    at = excluded.at, run = excluded.run, generation = 0
"""  # noqa: S608  the weight is ours
#: To be written before the outcome itself: `previous` is the generation of the one before.
_CHANGE: Final = """
INSERT INTO changes (target, test, verdict, run, at, duration, message, previous)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, coalesce((SELECT generation FROM tests WHERE target = ?1 AND test = ?2), 0))
"""
_PREVIOUS: Final = "SELECT previous FROM changes WHERE number = ?"
#: Changed files that are named.
FILES_KEPT: Final = 20
_T = TypeVar("_T")


class TestRecord(msgspec.Struct, frozen=True):
    """One outcome to remember."""

    __test__ = False  # the name must not make pytest collect it

    test: str
    verdict: str
    duration: float
    message: str


class RunRecord(msgspec.Struct, frozen=True):
    """One finished run to remember, on one target."""

    run: str
    target: str
    at: float
    duration: float
    exit_code: int
    counts: dict[str, int]
    tests: list[TestRecord]


class Stamp(msgspec.Struct, frozen=True):
    """What the outcomes of a run stand for: a generation of the workspace."""

    generation: int
    at: float
    head: str  # the commit that is checked out, empty where there is none
    differing: dict[int, list[str]]  # earlier generation → the paths that were not then what they are in this one


class Known:
    """What is in memory of one target's tests."""

    __slots__ = ("durations", "verdicts")

    def __init__(self) -> None:
        """Know nothing."""
        self.durations: dict[str, float] = {}
        self.verdicts: dict[str, str] = {}

    def failing(self) -> set[str]:
        """Return the tests whose last verdict was bad."""
        return {test for test, verdict in self.verdicts.items() if verdict in BAD}

    def keep(self, there: Iterable[str], covered: Callable[[str], bool]) -> None:
        """Forget the verdicts of tests that are no longer there, in files that were `covered` by a collection.

        A file's own verdict stays: it is for the next run of its tests to say that it can be collected again.
        """
        ids = set(there)
        decided: dict[str, bool] = {}
        for test in [test for test in self.verdicts if test not in ids and "::" in test]:
            file = test.partition("::")[0]
            if file not in decided:
                decided[file] = covered(file)
            if decided[file]:
                del self.verdicts[test]

    def learn(self, record: TestRecord) -> bool:
        """Take an outcome; say whether the test's verdict changed."""
        old = self.durations.get(record.test)
        self.durations[record.test] = (
            record.duration if old is None else old * (1 - WEIGHT) + record.duration * WEIGHT
        )
        before = self.verdicts.get(record.test)
        self.verdicts[record.test] = record.verdict
        return before != record.verdict and (before is not None or record.verdict in BAD)


class History:
    """The memory of one workspace. `path` is a file, or `:memory:` for one that leaves nothing behind."""

    def __init__(self, path: str) -> None:
        """Open nothing yet."""
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._limiter = anyio.CapacityLimiter(1)
        self._known: dict[str, Known] = {}
        self.problem = ""  # why it cannot be written, until somebody was told

    async def open(self) -> None:
        """Open the file, or begin a new one where it cannot be used."""
        await self._in_thread(self._open)

    async def close(self) -> None:
        """Close the file, after what is being written."""
        await self._in_thread(self._close)

    async def known(self, target: str) -> Known:
        """Return what is known of a target's tests. The object stays the same and is kept up to date."""
        if target not in self._known:
            known = Known()
            rows = await self._in_thread(lambda: self._load(target))
            for test, duration, verdict in rows:
                known.durations[test] = duration
                known.verdicts[test] = verdict
            self._known.setdefault(target, known)
        return self._known[target]

    async def record(self, record: RunRecord) -> list[int]:
        """Remember a run. What cannot be written is noted in `problem`; nothing is raised.

        Returns the numbers of the changes of verdicts in it, for `stamp`.
        """
        known = self._known.setdefault(record.target, Known())
        changed = [test for test in record.tests if known.learn(test)]
        return await self._in_thread(lambda: self._write(record, changed))

    async def earlier(self, changes: list[int]) -> set[int]:
        """Return the generations with which `stamp` compares: of the outcomes before these changes, and the newest."""
        return await self._in_thread(lambda: self._earlier(changes))

    async def stamp(self, record: RunRecord, changes: list[int], stamp: Stamp) -> None:
        """Add to a run what it ran on. Nothing is raised."""
        await self._in_thread(lambda: self._stamp(record, changes, stamp))

    def complaints(self) -> list[str]:
        """Return what a user should be told, once."""
        problem, self.problem = self.problem, ""
        return [f"the history of earlier runs cannot be kept: {problem}"] if problem else []

    async def report(self, test: str, limit: int) -> list[HistoryEntry]:
        """Return the newest entries: of the runs, or of the tests whose id has `test` in it."""
        return await self._in_thread(lambda: self._tests(test, limit) if test else self._runs(limit))

    async def flaky(self, limit: int) -> list[HistoryEntry]:
        """Return the tests whose verdict changed without a change of the workspace, with how often in `flips`."""
        return await self._in_thread(lambda: self._flaky(limit))

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        # Not to be cancelled (the default): a write is short, and half of one is worth nothing.
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)

    # ── in the thread ────────────────────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> None:
        try:
            self._connection = connect(self._path)
        except sqlite3.DatabaseError:
            with contextlib.suppress(OSError):
                os.replace(self._path, self._path + ".broken")
            try:
                self._connection = connect(self._path)
            except sqlite3.Error as error:
                self.problem = f"{self._path}: {error}"
        except OSError as error:
            self.problem = f"{self._path}: {error}"

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _load(self, target: str) -> list[Any]:
        return self._rows("SELECT test, duration, verdict FROM tests WHERE target = ?", target)

    def _rows(self, statement: str, *values: object) -> list[Any]:
        if self._connection is None:
            return []
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            self.problem = str(error)
            return []

    def _write(self, record: RunRecord, changed: list[TestRecord]) -> list[int]:
        connection = self._connection
        if connection is None:
            return []
        numbers: list[int] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for test in changed:
                values = (record.target, test.test, test.verdict, record.run, record.at, test.duration, test.message)
                numbers.append(connection.execute(_CHANGE, values).lastrowid or 0)
            connection.executemany(
                _UPSERT,
                (
                    (record.target, found.test, found.duration, found.verdict, int(found.verdict in BAD), record.at,
                     record.run)
                    for found in record.tests
                ),
            )  # fmt: skip
            connection.execute(
                "INSERT INTO runs VALUES (NULL, ?, ?, ?, ?, ?, ?)",
                (record.run, record.target, record.at, record.duration, record.exit_code, json.dumps(record.counts)),
            )
            self._prune(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.problem = f"{self._path}: {error}"
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            return []
        return numbers

    def _earlier(self, changes: list[int]) -> set[int]:
        found = {row[0] for number in changes for row in self._rows(_PREVIOUS, number)}
        found.update(row[0] for row in self._rows("SELECT max(number) FROM generations") if row[0] is not None)
        return found - {0}

    def _stamp(self, record: RunRecord, changes: list[int], stamp: Stamp) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._keep_generation(connection, stamp)
            for number in changes:
                (previous,) = connection.execute(_PREVIOUS, (number,)).fetchone() or (0,)
                known = 0 < previous <= stamp.generation  # else of another count of generations
                files = stamp.differing.get(previous, [])
                values = (stamp.generation, previous if known else 0, *_told(files), number)
                connection.execute(
                    "UPDATE changes SET generation = ?, previous = ?, files = ?, more = ? WHERE number = ?", values
                )
            connection.execute(
                "UPDATE tests SET generation = ? WHERE target = ? AND at = ?",
                (stamp.generation, record.target, record.at),
            )
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.problem = f"{self._path}: {error}"
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")

    @staticmethod
    def _keep_generation(connection: sqlite3.Connection, stamp: Stamp) -> None:
        """Write the generation down, with what changed since the one before that was written down."""
        (last,) = connection.execute("SELECT max(number) FROM generations").fetchone()
        if last == stamp.generation:
            return
        if last is not None and last > stamp.generation:  # they are counted anew
            connection.execute("DELETE FROM generations")
        files = stamp.differing.get(last, []) if last is not None else []
        connection.execute(
            "INSERT INTO generations VALUES (?, ?, ?, ?, ?)", (stamp.generation, stamp.at, stamp.head, *_told(files))
        )
        connection.execute("DELETE FROM generations WHERE number <= ?", (stamp.generation - GENERATIONS_KEPT,))

    def _prune(self, connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM runs WHERE number <= (SELECT max(number) FROM runs) - ?", (RUNS_KEPT,))
        connection.execute("DELETE FROM changes WHERE number <= (SELECT max(number) FROM changes) - ?", (CHANGES_KEPT,))
        (number,) = connection.execute("SELECT max(number) FROM runs").fetchone()
        if number % 50 == 0:  # looks at every test
            connection.execute("DELETE FROM tests WHERE at < ?", (time.time() - DAYS_KEPT * 86400,))

    def _runs(self, limit: int) -> list[HistoryEntry]:
        rows = self._rows(
            "SELECT run, target, at, duration, exit_code, counts FROM runs ORDER BY number DESC LIMIT ?", limit
        )
        return [
            HistoryEntry(run=run, test="", target=target, verdict=_word(code), at=at, duration=duration,
                         counts=json.loads(counts))
            for run, target, at, duration, code, counts in rows
        ]  # fmt: skip

    def _tests(self, test: str, limit: int) -> list[HistoryEntry]:
        """Return the state of each test that matches, each followed by the changes of its verdict."""
        pattern = "%" + test.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        found = self._rows(
            "SELECT target, test, duration, verdict, runs, failures, at FROM tests WHERE test LIKE ? ESCAPE '\\'"
            " ORDER BY test = ? DESC, failures DESC, at DESC LIMIT ?", pattern, test, limit,
        )  # fmt: skip
        entries = []
        for target, name, duration, verdict, runs, failures, at in found:
            entries.append(
                HistoryEntry(run="", test=name, target=target, verdict=verdict, at=at, duration=duration, runs=runs,
                             failures=failures)
            )  # fmt: skip
            entries += self._changes(target, name, limit)
        return entries

    def _changes(self, target: str, test: str, limit: int) -> list[HistoryEntry]:
        rows = self._rows(
            "SELECT run, verdict, changes.at, duration, message, generation, previous, changes.files, changes.more,"
            " head FROM changes LEFT JOIN generations ON generations.number = generation"
            " WHERE test = ? AND target = ? ORDER BY changes.number DESC LIMIT ?", test, target, limit,
        )  # fmt: skip
        return [
            HistoryEntry(run=run, test=test, target=target, verdict=verdict, at=at, duration=duration, message=message,
                         generation=generation, previous=previous, changed=json.loads(files), more=more,
                         commit=head or "")
            for run, verdict, at, duration, message, generation, previous, files, more, head in rows
        ]  # fmt: skip

    def _flaky(self, limit: int) -> list[HistoryEntry]:
        """Return the tests whose verdict changed while nothing else did: most often, then last, first."""
        rows = self._rows(
            "SELECT target, test, count(*), max(number), max(at) FROM changes"
            " WHERE generation > 0 AND previous > 0 AND files = '[]'"
            " GROUP BY target, test ORDER BY count(*) DESC, max(at) DESC LIMIT ?", limit,
        )  # fmt: skip
        entries = []
        for target, test, times, number, at in rows:
            state = self._rows("SELECT verdict, duration, runs, failures FROM tests WHERE target = ? AND test = ?",
                               target, test)  # fmt: skip
            message = self._rows(
                "SELECT message FROM changes WHERE target = ? AND test = ? AND message != '' AND number <= ?"
                " ORDER BY number DESC LIMIT 1", target, test, number,
            )  # fmt: skip
            for verdict, duration, runs, failures in state:
                entries.append(
                    HistoryEntry(run="", test=test, target=target, verdict=verdict, at=at, duration=duration, runs=runs,
                                 failures=failures, flips=times, message=message[0][0] if message else "")
                )  # fmt: skip
        return entries


def _word(exit_code: int) -> str:
    words = {0: "passed", 1: "failed", 2: "cancelled", 5: "no tests"}
    return words.get(exit_code, "error")


def _told(files: list[str]) -> tuple[str, int]:
    """Return the files that are named, as JSON, and how many more there are."""
    return json.dumps(files[:FILES_KEPT]), max(0, len(files) - FILES_KEPT)
