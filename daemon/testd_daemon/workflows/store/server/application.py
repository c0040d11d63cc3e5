"""What the embedded store answers: moto's S3, one request after the other, with a journal of what has changed it."""

from __future__ import annotations

import io
import threading
from pathlib import Path
from typing import Any, Final

from moto.moto_server.werkzeug_app import create_backend_app

from testd_daemon.workflows.store.server.journal import Journal, Request
from testd_daemon.workflows.store.server.replay import replay
from testd_daemon.workflows.store.server.serving import Answer
from testd_daemon.workflows.store.server.shortcut import shortcut

__all__ = ["Application"]

_CHANGING: Final = {"PUT", "POST", "DELETE"}
_WARM: Final = '{"REQUEST_METHOD": "%s", "PATH_INFO": "/warm-up", "RAW_URI": "/warm-up", "HTTP_HOST": "127.0.0.1"}'


class Application:
    """Answers requests. Any thread may call it."""

    def __init__(self) -> None:
        """Load all that requests need."""
        self._s3: Any = create_backend_app("s3")
        # moto looks, and then acts: whoever comes in between would break what conditional requests promise.
        self._turn = threading.Lock()
        self._journal: Journal | None = None
        for method in ("PUT", "HEAD", "DELETE"):  # moto loads much with the first of its requests, 0.1 s long
            self._answer(Request(0.0, "", _WARM % method, b"", "").environ(), b"")

    def begin(self, journal: Path) -> None:
        """Take up what a journal has, and write into it from now on. Raises sqlite3.Error."""
        self._journal = Journal(journal)
        replay(self._journal.requests(), lambda request: self._either(request.environ(), request.body)[2])

    def __call__(self, environ: dict[str, Any], body: bytes) -> Answer:
        """Answer a request: its head as WSGI has it, and its body, which nobody has to wait for any more."""
        with self._turn:
            answer = self._either(environ, body)
            if self._journal and environ["REQUEST_METHOD"] in _CHANGING and answer[0].startswith("2"):
                self._journal.add(Request.of(environ, body, answer[2]))
        return answer

    def _either(self, environ: dict[str, Any], body: bytes) -> Answer:
        return shortcut(environ, body) or self._answer(environ, body)

    def _answer(self, environ: dict[str, Any], body: bytes) -> Answer:
        begun: list[Any] = []
        environ = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        pieces = self._s3(environ, lambda *said: begun.extend(said))
        try:
            content = b"".join(pieces)
        finally:
            pieces.close()
        return begun[0], begun[1], content
