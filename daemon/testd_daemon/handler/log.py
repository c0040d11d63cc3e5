"""The handler's log: events with keys, one line each, in a file that is rotated.

structlog renders them, but importing it takes longer than everything else at a handler's start together, and the first
`testd run` waits for that start. So events are put aside and a thread writes them: it loads structlog a moment later,
or at once when there is something to worry about, or at the end.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

__all__ = ["Log"]

#: Seconds that the thread leaves to whoever is waiting for the handler's start.
LAZY: Final = 1.5
MAX_BYTES: Final = 2 * 1024 * 1024
BACKUPS: Final = 3

_Record = tuple[float, str, str, dict[str, Any]]


class Log:
    """Write events from any thread, without waiting. `close` writes what is left."""

    def __init__(self, path: str) -> None:
        """Take the file's path; its folder is made when the first line is written."""
        self._path = path
        self._queue: queue.SimpleQueue[_Record | None] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def info(self, event: str, **keys: Any) -> None:
        """Note something that happens in the normal course of things."""
        self._queue.put((time.time(), "info", event, keys))

    def warning(self, event: str, **keys: Any) -> None:
        """Note something that should not happen too often."""
        self._queue.put((time.time(), "warning", event, keys))
        self._hurry.set()

    def error(self, event: str, **keys: Any) -> None:
        """Note something that somebody must look at."""
        self._queue.put((time.time(), "error", event, keys))
        self._hurry.set()

    def close(self) -> None:
        """Write everything and end the thread."""
        self._hurry.set()
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        self._hurry.wait(LAZY)
        try:
            handler = self._open()
        except OSError as error:
            os.write(2, f"testd: no log can be written: {error}\n".encode())
            return
        render = _renderer()
        while (record := self._queue.get()) is not None:
            at, level, event, keys = record
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(at)) + f".{int(at % 1 * 1000):03d}"
            line = render(None, level, {"at": stamp, "level": level, "event": event, **keys})
            handler.handle(logging.LogRecord("testd", logging.INFO, "", 0, str(line), None, None))
        handler.close()

    def _open(self) -> logging.Handler:
        import logging.handlers

        os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)  # noqa: PTH103, PTH120
        return logging.handlers.RotatingFileHandler(
            self._path, maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8"
        )


def _renderer() -> Callable[[Any, str, dict[str, Any]], str | bytes]:
    """Load structlog, and without rich: it would take as long again, for errors in colour on a terminal."""
    hidden = "rich" not in sys.modules
    if hidden:
        sys.modules["rich"] = None  # type: ignore[assignment]  # what makes its import fail
    try:
        import structlog  # here: see the module's docstring
    finally:
        if hidden:
            del sys.modules["rich"]
    return structlog.processors.LogfmtRenderer(key_order=["at", "level", "event"], drop_missing=True)
