"""The journal's database: runs and their events, in SQLite. Runs in the handler's journal thread.

No event loop, no messages: a body is bytes. The database is in WAL mode with an exclusive lock, so there is no
shared-memory file, and a commit survives the death of any process (`synchronous=NORMAL`: a power cut may lose the
last ones, never the order). An event's row id is its run's number and its sequence number in one, so that events of a
run lie together without a second index.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from testd_daemon.errors import JournalError, JournalFull

__all__ = ["Entry", "RunRow", "Store"]

SCHEMA_VERSION: Final = 1
#: Sequence numbers have 32 bits of an event's row id.
SEQ_BITS: Final = 32
#: Pages of write-ahead log between two checkpoints, each of which waits for the disk: 16 MB.
CHECKPOINT_PAGES: Final = 4000

#: Seconds to wait for another process that has the database open: it should not be there at all.
LOCK_DEADLINE: Final = 2.0

SCHEMA: Final = """
CREATE TABLE runs(
    number INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT UNIQUE NOT NULL, key TEXT NOT NULL, workspace TEXT NOT NULL,
    request BLOB NOT NULL, state TEXT NOT NULL, accepted_at REAL NOT NULL, finished_at REAL, exit_code INTEGER,
    detach INTEGER NOT NULL, counts TEXT NOT NULL, tests INTEGER NOT NULL, events INTEGER NOT NULL,
    bytes INTEGER NOT NULL
);
CREATE UNIQUE INDEX runs_key ON runs(key) WHERE key != '';
CREATE TABLE events(id INTEGER PRIMARY KEY, body BLOB NOT NULL);
"""

_SELECT: Final = (
    "SELECT number, run, key, workspace, request, state, accepted_at, finished_at, exit_code, detach, counts, tests,"
    " events, bytes FROM runs"
)
_INSERT: Final = (
    "INSERT INTO runs(run, key, workspace, request, state, accepted_at, finished_at, exit_code, detach, counts, tests,"
    " events, bytes) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
#: The request goes when its run has ended: it holds the client's environment, and only a resumed run needs it.
_UPDATE: Final = (
    "UPDATE runs SET state=?, counts=?, tests=?, events=?, exit_code=?, finished_at=?, bytes=bytes+?,"
    " request=CASE WHEN ? IS NULL THEN request ELSE x'' END WHERE number=?"
)


@dataclass(frozen=True)
class RunRow:
    """One run as the journal has it. `number` is 0 until it is stored; `events` is the last sequence number."""

    run: str
    key: str
    workspace: str
    request: bytes
    state: str
    accepted_at: float
    detach: bool
    number: int = 0
    finished_at: float | None = None
    exit_code: int | None = None
    counts: dict[str, int] = field(default_factory=dict)
    tests: int = 0
    events: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class Entry:
    """One event to be stored, and what is known of its run with it."""

    number: int
    seq: int
    body: bytes
    state: str
    counts: dict[str, int]
    tests: int
    exit_code: int | None = None  # set on the last event


class _Unreadable(JournalError):
    """What is there is no journal of ours, or not any more."""


class Store:
    """The open database. Use it from one thread. Raises JournalFull and JournalError."""

    def __init__(self, path: str, *, max_pages: int = 0) -> None:
        """Open or create the database. One that cannot be read is moved aside: see `notice`."""
        self.path = path
        self.notice = ""
        self._max_pages = max_pages
        try:
            self._connection = self._open()
        except _Unreadable as error:
            self._move_aside(error)
            self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        with _border(self.path):
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
            os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600))  # SQLite gives its log the same mode
            connection = sqlite3.connect(self.path, timeout=LOCK_DEADLINE, isolation_level=None)
        try:
            with _border(self.path):
                self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit={CHECKPOINT_PAGES * 4096}")
        if self._max_pages:
            connection.execute(f"PRAGMA max_page_count={self._max_pages}")
        if version == 0:
            connection.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            raise _Unreadable(f"{self.path} was written by another version of testd (schema {version})")
        connection.execute(_SELECT).fetchall()  # reads every page of it: damage shows here
        connection.execute("SELECT id FROM events ORDER BY id DESC LIMIT 1").fetchone()

    def _move_aside(self, error: JournalError) -> None:
        aside = f"{self.path}.unreadable-{time.strftime('%Y%m%dT%H%M%S')}"
        self.notice = f"the journal could not be read ({error.message}); it was moved to {aside} and a new one begun"
        with _border(self.path):
            os.replace(self.path, aside)  # noqa: PTH105
        for suffix in ("-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.path + suffix)  # noqa: PTH107

    def add(self, row: RunRow) -> RunRow:
        """Store a run and return it with its number; a run with a key that is known is returned as it is."""
        with self._transaction() as connection:
            if row.key and (known := self._find("key = ?", row.key)) is not None:
                return known
            cursor = connection.execute(
                _INSERT,
                (row.run, row.key, row.workspace, row.request, row.state, row.accepted_at, row.finished_at,
                 row.exit_code, row.detach, json.dumps(row.counts), row.tests, row.events, row.bytes),
            )  # fmt: skip
        assert cursor.lastrowid is not None
        return replace(row, number=cursor.lastrowid)

    def append(self, entries: Sequence[Entry]) -> None:
        """Store events, all or none, in one commit."""
        last: dict[int, Entry] = {}
        sizes: dict[int, int] = {}
        for entry in entries:
            last[entry.number] = entry
            sizes[entry.number] = sizes.get(entry.number, 0) + len(entry.body)
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO events(id, body) VALUES(?, ?)",
                [(entry.number << SEQ_BITS | entry.seq, entry.body) for entry in entries],
            )
            for number, entry in last.items():
                finished_at = time.time() if entry.exit_code is not None else None
                connection.execute(
                    _UPDATE,
                    (entry.state, json.dumps(entry.counts), entry.tests, entry.seq, entry.exit_code, finished_at,
                     sizes[number], finished_at, number),
                )  # fmt: skip

    def read(self, number: int, after: int, limit: int) -> list[tuple[int, bytes]]:
        """Read a run's events after a sequence number: about `limit` bytes of them, at least one if there is any."""
        found: list[tuple[int, bytes]] = []
        with _border(self.path):
            rows = self._connection.execute(
                "SELECT id, body FROM events WHERE id > ? AND id < ? ORDER BY id",
                (number << SEQ_BITS | after, (number + 1) << SEQ_BITS),
            )
            for key, body in rows:
                found.append((key & ((1 << SEQ_BITS) - 1), body))
                limit -= len(body)
                if limit <= 0:
                    break
            rows.close()
        return found

    def forget(self, number: int, before: int) -> None:
        """Remove a run's events in front of a sequence number."""
        with self._transaction() as connection:
            condition = "id > ? AND id < ?"
            keys = (number << SEQ_BITS, number << SEQ_BITS | before)
            (size,) = connection.execute(f"SELECT total(length(body)) FROM events WHERE {condition}", keys).fetchone()  # noqa: S608  the condition is ours
            connection.execute(f"DELETE FROM events WHERE {condition}", keys)  # noqa: S608
            connection.execute("UPDATE runs SET bytes = bytes - ? WHERE number = ?", (int(size), number))

    def find(self, run: str) -> RunRow | None:
        """Look a run up by its id; the empty id means the newest."""
        with _border(self.path):
            if run:
                return self._find("run = ?", run)
            return self._find("number = (SELECT max(number) FROM runs WHERE ? = '')", run)

    def unfinished(self) -> list[RunRow]:
        """List the runs that have no end, oldest first."""
        with _border(self.path):
            rows = self._connection.execute(f"{_SELECT} WHERE finished_at IS NULL ORDER BY number")
            return [_row(row) for row in rows]

    def recent(self, limit: int) -> list[RunRow]:
        """List the newest finished runs, newest first."""
        with _border(self.path):
            rows = self._connection.execute(
                f"{_SELECT} WHERE finished_at IS NOT NULL ORDER BY number DESC LIMIT ?", (limit,)
            )
            return [_row(row) for row in rows]

    def prune(self, keep_runs: int, keep_bytes: int) -> int:
        """Remove the oldest finished run that is over one of the limits; return how many more there are."""
        with _border(self.path):
            rows = self._connection.execute(
                "SELECT number, bytes FROM runs WHERE finished_at IS NOT NULL ORDER BY number DESC"
            ).fetchall()
        total, over = 0, []
        for position, (number, size) in enumerate(rows):
            total += size
            if position and (position >= keep_runs or total > keep_bytes):
                over.append(number)
        if not over:
            return 0
        with self._transaction() as connection:
            connection.execute(
                "DELETE FROM events WHERE id > ? AND id < ?", (over[-1] << SEQ_BITS, (over[-1] + 1) << SEQ_BITS)
            )
            connection.execute("DELETE FROM runs WHERE number = ?", (over[-1],))
        with _border(self.path):
            connection.execute("PRAGMA incremental_vacuum").fetchall()
        return len(over) - 1

    def close(self) -> None:
        """Close the database; its write-ahead log is folded in, unless there is no room."""
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def _find(self, condition: str, value: str) -> RunRow | None:
        row = self._connection.execute(f"{_SELECT} WHERE {condition}", (value,)).fetchone()
        return _row(row) if row is not None else None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit at the end of the block, or roll back and raise what went wrong as ours."""
        connection = self._connection
        with _border(self.path):
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself where the disk was full
                    connection.execute("ROLLBACK")
                raise


def _row(row: tuple[object, ...]) -> RunRow:
    number, run, key, workspace, request, state, accepted, finished, code, detach, counts, tests, events, size = row
    return RunRow(
        number=number, run=run, key=key, workspace=workspace, request=request, state=state, accepted_at=accepted,  # type: ignore[arg-type]
        finished_at=finished, exit_code=code, detach=bool(detach), counts=json.loads(counts), tests=tests,  # type: ignore[arg-type]
        events=events, bytes=size,  # type: ignore[arg-type]
    )  # fmt: skip


@contextlib.contextmanager
def _border(path: str) -> Iterator[None]:
    """Turn what SQLite and the file system raise into ours."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translate(path, error) from error
    except OSError as error:
        kind = JournalFull if error.errno in (errno.ENOSPC, errno.EDQUOT) else JournalError
        raise kind(f"{path}: {error.strerror}", hint=_hint(path)) from error


