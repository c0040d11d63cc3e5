"""Traces in SQLite: each is an entry and its pages. Runs in the agent, in one thread at a time.

A trace comes page by page and is there once its last page is; what never ends is forgotten. Nothing in here looks
inside of a page. Raises UsageError for what is asked wrongly, sqlite3.Error where the file cannot be written.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import msgspec

from testd_daemon.agent.traces.traces_file import connect
from testd_daemon.errors import UsageError
from testd_protocol.messages import ReadTrace, TraceEntry, TracePage, TraceRead
from testd_protocol.messages import Traces as AskTraces

__all__ = ["Limits", "Store"]

_ID: Final = re.compile(r"[0-9a-f]{32}")
_BEGINNING: Final = re.compile(r"[0-9a-f]{1,32}")
#: Seconds after which a trace that has not ended is given up.
_UNFINISHED: Final = 600.0
_WHERE: Final = "testd traces lists those that are kept"


class Limits(NamedTuple):
    """What is kept: the newest, whole. 0: no limit."""

    number: int = 1000
    age: float = 30 * 86400.0  # seconds
    size: int = 1024**3  # bytes of all
    largest: int = 128 * 1024**2  # bytes of one


class _Unfinished:
    """A trace of which pages have come, and not the last one."""

    def __init__(self) -> None:
        self.pages = 0
        self.size = 0
        self.at = time.monotonic()


class Store:
    """The traces of a workspace."""

    def __init__(self, path: str) -> None:
        """Open the file. Raises OSError and sqlite3.Error."""
        self._connection = connect(path)
        self._unfinished: dict[str, _Unfinished] = {}

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def keep(self, pages: Iterable[TracePage], recording: str, dropped: int, limits: Limits) -> dict[str, str]:
        """Keep pages, all at once; return which traces are not kept, and why."""
        refused: dict[str, str] = {}
        with self._transaction() as connection:
            for page in pages:
                if page.trace not in refused and (why := self._take(connection, page, recording, limits)):
                    refused[page.trace] = why
                    self._forget(connection, [page.trace])
            if dropped:
                connection.execute(
                    "INSERT INTO drops VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET dropped = dropped + ?2, at = ?3",
                    (recording, dropped, time.time()),
                )
            self._prune(connection, limits)
        return refused

    def find(self, question: AskTraces) -> tuple[list[TraceEntry], int]:
        """Return the newest entries that match, and how many further ones do."""
        parts = ("name", "module", "file")
        where = [f"instr({part}, :{part})" for part in parts if getattr(question, part)]
        where += ["recording = :recording"] if question.recording else []
        where += ["NOT successful"] if question.failed else []
        where += ["substr(trace, 1, length(:trace)) = :trace"] if question.trace else []
        asked = msgspec.structs.asdict(question)
        found = f" FROM traces WHERE {' AND '.join(where) or '1'}"  # (the columns are ours, the values are bound)
        (number,) = self._connection.execute("SELECT count(*)" + found, asked).fetchone()
        rows = self._connection.execute(f"SELECT entry, size {found} ORDER BY number DESC LIMIT :limit", asked)
        entries = [_entry(row) for row in rows]
        return entries, number - len(entries)

    def read(self, question: ReadTrace) -> TraceRead:
        """Return a page of the trace that is meant."""
        trace = self._meant(question.trace)
        entry, size, pages = self._connection.execute(
            "SELECT entry, size, pages FROM traces WHERE trace = ?", (trace,)
        ).fetchone()
        found = self._connection.execute(
            "SELECT data FROM pages WHERE trace = ? AND page = ?", (trace, question.page)
        ).fetchone()
        if found is None:
            raise UsageError(f"the trace {trace} has {pages} pages, and none is number {question.page}")
        return TraceRead(entry=_entry((entry, size)), page=question.page, pages=pages, data=found[0])

    def drop(self, traces: Iterable[str], *, everything: bool) -> list[TraceEntry]:
        """Forget traces, and return what they were; none if one of them is not there."""
        with self._transaction() as connection:
            if everything:
                rows = connection.execute("SELECT entry, size, trace FROM traces ORDER BY number DESC").fetchall()
                connection.execute("DELETE FROM drops")
            else:
                meant = dict.fromkeys(self._meant(trace) for trace in traces)
                rows = [self._row(trace) for trace in meant]
            self._forget(connection, [row[2] for row in rows])
        return [_entry(row) for row in rows]

    def dropped(self, recording: str) -> int:
        """Return how many traces applications have left out: of a recording, or of all where it is empty."""
        query = "SELECT coalesce(sum(dropped), 0) FROM drops WHERE ?1 = '' OR recording = ?1"
        (number,) = self._connection.execute(query, (recording,)).fetchone()
        return int(number)

    # ── pages ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, connection: sqlite3.Connection, page: TracePage, recording: str, limits: Limits) -> str:
        """Keep a page; return why not."""
        if not _ID.fullmatch(page.trace) or (page.entry is not None and page.entry.trace != page.trace):
            return "its id is not 32 hexadecimal digits"
        if page.page == 0:
            self._forget(connection, [page.trace])
            self._unfinished[page.trace] = _Unfinished()
        so_far = self._unfinished.get(page.trace)
        if so_far is None or so_far.pages != page.page:
            return f"page {page.page} came without those before it"
        so_far.pages += 1
        so_far.size += len(page.data)
        so_far.at = time.monotonic()
        if so_far.size > limits.largest:
            return f"it has more than {limits.largest} bytes"
        connection.execute("INSERT INTO pages VALUES (?, ?, ?)", (page.trace, page.page, page.data))
        if page.entry is not None:
            self._finish(connection, msgspec.structs.replace(page.entry, recording=recording), so_far)
        return ""

    def _finish(self, connection: sqlite3.Connection, entry: TraceEntry, had: _Unfinished) -> None:
        del self._unfinished[entry.trace]
        connection.execute(
            "INSERT INTO traces VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (entry.trace, time.time(), entry.recording, entry.name, entry.module, entry.file, entry.successful,
             had.size, had.pages, msgspec.msgpack.encode(entry)),
        )  # fmt: skip

    def _forget(self, connection: sqlite3.Connection, traces: Iterable[str]) -> None:
        for trace in traces:
            self._unfinished.pop(trace, None)
            connection.execute("DELETE FROM traces WHERE trace = ?", (trace,))
            connection.execute("DELETE FROM pages WHERE trace = ?", (trace,))

    def _prune(self, connection: sqlite3.Connection, limits: Limits) -> None:
        """Forget what is beyond the limits, the oldest first; what is kept is whole."""
        now = time.monotonic()
        gone = [trace for trace, so_far in self._unfinished.items() if so_far.at < now - _UNFINISHED]
        oldest = time.time() - limits.age if limits.age else 0.0
        rows = connection.execute(
            "SELECT trace, kept, row_number() OVER newest, sum(size) OVER newest FROM traces"
            " WINDOW newest AS (ORDER BY number DESC) ORDER BY number DESC"
        )
        for trace, kept, number, size in rows:
            crowded = (limits.number and number > limits.number) or (limits.size and size > limits.size)
            if crowded or kept < oldest:
                gone.append(trace)
        self._forget(connection, gone)
        connection.execute("DELETE FROM drops WHERE at < ?", (oldest,))

    # ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _meant(self, beginning: str) -> str:
        """Return the one trace whose id begins so."""
        if not _BEGINNING.fullmatch(beginning):
            raise UsageError(f"{beginning!r} is no trace's id: that is 32 hexadecimal digits", hint=_WHERE)
        rows = self._connection.execute(
            "SELECT trace FROM traces WHERE substr(trace, 1, ?) = ? LIMIT 3", (len(beginning), beginning)
        ).fetchall()
        if not rows:
            raise UsageError(f"there is no trace {beginning}", hint=_WHERE)
        if len(rows) > 1:
            told = ", ".join(trace for (trace,) in rows[:2]) + (" …" if len(rows) > 2 else "")
            raise UsageError(f"several traces begin with {beginning}: {told}", hint="give more of the id")
        return str(rows[0][0])

    def _row(self, trace: str) -> tuple[bytes, int, str]:
        found: tuple[bytes, int, str] = self._connection.execute(
            "SELECT entry, size, trace FROM traces WHERE trace = ?", (trace,)
        ).fetchone()
        return found

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")


def _entry(row: tuple[Any, ...]) -> TraceEntry:
    return msgspec.structs.replace(msgspec.msgpack.decode(row[0], type=TraceEntry), size=row[1])
