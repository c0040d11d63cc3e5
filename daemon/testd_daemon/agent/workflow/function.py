"""One function of a run: what it is, what is written into its log, and what it took. Runs in the agent."""

from __future__ import annotations

import time

import anyio

from testd_daemon.agent.workflow.attempt import Attempt
from testd_daemon.agent.workflow.log import Log
from testd_protocol.messages import FunctionMeasured

__all__ = ["Function", "memory_of"]


class Function:
    """One instance of an action, from its trigger on."""

    def __init__(self, name: str, target: str, log: Log) -> None:
        """It was triggered now."""
        self.name = name
        self.target = target
        self.log = log
        self.told = anyio.Event()  # how it ended, and its log is whole
        self.triggered = time.time()
        self.started = 0.0
        self.ended = 0.0
        self.done = 0.0
        self.install = 0.0
        self.calls = 0
        self.waited = 0.0
        self.bytes_in = 0
        self.bytes_out = 0

    def measured(self, attempt: Attempt | None) -> FunctionMeasured:
        """Return what it took; `attempt` is its last process."""
        returned = attempt.returned if attempt is not None else None
        asked = attempt.asked_at if attempt is not None else self.started
        return FunctionMeasured(
            function=self.name, target=self.target, triggered=self.triggered, started=asked or self.triggered,
            ended=self.ended or time.time(), done=self.done,
            queued=max(0.0, (self.started or self.triggered) - self.triggered), install=self.install,
            start=max(0.0, attempt.ran_at - asked) if attempt is not None and attempt.ran_at else 0.0,
            user=returned.seconds if returned is not None else 0.0, cpu=returned.cpu if returned is not None else 0.0,
            memory=memory_of(attempt), store_calls=self.calls, store_seconds=self.waited, bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
        )  # fmt: skip


def memory_of(attempt: Attempt | None) -> int:
    """Return the peak of a function's process, in KiB; 0 where that is not known."""
    if attempt is None:
        return 0
    told = (attempt.result, attempt.exit)
    return max((message.memory for message in told if message is not None), default=0)
