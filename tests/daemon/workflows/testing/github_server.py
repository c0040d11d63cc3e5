"""GitHub's REST interface as documented, as far as workflows need it, on a port of this machine.

`dispatched` is called with the inputs of each dispatch that is accepted. `limits`: answers given before all others,
each a status with headers, as GitHub gives them where a rate limit is used up.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from typing_extensions import Self

TOKEN = "token-of-a-test"


class GitHub:
    """One account with one repository."""

    def __init__(self, repository: str = "me/workflows", ref: str = "main") -> None:
        self.repository = repository
        self.ref = ref
        self.files: dict[str, bytes] = {}  # by path
        self.actions: set[str] = set()  # files of registered actions
        self.limits: list[tuple[int, dict[str, str]]] = []
        self.requests: list[tuple[str, str]] = []
        self.inputs: list[dict[str, str]] = []
        self.dispatched: Callable[[dict[str, str]], None] = lambda inputs: None
        handler = type("Handler", (_Handler,), {"github": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, method: str, url: str, token: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(url)
        self.requests.append((method, parts.path))
        if self.limits:
            status, headers = self.limits.pop(0)
            return status, headers, _message("API rate limit exceeded")
        if token != f"Bearer {TOKEN}":
            return 401, {}, _message("Bad credentials")
        base = f"/repos/{self.repository}"
        path = unquote(parts.path).removeprefix(base)
        if method == "GET" and path.startswith("/contents/"):
            file = self.files.get(path.removeprefix("/contents/"))
            there = parse_qs(parts.query).get("ref") == [self.ref] and file is not None
            return (200, {}, file or b"") if there else (404, {}, _message("Not Found"))
        if method == "POST" and path.endswith("/dispatches"):
            return self._dispatch(path.split("/")[-2], json.loads(body))
        return 404, {}, _message("Not Found")

    def _dispatch(self, file: str, body: dict) -> tuple[int, dict[str, str], bytes]:
        if file not in self.actions:
            return 404, {}, _message("Not Found")
        if body["ref"] != self.ref:
            return 422, {}, _message(f"No ref found for: {body['ref']}")
        if unknown := set(body["inputs"]) - {"OVERWRITTEN", "PAYLOAD_URL"}:
            return 422, {}, _message(f"Unexpected inputs provided: {sorted(unknown)}")
        self.inputs.append(body["inputs"])
        self.dispatched(body["inputs"])
        return 204, {}, b""


class _Handler(BaseHTTPRequestHandler):
    github: GitHub

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        token = self.headers.get("Authorization", "")
        status, headers, content = self.github.answer(self.command, self.path, token, body)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _message(text: str) -> bytes:
    return json.dumps({"message": text, "documentation_url": "https://docs.github.com/rest"}).encode()