def _translate(path: str, error: sqlite3.Error) -> JournalError:
    """Tell a full disk, a broken file and a file in use apart, by what SQLite says: its codes came with Python 3.11."""
    text = str(error)
    if "is full" in text or _disk_is_full(path, text):
        return JournalFull(f"no room for the journal: {path}: {text}", hint=_hint(path))
    if "not a database" in text or "malformed" in text:
        return _Unreadable(f"{path}: {text}", hint=f"stop the daemon (testd stop) and move {path} away")
    if "locked" in text:
        return JournalError(
            f"{path} is in use by another daemon",
            hint="one with another runtime folder? give each its own TESTD_STATE_DIR, or stop the other one",
        )
    return JournalError(f"{path}: {text}", hint=_hint(path))


def _disk_is_full(path: str, text: str) -> bool:
    """Whether an I/O error is a full disk in disguise, as it is where the log or its index could not grow."""
    if "I/O error" not in text and "unable to open" not in text:
        return False
    try:
        found = os.statvfs(os.path.dirname(path))  # noqa: PTH120
    except OSError:
        return False
    return found.f_bavail * found.f_frsize < 64 * 1024 or (found.f_files > 0 and found.f_favail == 0)


def _hint(path: str) -> str:
    return f"free some space there, or set TESTD_STATE_DIR to a folder on another disk (now {os.path.dirname(path)})"  # noqa: PTH120
