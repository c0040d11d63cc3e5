"""The record on disk: SQLite, in the agent's state folder. Runs in the agent, in a thread, one call at a time.

It is a help, never a condition: where it cannot be written everything counts as affected after the agent's end, and a
file that cannot be read is put aside and begun anew.
"""

from __future__ import annotations

import contextlib
import os
import platform
import sqlite3
from array import array
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from testd_daemon.agent.affected.book import Book, Entry, Part
from testd_daemon.agent.affected.fingerprint import Source
from testd_daemon.agent.affected.state import Seen, State

__all__ = ["Store"]

#: To be counted up with every change of what digests are made of; they depend on the interpreter's syntax tree too.
_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (
    number INTEGER PRIMARY KEY, path TEXT NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS sets (number INTEGER PRIMARY KEY, members BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tests (
    target TEXT NOT NULL, test TEXT NOT NULL, base INTEGER NOT NULL, own INTEGER NOT NULL, generation INTEGER NOT NULL,
    everything INTEGER NOT NULL, at REAL NOT NULL, PRIMARY KEY (target, test)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS written (
    target TEXT NOT NULL, path TEXT NOT NULL, PRIMARY KEY (target, path)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, signature BLOB NOT NULL, content BLOB NOT NULL, since INTEGER NOT NULL, source BLOB,
    versions BLOB NOT NULL) WITHOUT ROWID;
"""


class _KeptSource(msgspec.Struct, array_like=True):
    """A source without the places of its functions."""

    parts: dict[str, bytes]
    imports: list[str]
    reads_docs: bool
    dynamic: bool


_encode = msgspec.msgpack.Encoder().encode
_signature = msgspec.msgpack.Decoder(tuple[int, ...]).decode
_versions = msgspec.msgpack.Decoder(list[tuple[int, bytes]]).decode
_source = msgspec.msgpack.Decoder(_KeptSource).decode


class Store:
    """One file, or `:memory:`. What cannot be done is noted in `problem`; nothing is raised."""

    def __init__(self, path: str) -> None:
        """Open nothing yet."""
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._last_part = self._last_set = 0
        self._saved: dict[str, tuple[object, ...]] = {}  # what is on disk of each file
        self.problem = ""

    def open(self, state: State) -> Book:
        """Open the file and return all that is in it; what is known of files goes to `state`."""
        book = Book()
        if not self._try(book, state):
            with contextlib.suppress(OSError):
                os.replace(self._path, self._path + ".broken")
            book = Book()
            self._try(book, state)
        return book

    def _try(self, book: Book, state: State) -> bool:
        """Open and load; False: the file is broken."""
        self.problem = ""
        try:
            self._connection = self._connect()
            self._load(book, state)
        except OSError as error:
            self.problem = f"{self._path}: {error}"
        except (sqlite3.Error, msgspec.DecodeError, ValueError) as error:
            self.close()
            self.problem = f"{self._path}: {error}"
            return False
        return True

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> sqlite3.Connection:
        if self._path != ":memory:":
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=5.0, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = OFF")  # what a power cut takes is recorded by the next run
            connection.executescript(_SCHEMA)
            ours = f"{_VERSION} {platform.python_version()}"
            kept = connection.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
            if kept is not None and kept[0] != ours:  # digests of another kind: everything is affected once
                for table in ("parts", "sets", "tests", "written", "files", "meta"):
                    connection.execute(f"DELETE FROM {table}")  # noqa: S608  the names are ours
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('version', ?)", (ours,))
        except BaseException:
            connection.close()
            raise
        return connection

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _load(self, book: Book, state: State) -> None:
        connection = self._connection
        assert connection is not None
        kept = connection.execute("SELECT value FROM meta WHERE name = 'generation'").fetchone()
        state.generation = int(kept[0]) if kept is not None else 1
        for (name,) in connection.execute("SELECT name FROM meta WHERE name LIKE 'out of date: %'").fetchall():
            connection.execute("DELETE FROM tests WHERE target = ?", (name.removeprefix("out of date: "),))
        for number, path, key, digest in connection.execute("SELECT number, path, key, digest FROM parts"):
            book.put_part(number, Part(path, key, digest))
        for number, members in connection.execute("SELECT number, members FROM sets"):
            book.put_set(number, array("I", members))
        for target, test, base, own, generation, everything, at in connection.execute("SELECT * FROM tests"):
            if base in book.sets and own in book.sets:
                book.shelf(target).tests[test] = Entry(base, own, generation, bool(everything), at)
        for name, root in connection.execute("SELECT name, value FROM meta WHERE name LIKE 'root of %'"):
            book.shelf(name.removeprefix("root of ")).root = root
        for target, path in connection.execute("SELECT target, path FROM written"):
            book.shelf(target).written.add(path)
        for path, signature, content, since, source, versions in connection.execute("SELECT * FROM files"):
            seen = state.seen[path] = Seen(_signature(signature), content, since)
            if source is not None:
                found = _source(source)
                seen.source = Source(
                    found.parts, imports=frozenset(found.imports), reads_docs=found.reads_docs, dynamic=found.dynamic
                )
            known = _versions(versions)
            if known:
                state.versions[path] = known
        self._last_part, self._last_set = max(book.parts, default=0), max(book.sets, default=0)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def mark(self, target: str) -> None:
        """Note that records of a target are out of date, until `save` or `forget`."""
        self._write(lambda connection: connection.execute(
            "INSERT OR REPLACE INTO meta VALUES (?, '')", (f"out of date: {target}",)))  # fmt: skip

    def forget(self, target: str, tests: Iterable[str]) -> None:
        """Take the records of these tests."""

        def work(connection: sqlite3.Connection) -> None:
            _delete(connection, target, tests)
            connection.execute("DELETE FROM meta WHERE name = ?", (f"out of date: {target}",))

        self._write(work)

    def save(self, book: Book, state: State, target: str, tests: Iterable[str]) -> None:
        """Write the records of these tests, what they hold, and what is new of files."""

        def work(connection: sqlite3.Connection) -> None:
            parts = [(n, *part) for n, part in book.parts.items() if n > self._last_part]
            connection.executemany("INSERT OR REPLACE INTO parts VALUES (?, ?, ?, ?)", parts)
            sets = [(n, members.tobytes()) for n, members in book.sets.items() if n > self._last_set]
            connection.executemany("INSERT OR REPLACE INTO sets VALUES (?, ?)", sets)
            shelf = book.shelf(target)
            root = connection.execute("SELECT value FROM meta WHERE name = ?", (f"root of {target}",)).fetchone()
            if root is not None and root[0] != shelf.root:  # the same names meant other tests
                connection.execute("DELETE FROM tests WHERE target = ?", (target,))
            _delete(connection, target, (test for test in tests if test not in shelf.tests))
            rows = ((target, test, *shelf.tests[test]) for test in tests if test in shelf.tests)
            connection.executemany("INSERT OR REPLACE INTO tests VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            connection.executemany(
                "INSERT OR IGNORE INTO written VALUES (?, ?)", ((target, path) for path in shelf.written)
            )
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"root of {target}", shelf.root))
            connection.execute("DELETE FROM meta WHERE name = ?", (f"out of date: {target}",))
            self._save_files(connection, state)
            self._last_part, self._last_set = max(book.parts, default=0), max(book.sets, default=0)

        self._write(work)

    def drop(self, sets: Iterable[int], parts: Iterable[int]) -> None:
        """Take what no test holds any more."""

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM sets WHERE number = ?", ((number,) for number in sets))
            connection.executemany("DELETE FROM parts WHERE number = ?", ((number,) for number in parts))

        self._write(work)

    def _save_files(self, connection: sqlite3.Connection, state: State) -> None:
        rows = []
        for path, seen in state.seen.items():
            now = seen.signature, seen.settled, seen.content, seen.source is not None, len(state.versions.get(path, ()))
            if self._saved.get(path) == now:
                continue
            self._saved[path] = now
            source = None
            if seen.source is not None:
                source = _encode(_KeptSource(seen.source.parts, sorted(seen.source.imports), seen.source.reads_docs,
                                             seen.source.dynamic))  # fmt: skip
            signature = seen.signature if seen.settled else (-1,)  # equal to none: it is read again
            rows.append((path, _encode(signature), seen.content, seen.since, source,
                         _encode(state.versions.get(path, []))))  # fmt: skip
        connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)", rows)
        connection.execute("INSERT OR REPLACE INTO meta VALUES ('generation', ?)", (str(state.generation),))

    def _write(self, work: Callable[[sqlite3.Connection], object]) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            connection.execute("BEGIN IMMEDIATE")
            work(connection)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.problem = f"{self._path}: {error}"
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")


def _delete(connection: sqlite3.Connection, target: str, tests: Iterable[str]) -> None:
    connection.executemany("DELETE FROM tests WHERE target = ? AND test = ?", ((target, test) for test in tests))
