"""What brings roots to the daemon: a thread that the program does not see. Runs in the user's process.

The thread begins with the first root. While there is no daemon it looks for one now and then; when there is nothing to
do for a while it gives the connection back. It ends before the process is forked, and begins again afterwards: what is
forked has one thread.
"""

from __future__ import annotations

import _thread
import threading
from contextlib import suppress
from time import monotonic, sleep

from testd.tracing.sending.outbox import Outbox
from testd.tracing.sending.pages import pages
from testd.tracing.sending.wire import LostError, RefusedError, Wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from typing import Any

    from testd.tracing.calls import Call
else:
    import _signal as signal  # without enumerations, which take longer to load than all of this

__all__ = ["Sender"]

#: Bytes of one message, more or less.
_MESSAGE = 256 * 1024
#: Seconds without a root after which the connection is closed.
_IDLE = 5.0
#: Seconds between two looks for a daemon, at first and at last.
_SOON, _LATE = 0.1, 5.0
#: How often a daemon is looked for at the end.
_TRIES = 3
#: How often the daemon may refuse the same roots before they are dropped.
_REFUSALS = 3
#: Seconds that a fork waits for the thread to stand back; what is recorded is never lost by that.
_STAND_BACK = 0.25
_LOOK = 0.05


class Sender:
    """Sends roots to the daemon at a socket, for a workspace."""

    def __init__(self, path: str, workspace: str, recording: str = "") -> None:
        """Send nothing yet."""
        self._path = path
        self._workspace = workspace
        self.recording = recording  #: which `testd record` it is for; empty: none
        self._begin()

    def _begin(self) -> None:
        """Be as one that has nothing to do, and no thread."""
        self._lock = threading.RLock()
        self._outbox = Outbox()
        self._load: list[Call] = []  # taken out of the outbox, and not arrived
        self._wire: Wire | None = None
        self._running = 0  # the thread, by its number
        self._gone = _thread.allocate_lock()  # held by the thread as long as it runs
        self._until: float | None = None  # when the thread has to have ended, None if it need not
        self._refusals = 0

    def send(self, root: Call) -> None:
        """Send a root in its own time; never waits, never raises but what the interpreter does at its end."""
        if _thread.get_ident() == self._running:
            return  # of what this thread uses itself
        self._outbox.put(root)
        if not self._running:
            self._start()

    def finish(self, wait: float) -> None:
        """Send what there is; return when it has arrived, when there is no daemon, or after so many seconds."""
        self._until = monotonic() + wait
        if self._running:
            self._outbox.nudge()
            if self._gone.acquire(timeout=wait + _STAND_BACK):
                self._gone.release()
        elif self._outbox or self._load:
            self._work()

    def stand_back(self) -> None:
        """Before a fork: end the thread."""
        if self._running:
            self._until = monotonic()
            self._outbox.nudge()
            if self._gone.acquire(timeout=_STAND_BACK):
                self._gone.release()

    def go_on(self) -> None:
        """After a fork: begin again."""
        self._until = None
        if (self._outbox or self._load) and not self._running:
            self._start()

    def begin_anew(self) -> None:
        """In a process that was forked: what waited is the parent's to send."""
        if self._wire is not None:
            self._wire.close()
        self._begin()

    # ── the thread ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self) -> None:
        with self._lock:
            if self._running or self._until is not None:
                return
            self._gone.acquire()
            self._running = -1
            try:
                _thread.start_new_thread(self._run, ())
            except RuntimeError:  # no more threads, or the end of the interpreter
                self._running = 0
                self._gone.release()

    def _run(self) -> None:
        try:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are the program's
            self._running = _thread.get_ident()
            self._work()
        finally:
            self._running = 0
            self._gone.release()

    def _work(self) -> None:
        pause, tries = _SOON, _TRIES
        while self._wanted() and (self._until is None or self._outbox):
            if not self._load:
                self._load = self._outbox.take(0.0 if self._until is not None else _IDLE if self._wire else None)
                if not self._load and self._until is None:
                    self._hang_up()
                continue
            if self._deliver():
                pause, tries = _SOON, _TRIES
            elif self._until is None:
                self._rest(pause)
                pause = min(_LATE, 2 * pause)
            else:  # the end, and no daemon; but one whose connection was lost may be there again
                tries -= 1
                if not tries:
                    break
        if self._until is not None:
            self._tell_drops()
        self._hang_up()

    def _wanted(self) -> bool:
        return self._until is None or monotonic() < self._until

    def _rest(self, seconds: float) -> None:
        until = monotonic() + seconds
        while self._until is None and monotonic() < until:
            sleep(_LOOK)

    def _hang_up(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _tell_drops(self) -> None:
        """Tell, at the end, of what was dropped since the last message."""
        if self._wire is not None and self._outbox.dropped:
            with suppress(LostError, RefusedError):
                self._keep(self._wire, [])

    def _deliver(self) -> bool:
        """Send the load, from its beginning; return whether that is over, well or not."""
        try:
            lost = self._send_load()
        except LostError:
            self._hang_up()
            return False
        except RefusedError:
            self._refusals += 1
            if self._refusals < _REFUSALS:
                return False
            lost = len(self._load)
        except Exception:  # a root that cannot be told: nothing of ours reaches the program
            lost = len(self._load)
            self._hang_up()
        self._refusals = 0
        load, self._load = self._load, []
        self._outbox.done(load, lost)
        return True

    def _send_load(self) -> int:
        """Send the load; return how many of its roots the daemon has not kept."""
        if self._wire is None:
            self._wire = Wire(self._path, self._wanted)
        refused, batch, size = 0, [], 0
        for root in self._load:
            for page in pages(root):
                if not self._wanted():
                    raise LostError("the thread has to end")
                batch.append(page)
                size += len(page[2])
                if size >= _MESSAGE:
                    refused += self._keep(self._wire, batch)
                    batch, size = [], 0
        return refused + self._keep(self._wire, batch)

    def _keep(self, wire: Wire, batch: list[list[Any]]) -> int:
        dropped = self._outbox.drops()
        message = {
            "type": "KeepTraces",
            "workspace": self._workspace,
            "pages": batch,
            "recording": self.recording,
            "dropped": dropped,
            "id": 0,
        }
        try:
            return len(wire.ask(message, "TracesKept")["refused"])
        except BaseException:
            self._outbox.not_told(dropped)
            raise
