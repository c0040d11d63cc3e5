"""The log of one function, as the store has it. Runs in the user's process.

It never keeps less than the log has: whatever was appended, to the last entry or as lines of the user's own, is part of
`logs_content` with the next look.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from enum import Enum

from testd_daemon.workflows import layout
from testd_daemon.workflows.store.bucket import Entry
from testd_daemon.workflows.testing.exceptions import StopMonitoring
from testd_daemon.workflows.testing.objects import Listing, ObjectStore, S3Client
from testd_daemon.workflows.testing.poller import Poller

__all__ = ["FunctionLogger", "LogEvent"]

log = logging.getLogger(__name__)


class LogEvent(Enum):
    """What has happened to a log."""

    LOG_CREATED = "log_created"
    LOG_UPDATED = "log_updated"
    LOG_COMPLETE = "log_complete"


class FunctionLogger:
    """Pulls the log of one function from the store whenever it has changed.

    On its own (`start`) it looks once an interval in a thread of its own. A runner gives all its loggers one `poller`.
    """

    def __init__(
        self,
        *,
        function_name: str,
        invocation_folder: str,
        s3_client: S3Client | ObjectStore,
        bucket_name: str = "",
        workflow_name: str = "",
        stream_logs: bool = False,
        interval_seconds: float = 1.0,
        poller: Poller | None = None,
    ) -> None:
        """Take whose log, in which folder of which bucket. `stream_logs`: each entry to the function's own logger."""
        self.function_name = function_name
        self.workflow_name = workflow_name
        self.store = ObjectStore.of(s3_client, bucket_name)
        self.stream_logs = stream_logs
        self.interval_seconds = interval_seconds
        self._folder = invocation_folder
        self._poller = poller
        self._callbacks: list[Callable[[LogEvent], None]] = []
        self._lock = threading.Lock()
        self._seen: Entry | None = None
        self._text = ""
        self._streamed = 0
        self._complete = threading.Event()
        self._stop_requested = False

    @property
    def logs_key(self) -> str:
        """The key of the log."""
        return layout.log_key(self._folder, self.function_name)

    @property
    def logs(self) -> list[str]:
        """The entries so far: a line that opens one, and those that follow it."""
        return layout.entries(self._text)

    @property
    def logs_content(self) -> str:
        """The log so far, as it is."""
        return self._text

    @property
    def logs_started(self) -> bool:
        """Whether there is a log."""
        return self._seen is not None

    @property
    def logs_complete(self) -> bool:
        """Whether nothing more is expected."""
        return self._complete.is_set()

    @property
    def stop_requested(self) -> bool:
        """Whether the logger was asked to end with what it has."""
        return self._stop_requested

    def register_callback(self, callback: Callable[[LogEvent], None]) -> None:
        """Have something called at each event, in the thread that looks. What it raises is logged, and no more."""
        self._callbacks.append(callback)

    def start(self) -> None:
        """Look at the log from now on, until `stop`."""
        if self._poller is None:
            self._poller = Poller(self.store, self._folder, self.interval_seconds)
        self._poller.add(self._look)
        self._poller.start()

    def stop(self) -> None:
        """Look once more, and then no more."""
        self._stop_requested = True

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the log is complete. Returns whether it is."""
        return self._complete.wait(timeout)

    def look(self, listing: Listing) -> bool:
        """Read the log if a listing says that it has changed. Returns whether it had. Raises StoreError."""
        entry = listing.get(self.logs_key)
        if entry is None or entry == self._seen:
            return False
        created = self._seen is None
        self.read(entry)
        if created:
            self._tell(LogEvent.LOG_CREATED)
        self._tell(LogEvent.LOG_UPDATED)
        return True

    def read(self, entry: Entry | None = None) -> str:
        """Read the log now, whatever has been seen of it. Returns its text. Raises StoreError."""
        text = self.store.get(self.logs_key).decode("utf-8", "replace")
        with self._lock:
            self._text = text
            self._seen = entry or self._seen
        self._stream()
        return text

    def complete(self) -> None:
        """Note that nothing more is expected."""
        if not self._complete.is_set():
            self._stream(everything=True)
            self._complete.set()
            self._tell(LogEvent.LOG_COMPLETE)

    def _look(self, listing: Listing | None) -> None:
        """Be a reader of a poller of our own."""
        changed = listing is not None and self.look(listing)
        if self._stop_requested and not changed:
            self.complete()
            raise StopMonitoring("the log is complete")

    def _stream(self, *, everything: bool = False) -> None:
        """Pass on the entries that are whole: the last one may still grow."""
        if not self.stream_logs:
            return
        with self._lock:
            entries = layout.entries(self._text)
            ready = len(entries) if everything else max(0, len(entries) - 1)
            fresh, self._streamed = entries[self._streamed : ready], max(self._streamed, ready)
        for entry in fresh:
            logging.getLogger(self.function_name).info("[%s] %s", self.function_name, entry)

    def _tell(self, event: LogEvent) -> None:
        for callback in list(self._callbacks):
            try:
                callback(event)
            except Exception:  # noqa: PERF203  few of them
                log.exception("a callback of the log of %s failed", self.function_name)
