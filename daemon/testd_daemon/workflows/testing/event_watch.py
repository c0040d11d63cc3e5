"""Watches a run of our own: the daemon that runs it tells what happens. Runs in the user's process, in a thread.

The thread owns the connection. It submits the run, waits until `start`, follows the events to the last one, and cancels
the run when it is asked to stop, or has heard nothing for too long.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from testd_daemon.client.sync import Client, Following
from testd_daemon.errors import TestdError
from testd_daemon.workflows.course import Course
from testd_daemon.workflows.measures.figures import RunFigures, figures_of
from testd_daemon.workflows.status import FunctionStatus, has_completed, has_final_state
from testd_daemon.workflows.store.address import Address
from testd_daemon.workflows.store.errors import StoreError
from testd_daemon.workflows.store.holding import Hold
from testd_daemon.workflows.store.versions import History
from testd_daemon.workflows.testing.board import Board
from testd_daemon.workflows.testing.cloud import monitors_of
from testd_daemon.workflows.testing.deduction import Deduced
from testd_daemon.workflows.testing.exceptions import InvocationError
from testd_daemon.workflows.testing.function_monitor import FunctionMonitor
from testd_daemon.workflows.testing.invocation import Invocation
from testd_daemon.workflows.testing.objects import ObjectStore
from testd_daemon.workflows.testing.run_stores import stores_of
from testd_daemon.workflows.testing.watch import View, Watch

__all__ = ["EventWatch"]

#: Seconds until a workflow is taken up: a daemon, an agent and a store may have to be started.
PLANNED_DEADLINE = 120.0
#: Seconds for a run that was cancelled to be told as ended.
CANCEL_DEADLINE = 20.0

#: Functions that end in this way have no log, unless they ran by then and were cancelled.
_WITHOUT_LOG = (FunctionStatus.SKIPPED, FunctionStatus.NOT_INVOKED)

log = logging.getLogger(__name__)
Event = Mapping[str, Any]


class EventWatch(Watch):
    """Watches a run by the daemon's events, from its submission on."""

    def __init__(self, invocation: Invocation, request: dict[str, Any]) -> None:
        """Take the run and its `RunRequest`."""
        self.board: Board = invocation.board
        self.monitors: Mapping[str, FunctionMonitor] = {}
        self._invocation = invocation
        self._request = request
        self._planned: Event = {}
        self._trouble: TestdError | None = None
        self._ready = threading.Event()
        self._go = threading.Event()
        self._stop = threading.Event()
        self._wake, self._waker = os.pipe()
        self._sequences: dict[str, int] = {}
        self._course = Course()
        self._run_id = ""
        self._handlers: dict[str, Callable[[Event], None]] = {
            "FunctionChanged": self._function_changed,
            "FunctionMeasured": self._function_measured,
            "Output": self._output,
            "RunCompleted": self._completed,
        }
        self._thread = threading.Thread(target=self._run, name=f"testd run {invocation.id}", daemon=True)

    def submit(self) -> None:
        """Submit the run, and return once it has been taken up. Raises InvocationError."""
        self._thread.start()
        if not self._ready.wait(PLANNED_DEADLINE):
            self._trouble = TestdError(f"the daemon has not taken it up after {PLANNED_DEADLINE:g} seconds")
        if self._trouble is not None:
            trouble = self._trouble
            self.stop()
            self.close()
            hint = "\n".join(part for part in (trouble.hint, trouble.detail) if part)
            raise InvocationError(f"cannot run the workflow here: {trouble.message}", hint=hint) from trouble

    def start(self) -> None:
        """Take in what happens from now on, and what has happened since the submission."""
        self._go.set()

    def ask_to_stop(self) -> None:
        """Cancel the run."""
        self._stop.set()
        self._go.set()
        with contextlib.suppress(OSError):
            os.write(self._waker, b"x")
        self.board.end("shut down", lambda _: Deduced(FunctionStatus.SKIPPED, "the run was shut down"))

    def stop(self, timeout: float | None = None) -> bool:
        """Cancel the run unless it has ended, and wait for the thread."""
        self.ask_to_stop()
        if self._thread is threading.current_thread():
            return False
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Give up the connections to its store."""
        if self._wake >= 0 and not self._thread.is_alive():
            os.close(self._wake)
            os.close(self._waker)
            self._wake = self._waker = -1
            if self._planned:
                self._hold.release()
                self.store.close()

    def own_buckets(self) -> list[Address]:
        """Return the buckets that the daemon has made for the run in another store than the embedded one."""
        return self._stores.own if self._planned else []

    def figures(self) -> RunFigures | None:
        """Return what the daemon has measured."""
        return figures_of(self._course, self._run_id)

    def key_of(self, name: str) -> str:
        """Return the key of what functions call `folder/file`."""
        return self._stores.prefix + name

    def view(self, function: str) -> View:
        """Return the store as it was when a function ended."""
        sequence = self._sequences.get(function)
        return self.store if sequence is None else self._history.view(self.store.bucket, sequence)

    def _run(self) -> None:
        try:
            with Client.connect() as client:
                self._follow(client, client.submit(self._request))
        except TestdError as error:
            self._trouble = error
        except Exception as error:
            log.exception("the watch of a run failed")
            self._trouble = TestdError(f"{type(error).__name__}: {error}")
        finally:
            if self._trouble is None and not self._planned:
                self._trouble = TestdError("the run ended before it began")
            self._ready.set()
            why = self._trouble.message if self._trouble else "the run was not told to its end"
            self.board.end(why, lambda _: Deduced(FunctionStatus.SKIPPED, why))

    def _follow(self, client: Client, run: str) -> None:
        self._run_id = run
        following = client.follow(run)
        cancelled = 0.0
        heard = time.monotonic()
        while not following.over:
            if self._planned and not self._ready.is_set():
                self._ready.set()
                self._go.wait()
                heard = time.monotonic()
            if self._stop.is_set() and not cancelled:
                client.cancel(following.run, "the test has ended")
                cancelled = time.monotonic()
            event = self._next(following, cancelled)
            if event is not None:
                heard = time.monotonic()
                self._take(event["body"])
            elif cancelled and time.monotonic() - cancelled > CANCEL_DEADLINE:
                return
            elif self._planned and not cancelled and time.monotonic() - heard > self._invocation.settings.timeout:
                self._expire()

    def _next(self, following: Following, cancelled: float) -> Event | None:
        # A byte in the pipe says to stop: it stays there, and so is not waited for a second time.
        return following.next(self._invocation.settings.check_interval, () if cancelled else (self._wake,))

    def _take(self, body: Event) -> None:
        self._course.take(body)
        if body["type"] == "WorkflowPlanned":  # again, after an agent's death: an embedded store has another port
            self._plan(body)
        elif handler := self._handlers.get(body["type"]):
            handler(body)

    def _plan(self, body: Event) -> None:
        self._stores = stores_of(self._invocation, body, os.environ)
        self.store, logs = ObjectStore.at(self._stores.files), ObjectStore.at(self._stores.logs)
        if not self._planned:
            self.monitors = monitors_of(self._invocation, logs)
            self._history = History(Path(body["state"]))
            self._hold = Hold(Path(body["state"]))
        for monitor in self.monitors.values():
            monitor.logger.store = logs
        self._planned = body

    def _function_changed(self, body: Event) -> None:
        name, status = body["function"], FunctionStatus(body["status"])
        has_run = self.monitors[name].status is FunctionStatus.RUNNING
        self.monitors[name].set_status(status)
        if status in _WITHOUT_LOG and not has_run:
            self.monitors[name].complete()
        elif has_final_state(status):
            self._sequences[name] = body["sequence"]
        self.board.update({name: Deduced(status, body["why"])})

    def _function_measured(self, body: Event) -> None:
        """Read a function's log, which is whole from here on."""
        self._read_log(self.monitors[body["function"]])

    @staticmethod
    def _read_log(monitor: FunctionMonitor) -> None:
        with contextlib.suppress(StoreError):
            monitor.logger.read()
        monitor.complete()

    def _output(self, body: Event) -> None:
        if self._invocation.settings.stream_logs:
            for line in body["text"].splitlines():
                logging.getLogger(body["test"]).info("[%s] %s", body["test"], line)

    def _completed(self, body: Event) -> None:
        if not self._planned:
            self._trouble = TestdError(body["reason"] or "it ended at once", hint=body["hint"], detail=body["detail"])
            return
        for monitor in self.monitors.values():
            if not monitor.logs_complete:  # it was cancelled
                self._read_log(monitor)
        good = all(has_completed(status) for status in self.board.statuses().values())
        why = body["reason"] or ("All functions completed" if good else "All functions ended")
        self.board.end(why, lambda _: Deduced(FunctionStatus.SKIPPED, why))

    def _expire(self) -> None:
        why = f"nothing was heard of the run for {self._invocation.settings.timeout:g} seconds"
        self.board.end(f"Timed out: {why}", lambda _: Deduced(FunctionStatus.TIMEOUT, why))
        self._stop.set()
