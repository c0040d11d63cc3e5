"""The file of the history: its tables, and how one of an earlier version is brought up to date. Runs in the agent."""

from __future__ import annotations

import os
import sqlite3
from typing import Final

__all__ = ["connect"]

_VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS tests (
    target TEXT NOT NULL, test TEXT NOT NULL, duration REAL NOT NULL, verdict TEXT NOT NULL,
    runs INTEGER NOT NULL, failures INTEGER NOT NULL, at REAL NOT NULL, run TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (target, test)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS changes (
    number INTEGER PRIMARY KEY, target TEXT NOT NULL, test TEXT NOT NULL, verdict TEXT NOT NULL,
    run TEXT NOT NULL, at REAL NOT NULL, duration REAL NOT NULL, message TEXT NOT NULL,
    generation INTEGER NOT NULL DEFAULT 0, previous INTEGER NOT NULL DEFAULT 0,
    files TEXT NOT NULL DEFAULT '[]', more INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS changes_of_a_test ON changes (test);
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY, run TEXT NOT NULL, target TEXT NOT NULL, at REAL NOT NULL, duration REAL NOT NULL,
    exit_code INTEGER NOT NULL, counts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS generations (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, head TEXT NOT NULL, files TEXT NOT NULL, more INTEGER NOT NULL);
"""
#: From version 1, which knew of no generations.
_MIGRATION: Final = (
    "ALTER TABLE tests ADD COLUMN generation INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE changes ADD COLUMN generation INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE changes ADD COLUMN previous INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE changes ADD COLUMN files TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE changes ADD COLUMN more INTEGER NOT NULL DEFAULT 0",
)


def connect(path: str) -> sqlite3.Connection:
    """Open the file, or `:memory:`. Raises OSError, and sqlite3.DatabaseError for what is no history of ours."""
    if path != ":memory:":
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # a power cut may cost history, never a verdict
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, 1, _VERSION):
            raise sqlite3.DatabaseError(f"made by another version ({version})")
        connection.executescript(_SCHEMA)
        if version == 1:
            _migrate(connection)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    """Bring a file of version 1 up to date, all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _MIGRATION:
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
