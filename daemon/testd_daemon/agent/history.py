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

from testd_daemon.agent.plan import BAD
from testd_protocol.messages import HistoryEntry

__all__ = ["History", "Known", "RunRecord", "TestRecord"]

#: How much of a new duration enters the average.
WEIGHT: Final = 0.4
#: What is kept: runs, changes of verdicts, and days for which a test that is not run any more is remembered.
RUNS_KEPT: Final = 500
CHANGES_KEPT: Final = 20_000
DAYS_KEPT: Final = 90
_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS tests (
    target TEXT NOT NULL, test TEXT NOT NULL, duration REAL NOT NULL, verdict TEXT NOT NULL,
    runs INTEGER NOT NULL, failures INTEGER NOT NULL, at REAL NOT NULL, run TEXT NOT NULL,
    PRIMARY KEY (target, test)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
    number INTEGER PRIMARY KEY, target TEXT NOT NULL, test TEXT NOT NULL, verdict TEXT NOT NULL,
    run TEXT NOT NULL, at REAL NOT NULL, duration REAL NOT NULL, message TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS changes_of_a_test ON changes (test);
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY, run TEXT NOT NULL, target TEXT NOT NULL, at REAL NOT NULL, duration REAL NOT NULL,
    exit_code INTEGER NOT NULL, counts TEXT NOT NULL);
"""
_UPSERT: Final = f"""
INSERT INTO tests VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7)
ON CONFLICT (target, test) DO UPDATE SET
    duration = duration * {1 - WEIGHT} + excluded.duration * {WEIGHT},
    verdict = excluded.verdict, runs = runs + 1, failures = failures + excluded.failures,
    at = excluded.at, run = excluded.run
"""  # noqa: S608  the weight is ours
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

    async def record(self, record: RunRecord) -> None:
        """Remember a run. What cannot be written is noted in `problem`; nothing is raised."""
        known = self._known.setdefault(record.target, Known())
        changed = [test for test in record.tests if known.learn(test)]
        await self._in_thread(lambda: self._write(record, changed))

    def complaints(self) -> list[str]:
        """Return what a user should be told, once."""
        problem, self.problem = self.problem, ""
        return [f"the history of earlier runs cannot be kept: {problem}"] if problem else []

    async def report(self, test: str, limit: int) -> list[HistoryEntry]:
        """Return the newest entries: of the runs, or of the tests whose id has `test` in it."""
        return await self._in_thread(lambda: self._tests(test, limit) if test else self._runs(limit))

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        # Not to be cancelled (the default): a write is short, and half of one is worth nothing.
        return await anyio.to_thread.run_sync(work, limiter=self._limiter)

    # ── in the thread ────────────────────────────────────────────────────────────────────────────────────────────────

    def _open(self) -> None:
        try:
            self._connection = self._connect()
        except sqlite3.DatabaseError:
            with contextlib.suppress(OSError):
                os.replace(self._path, self._path + ".broken")
            try:
                self._connection = self._connect()
            except sqlite3.Error as error:
                self.problem = f"{self._path}: {error}"
        except OSError as error:
            self.problem = f"{self._path}: {error}"

    def _connect(self) -> sqlite3.Connection:
        if self._path != ":memory:":
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=5.0, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")  # a power cut may cost history, never a verdict
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError(f"made by another version ({version})")
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        except BaseException:
            connection.close()
            raise
        return connection

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

    def _write(self, record: RunRecord, changed: list[TestRecord]) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                _UPSERT,
                (
                    (record.target, found.test, found.duration, found.verdict, int(found.verdict in BAD), record.at,
                     record.run)
                    for found in record.tests
                ),
            )  # fmt: skip
            connection.executemany(
                "INSERT INTO changes VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (record.target, found.test, found.verdict, record.run, record.at, found.duration, found.message)
                    for found in changed
                ),
            )
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
            "SELECT run, verdict, at, duration, message FROM changes WHERE test = ? AND target = ?"
            " ORDER BY number DESC LIMIT ?", test, target, limit,
        )  # fmt: skip
        return [
            HistoryEntry(run=run, test=test, target=target, verdict=verdict, at=at, duration=duration, message=message)
            for run, verdict, at, duration, message in rows
        ]


def _word(exit_code: int) -> str:
    words = {0: "passed", 1: "failed", 2: "cancelled", 5: "no tests"}
    return words.get(exit_code, "error")
