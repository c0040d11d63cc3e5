"""The requests that have changed an embedded store, in SQLite: enough to make it again. One thread at a time.

An object that is put again and again, such as a log, is in it once. What is in it survives the process, not the
machine: a run whose machine went down begins anew.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

__all__ = ["Journal", "Request", "upload_in"]

_TABLE: Final = """CREATE TABLE IF NOT EXISTS requests (sequence INTEGER PRIMARY KEY, at REAL NOT NULL,
    object TEXT NOT NULL, environ TEXT NOT NULL, body BLOB NOT NULL, upload TEXT NOT NULL)"""
_INDEX: Final = "CREATE INDEX IF NOT EXISTS by_object ON requests (object) WHERE object != ''"
#: What belongs to a connection, or would not hold again.
_NOT_KEPT: Final = re.compile(
    r"REMOTE_|SERVER_|wsgi\.|werkzeug\.|CONTENT_LENGTH|HTTP_(IF_|EXPECT|TRANSFER_ENCODING|CONNECTION)"
)
_SERVER: Final = {"SERVER_NAME": "127.0.0.1", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": ""}
_UPLOAD: Final = re.compile(rb"<UploadId>([^<]+)</UploadId>")


class Request(NamedTuple):
    """A request, and what has to be known of its answer."""

    at: float  # wall clock
    object: str  # the path of the object that is put or deleted as a whole; empty: it does something else
    kept: str  # JSON: its environ, as far as it is text
    body: bytes
    upload: str  # the number that an upload in parts was given

    @classmethod
    def of(cls, environ: dict[str, Any], body: bytes, answer: bytes) -> Request:
        """Take down a request that succeeded."""
        kept = {
            name: value
            for name, value in environ.items()
            if isinstance(value, str | dict) and not _NOT_KEPT.match(name)
        }
        path, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        whole = not query and path.count("/") > 1 and environ["REQUEST_METHOD"] in ("PUT", "DELETE")
        copied = "HTTP_X_AMZ_COPY_SOURCE" in environ
        return cls(
            at=time.time(),
            object=path if whole and not copied else "",
            kept=json.dumps(kept),
            body=body,
            upload=upload_in(answer) if query.startswith("uploads") else "",
        )

    def environ(self) -> dict[str, Any]:
        """Return it as WSGI has it, body apart."""
        return {
            **_SERVER,
            **json.loads(self.kept),
            "wsgi.url_scheme": "http",
            "wsgi.version": (1, 0),
            "wsgi.errors": None,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }


class Journal:
    """The requests of one store."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it. Raises sqlite3.Error."""
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=OFF", _TABLE, _INDEX):
            self._connection.execute(statement)
        self._firm = self._last_other()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def requests(self) -> Iterator[Request]:
        """Yield all, in their order."""
        for row in self._connection.execute("SELECT at, object, environ, body, upload FROM requests ORDER BY sequence"):
            yield Request(*row)

    def add(self, request: Request) -> None:
        """Add a request. It takes the place of what was put under the same name, if nothing else came after that."""
        self._connection.execute("BEGIN")
        if request.object:
            self._connection.execute(
                "DELETE FROM requests WHERE object = ? AND sequence > ?", (request.object, self._firm)
            )
        cursor = self._connection.execute(
            "INSERT INTO requests (at, object, environ, body, upload) VALUES (?, ?, ?, ?, ?)", request
        )
        if not request.object:
            self._firm = cursor.lastrowid or 0
        self._connection.execute("COMMIT")

    def _last_other(self) -> int:
        found = self._connection.execute("SELECT max(sequence) FROM requests WHERE object = ''").fetchone()
        return int(found[0] or 0)


def upload_in(answer: bytes) -> str:
    """Return the number that an answer gives an upload in parts."""
    found = _UPLOAD.search(answer)
    return found[1].decode() if found else ""
