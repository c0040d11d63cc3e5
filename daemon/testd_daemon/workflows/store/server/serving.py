"""HTTP for the embedded store: connections are kept, each has a thread, nothing is logged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

__all__ = ["serve"]


class _Handler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing of what went well."""


def serve(application: Any, port: int, ready: Callable[[int], None]) -> None:
    """Serve a WSGI application on a port of this machine alone; 0: a free one. Does not return."""
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=_Handler)
    ready(server.server_port)
    server.serve_forever()
