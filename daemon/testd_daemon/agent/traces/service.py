"""What is asked about traces, and answered. Runs in the agent; the file is opened when the first question comes."""

from __future__ import annotations

import sqlite3
import time
from typing import Final

import anyio
import anyio.to_thread
import msgspec

from testd_daemon.agent.traces.store import Limits, Store
from testd_daemon.config import resolve
from testd_daemon.errors import TestdError
from testd_protocol.messages import (
    DropTraces,
    Fault,
    KeepTraces,
    ReadTrace,
    TraceRead,
    TracesKept,
    TracesReport,
)
from testd_protocol.messages import Traces as AskTraces

__all__ = ["Traces"]

#: Seconds for which what the configuration says about limits stands.
_STANDS: Final = 5.0
#: Entries of one answer.
_MOST: Final = 10_000

_Question = KeepTraces | AskTraces | ReadTrace | DropTraces
_Answer = TracesKept | TracesReport | TraceRead | Fault


class Traces:
    """The traces of a workspace, behind a thread that does one thing at a time."""

    def __init__(self, workspace: str, path: str) -> None:
        """Keep them in this file, or in `:memory:`; nothing is opened yet."""
        self._workspace = workspace
        self._path = path
        self._store: Store | None = None
        self._limiter = anyio.CapacityLimiter(1)
        self._limits = Limits()
        self._looked = -_STANDS

    async def answer(self, question: _Question) -> _Answer:
        """Do what is asked; what goes wrong is the answer."""
        # Not to be cancelled (the default): each is short, and half of one is worth nothing.
        answer = await anyio.to_thread.run_sync(self._answer, question, limiter=self._limiter)
        return msgspec.structs.replace(answer, id=question.id)

    async def close(self) -> None:
        """Close the file, after what is being done."""
        await anyio.to_thread.run_sync(self._close, limiter=self._limiter)

    # ── in the thread ────────────────────────────────────────────────────────────────────────────────────────────────

    def _answer(self, question: _Question) -> _Answer:
        try:
            if self._store is None:
                self._store = Store(self._path)
            return self._done(self._store, question)
        except TestdError as error:
            return Fault(code=error.code, message=error.message, hint=error.hint, exit_code=error.exit_code)
        except (sqlite3.Error, OSError) as error:
            return Fault(code="internal", message=f"the traces in {self._path} cannot be used: {error}")

    def _done(self, store: Store, question: _Question) -> _Answer:
        match question:
            case KeepTraces(pages=pages, recording=recording, dropped=dropped):
                return TracesKept(refused=store.keep(pages, recording, dropped, self._now()))
            case ReadTrace():
                return store.read(question)
            case DropTraces(traces=traces, everything=everything):
                return TracesReport(entries=store.drop(traces, everything=everything))
            case AskTraces(limit=limit):
                found, more = store.find(msgspec.structs.replace(question, limit=max(1, min(limit, _MOST))))
                return TracesReport(entries=found, more=more, dropped=store.dropped(question.recording))

    def _now(self) -> Limits:
        """Return the limits that the configuration has; where it cannot be read, those that it had."""
        if time.monotonic() - self._looked >= _STANDS:
            self._looked = time.monotonic()
            try:
                settings = resolve(self._workspace).settings
            except TestdError:
                return self._limits  # `testd run` and `testd doctor` tell what is wrong with it
            self._limits = Limits(number=settings.keep_traces, age=settings.keep_traces_for)
        return self._limits

    def _close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
