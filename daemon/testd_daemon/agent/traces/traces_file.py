"""The file of the traces: its tables. Runs in the agent."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from typing import Final

__all__ = ["connect"]

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS traces (
    number INTEGER PRIMARY KEY, trace TEXT NOT NULL UNIQUE, kept REAL NOT NULL, recording TEXT NOT NULL,
    name TEXT NOT NULL, module TEXT NOT NULL, file TEXT NOT NULL, successful INTEGER NOT NULL,
    size INTEGER NOT NULL, pages INTEGER NOT NULL, entry BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS traces_of_a_recording ON traces (recording);
CREATE TABLE IF NOT EXISTS pages (
    trace TEXT NOT NULL, page INTEGER NOT NULL, data BLOB NOT NULL, UNIQUE (trace, page));
CREATE TABLE IF NOT EXISTS drops (recording TEXT PRIMARY KEY, dropped INTEGER NOT NULL, at REAL NOT NULL);
DELETE FROM pages WHERE trace NOT IN (SELECT trace FROM traces);
"""


def connect(path: str) -> sqlite3.Connection:
    """Open the file, or `:memory:`; what is no file of ours is put aside, and one begun anew.

    Raises:
        OSError, sqlite3.Error: there can be none.

    """
    try:
        return _connect(path)
    except sqlite3.DatabaseError:
        with contextlib.suppress(OSError):
            os.replace(path, path + ".broken")
        return _connect(path)


def _connect(path: str) -> sqlite3.Connection:
    if path != ":memory:":
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA auto_vacuum = FULL")  # what is forgotten gives its room back
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")  # a power cut may cost traces, and nothing else
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"made by another version ({version})")
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection
