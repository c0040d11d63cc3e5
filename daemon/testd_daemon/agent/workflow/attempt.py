"""One process that calls one function, from its start to its end. Runs in the agent, on its event loop."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio

from testd_protocol.messages import (
    CallApi,
    FunctionEnded,
    JobCompleted,
    Message,
    Outcome,
    Output,
    Started,
    Used,
    WorkerExited,
)

__all__ = ["Attempt"]


class Attempt:
    """What a runner says of one worker (an `Owner`). `ended` is set when nothing more comes."""

    def __init__(
        self, worker: int, send: Callable[[Message], None], serve: Callable[[Attempt, CallApi], None],
        print_: Callable[[Output], None],
    ) -> None:  # fmt: skip
        """Have `serve` take what the function asks for, and `print_` what it prints; `send` reaches the worker."""
        self.worker = worker
        self.send = send
        self.ended = anyio.Event()
        self.result: Outcome | None = None
        self.exit: WorkerExited | None = None
        self.returned: FunctionEnded | None = None
        self.lost = ""  # why the runner is gone
        self.asked_at = time.time()  # when the process was asked for
        self.ran_at = 0.0  # when its code began to run
        self._serve = serve
        self._print = print_

    @property
    def blameless(self) -> str:
        """Why the process is gone where that is not put down to its function; empty where it is, or is not gone."""
        if self.result is not None:
            return ""
        if self.lost:
            return f"the runner ended: {self.lost}"
        return self.exit.stderr or "its process was lost" if self.exit is not None and self.exit.cause == "lost" else ""

    def outcome(self, message: Outcome) -> None:
        """Take the verdict."""
        self.result = message

    def function_ended(self, message: FunctionEnded) -> None:
        """Take what the function returned."""
        self.returned = message
        self.ran_at = time.time() - message.seconds

    def called(self, message: CallApi) -> None:
        """Take what the function asks for."""
        self._serve(self, message)

    # ── an owner ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def job_completed(self, message: JobCompleted) -> None:
        """Nothing follows from it: the outcome says all."""

    def worker_exited(self, message: WorkerExited) -> None:
        """Take how it ended."""
        self.exit = message
        self.ended.set()

    def progress(self, message: Started | Output) -> None:
        """Take what it prints."""
        if isinstance(message, Output):
            self._print(message)

    def used(self, message: Used) -> None:
        """Nothing is recorded."""

    def runner_lost(self, reason: str) -> None:
        """Take that the runner is gone."""
        self.lost = reason or "it is gone"
        self.ended.set()
