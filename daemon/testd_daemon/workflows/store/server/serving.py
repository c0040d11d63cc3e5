"""HTTP for the embedded store: connections are kept, each has a thread, nothing is logged.

werkzeug's own server closes each connection and waits 10 ms before it does, which is most of what a request takes.
"""

from __future__ import annotations

import socketserver
import sys
from collections.abc import Callable
from email.utils import formatdate
from typing import Any, Final
from urllib.parse import unquote_to_bytes

__all__ = ["Answer", "serve"]

#: Status, headers, content.
Answer = tuple[str, list[tuple[str, str]], bytes]
#: Bytes of one line of a request's head, and lines of it.
_LINE: Final = 64 * 1024
_LINES: Final = 200
#: What moto's S3 takes the original names of headers from: those of metadata may have underscores.
_NAMES: Final = "moto.preserved_header_names"
_SERVER: Final = {
    "SERVER_NAME": "127.0.0.1",
    "REMOTE_ADDR": "127.0.0.1",
    "SCRIPT_NAME": "",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


class _BadRequest(Exception):
    """What came is no request."""


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def serve(application: Callable[[dict[str, Any], bytes], Answer], port: int, ready: Callable[[int], None]) -> None:
    """Serve on a port of this machine alone; 0: a free one. Does not return."""

    class Connection(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            """Answer one request after the other."""
            try:
                while (environ := _head(self.rfile, server.server_address[1])) is not None:
                    if environ.get("HTTP_EXPECT", "").lower() == "100-continue":
                        self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    status, headers, content = application(environ, _body(self.rfile, environ))
                    self.wfile.write(_response(environ["REQUEST_METHOD"], status, headers, content))
                    if environ.get("HTTP_CONNECTION", "").lower() == "close":
                        return
            except _BadRequest as error:
                self.wfile.write(_response("", "400 Bad Request", [("Connection", "close")], str(error).encode()))
            except ConnectionError:
                pass  # the client is gone

    with _Server(("127.0.0.1", port), Connection) as server:
        ready(int(server.server_address[1]))
        server.serve_forever()


def _head(stream: Any, port: int) -> dict[str, Any] | None:
    """Read the head of a request, as WSGI has it; None where no more come. Raises _BadRequest."""
    line = stream.readline(_LINE)
    if not line:
        return None
    words = line.decode("latin-1").split()
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        raise _BadRequest("this is not HTTP/1.1")
    path, _, query = words[1].partition("?")
    environ: dict[str, Any] = {
        **_SERVER,
        "SERVER_PORT": str(port),
        "SERVER_PROTOCOL": words[2],
        "REQUEST_METHOD": words[0],
        "REQUEST_URI": words[1],
        "RAW_URI": words[1],
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        _NAMES: {},
    }
    for _ in range(_LINES):
        line = stream.readline(_LINE)
        if line in (b"\r\n", b"\n"):
            return environ
        _take(environ, line.decode("latin-1"))
    raise _BadRequest("its head has too many lines")


def _take(environ: dict[str, Any], line: str) -> None:
    """Add a header."""
    name, colon, value = line.partition(":")
    if not colon or not line.endswith("\n"):
        raise _BadRequest(f"this is not a header: {line[:80].strip()}")
    key = name.strip().upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = f"HTTP_{key}"
    if "_" in name:
        if not name.lower().startswith("x-amz-meta-") or key in environ:
            return  # nobody may pass a header off as another one
        environ[_NAMES][key] = name
    value = value.strip()
    environ[key] = f"{environ[key]},{value}" if key in environ else value


def _body(stream: Any, environ: dict[str, Any]) -> bytes:
    """Read the body of a request. Raises _BadRequest."""
    if environ.pop("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        return _chunks(stream)
    length = environ.get("CONTENT_LENGTH") or "0"
    if not length.isdigit():
        raise _BadRequest(f"Content-Length is {length}")
    body = bytes(stream.read(int(length)))
    if len(body) < int(length):
        raise ConnectionError
    return body


def _chunks(stream: Any) -> bytes:
    """Read a body that comes in chunks, and what may follow it."""
    pieces = []
    while True:
        try:
            size = int(stream.readline(_LINE).partition(b";")[0], 16)
        except ValueError:
            raise _BadRequest("a chunk has no size") from None
        if not size:
            break
        pieces.append(stream.read(size))
        stream.readline(_LINE)
    while stream.readline(_LINE) not in (b"\r\n", b"\n", b""):
        pass
    return b"".join(pieces)


def _response(method: str, status: str, headers: list[tuple[str, str]], content: bytes) -> bytes:
    """Return a response in one piece."""
    names = {name.lower() for name, _ in headers}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
    if "content-length" not in names:
        lines.append(f"Content-Length: {len(content)}")
    if "date" not in names:
        lines.append(f"Date: {formatdate(usegmt=True)}")
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    return head if method == "HEAD" else head + content
