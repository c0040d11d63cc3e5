"""What the embedded store answers: moto's S3, one request after the other, with a journal of what has changed it."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from moto.moto_server.werkzeug_app import create_backend_app

from testd_daemon.workflows.store.server.journal import Journal, Request
from testd_daemon.workflows.store.server.replay import replay

__all__ = ["Application"]

_CHANGING: Final = {"PUT", "POST", "DELETE"}


class Application:
    """A WSGI application."""

    def __init__(self, journal: Path) -> None:
        """Take up what the journal has."""
        self._s3: Any = create_backend_app("s3")
        # moto looks, and then acts: whoever comes in between would break what conditional requests promise.
        self._turn = threading.Lock()
        self._journal = Journal(journal)
        replay(self._journal.requests(), lambda request: self._answer(request.environ(), request.body)[2])

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request. Its body is read before it has its turn: a slow client keeps nobody waiting."""
        body = _body(environ)
        with self._turn:
            status, headers, content = self._answer(environ, body)
            if environ["REQUEST_METHOD"] in _CHANGING and status.startswith("2"):
                self._journal.add(Request.of(environ, body, content))
        start_response(status, headers)
        return [content]

    def _answer(self, environ: dict[str, Any], body: bytes) -> tuple[str, list[tuple[str, str]], bytes]:
        begun: list[Any] = []
        environ = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        answer = self._s3(environ, lambda *said: begun.extend(said))
        try:
            content = b"".join(answer)
        finally:
            answer.close()
        return begun[0], begun[1], content


def _body(environ: dict[str, Any]) -> bytes:
    if environ.get("wsgi.input_terminated"):  # it came in chunks
        return bytes(environ["wsgi.input"].read())
    return bytes(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
