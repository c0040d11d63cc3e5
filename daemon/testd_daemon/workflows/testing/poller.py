"""The one thread that asks a store how a run is getting on: a listing an interval, whoever wants to know.

Runs in the user's process. What was listed is given to the readers one after the other, in this thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from testd_daemon.errors import TestdError
from testd_daemon.workflows.store.errors import StoreError
from testd_daemon.workflows.testing.exceptions import StopMonitoring
from testd_daemon.workflows.testing.objects import Listing, ObjectStore

__all__ = ["Poller", "Reader"]

#: What is called with each listing, None where the store did not answer. Raises StopMonitoring once it has seen enough.
Reader = Callable[[Listing | None], None]

#: Seconds for a request that is under way when the poller is stopped.
STOP_DEADLINE = 30.0

log = logging.getLogger(__name__)


class Poller:
    """Lists everything below a folder once an interval, from `start` until its readers have seen enough."""

    def __init__(
        self, store: ObjectStore, folder: str, interval: float, completions: ObjectStore | None = None
    ) -> None:
        """Take where to look and how often, in seconds. `completions`: where those are, if not beside the logs."""
        self.store = store
        self._completions = completions
        self.folder = folder
        self.interval = interval
        self.listings = 0  # how many have been made
        self.trouble = ""  # why the newest attempt failed; empty: it did not
        self._readers: list[Reader] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, reader: Reader) -> None:
        """Have a reader called with each listing from now on."""
        self._readers.append(reader)

    def start(self) -> None:
        """Start the thread, unless it has been."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._poll, name=f"testd poller of {self.folder}", daemon=True)
            self._thread.start()

    def ask_to_stop(self) -> None:
        """Have the thread end soon, without waiting for it."""
        self._stop.set()

    def stop(self, timeout: float | None = None) -> bool:
        """End the thread and wait for it. Returns whether it has ended within `timeout` seconds."""
        self.ask_to_stop()
        if self._thread is None or self._thread is threading.current_thread():
            return True
        self._thread.join(STOP_DEADLINE if timeout is None else timeout)
        return not self._thread.is_alive()

    def _poll(self) -> None:
        while not self._stop.is_set():
            listing = self._list()
            for reader in list(self._readers):
                self._tell(reader, listing)
            if not self._readers:
                return
            self._stop.wait(self.interval)

    def _list(self) -> Listing | None:
        try:
            self.listings += 1
            listing = self.store.listing(f"{self.folder}/")
            if self._completions is not None:
                listing |= self._completions.listing(f"{self.folder}/function_completions/")
        except TestdError as error:
            self.trouble = error.message
            return None
        except Exception as error:  # whoever waits for this thread would wait for ever
            log.exception("%s cannot be listed", self.folder)
            self.trouble = f"{type(error).__name__}: {error}"
            return None
        self.trouble = ""
        return listing

    def _tell(self, reader: Reader, listing: Listing | None) -> None:
        """Give a listing to a reader. What fails is told and tried again with the next one: a reader is never lost."""
        try:
            reader(listing)
        except StopMonitoring:
            self._readers.remove(reader)
        except StoreError as error:
            self.trouble = error.message
        except Exception:
            log.exception("a reader of %s failed", self.folder)
