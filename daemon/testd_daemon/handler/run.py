"""One run as the handler knows it: its state, its events' numbers, and the newest of them. No event loop, no I/O.

A body is bytes that the handler does not read; each is framed once, for all who follow.
"""

from __future__ import annotations

import enum
from collections import deque
from typing import Final

import msgspec

from testd_daemon.handler.store import Entry, RunRow
from testd_daemon.machine import Machine, Table
from testd_protocol.framing import encode
from testd_protocol.messages import Event, Message, RunCompleted, RunStatus

__all__ = ["RUN_TABLE", "Run", "RunState", "Step", "raw"]


class RunState(enum.Enum):
    """Where a run is. The values are what the journal and `testd status` say."""

    ACCEPTED = "accepted"  # in the journal; no agent has had it
    RUNNING = "running"  # an agent has it
    SUSPENDED = "suspended"  # its agent is gone; the next one gets what is not finished
    CANCELLING = "cancelling"  # an agent was told to end it
    STOPPING = "stopping"  # to be cancelled, and its agent is gone: the next one names what did not run
    FINISHED = "finished"


class Step(enum.Enum):
    """What happens to a run."""

    DISPATCH = "sent to an agent"
    LOSE = "its agent died"
    CANCEL = "asked to end early"
    COMPLETE = "completed by its agent"
    FAIL = "completed by the handler, since nobody else can"


RUN_TABLE: Final[Table[RunState, Step]] = {
    RunState.ACCEPTED: {
        Step.DISPATCH: RunState.RUNNING,
        Step.CANCEL: RunState.STOPPING,
        Step.FAIL: RunState.FINISHED,
    },
    RunState.RUNNING: {
        Step.LOSE: RunState.SUSPENDED,
        Step.CANCEL: RunState.CANCELLING,
        Step.COMPLETE: RunState.FINISHED,
        Step.FAIL: RunState.FINISHED,
    },
    RunState.SUSPENDED: {
        Step.DISPATCH: RunState.RUNNING,
        Step.CANCEL: RunState.STOPPING,
        Step.FAIL: RunState.FINISHED,
    },
    RunState.CANCELLING: {
        Step.LOSE: RunState.STOPPING,
        Step.CANCEL: RunState.CANCELLING,
        Step.COMPLETE: RunState.FINISHED,
        Step.FAIL: RunState.FINISHED,
    },
    RunState.STOPPING: {
        Step.DISPATCH: RunState.CANCELLING,
        Step.CANCEL: RunState.STOPPING,
        Step.FAIL: RunState.FINISHED,
    },
    RunState.FINISHED: {},
}


class Run:
    """The numbers and the newest events of one run. `followers` is how many clients watch it."""

    def __init__(self, row: RunRow, window: int) -> None:
        """Take a stored run; `window` bytes of its newest events are kept."""
        self.id = row.run
        self.number = row.number
        self.workspace = row.workspace
        self.request = row.request
        self.accepted_at = row.accepted_at
        self.detach = row.detach
        self.counts = dict(row.counts)
        self.tests = row.tests
        self.exit_code = row.exit_code
        self.followers = 0
        self.watch = False  # it goes on by itself, one generation after another
        self.spooled = False  # its agent asks for what is left of it once more
        self.resting = False  # a watch: nothing is at work, it waits for a change
        self.mark = 0  # a watch: the number of the event with which its newest generation begins
        self.cancel_reason = ""
        self.machine = Machine(RUN_TABLE, RunState(row.state), f"run {row.run}")
        self.committed = row.events
        self._seq = row.events  # the last number given
        self._window = window
        self._frames: deque[bytes] = deque()  # of the numbers from _first to _seq
        self._first = row.events + 1
        self._size = 0
        self._pending: deque[tuple[int, dict[str, int]]] = (
            deque()
        )  # numbers that are not committed, and the counts then
        self._committed_counts = dict(row.counts)

    @property
    def finished(self) -> bool:
        """Whether the run has its completion, committed or not."""
        return self.machine.final

    @property
    def complete(self) -> bool:
        """Whether the completion may be shown: nothing follows `committed`."""
        return self.finished and self.committed == self._seq

    def record(
        self,
        body: msgspec.Raw,
        *,
        counts: dict[str, int] | None = None,
        tests: int = -1,
        exit_code: int | None = None,
    ) -> Entry:
        """Give an event its number and return what the journal must store. An exit code marks the last one.

        The state must have been advanced to FINISHED before the last event is recorded.
        """
        for verdict, count in (counts or {}).items():
            self.counts[verdict] = self.counts.get(verdict, 0) + count
        if tests >= 0:
            self.tests = tests
        if exit_code is not None:
            self.exit_code = exit_code
        self._seq += 1
        frame = encode(Event(run=self.id, seq=self._seq, body=body))
        self._frames.append(frame)
        self._size += len(frame)
        counts_now = dict(self.counts)
        self._pending.append((self._seq, counts_now))
        state = self.machine.state.value
        return Entry(self.number, self._seq, bytes(body), state, counts_now, self.tests, self.exit_code)

    def begin_generation(self) -> None:
        """Take note that the next event begins a generation of a watch: what is counted is counted anew."""
        self.mark = self._seq + 1
        self.counts = {}
        self.resting = False

    def complete_with(self, completion: RunCompleted) -> Entry:
        """Record a completion that the handler makes itself."""
        return self.record(raw(completion), exit_code=completion.exit_code)

    def commit(self, seq: int) -> None:
        """Take note that everything up to a number is in the journal, and forget what is over the window."""
        self.committed = max(self.committed, seq)
        while self._pending and self._pending[0][0] <= seq:
            self._committed_counts = self._pending.popleft()[1]
        while self._size > self._window and self._first < self.committed:
            self._size -= len(self._frames.popleft())
            self._first += 1

    def drop_uncommitted(self) -> None:
        """Forget the events that the journal could not take; their numbers are given again."""
        self._pending.clear()
        self.counts = dict(self._committed_counts)
        while self._seq > self.committed:
            self._size -= len(self._frames.pop())
            self._seq -= 1

    def frames_after(self, after: int, limit: int) -> tuple[bytes, int] | None:
        """Join the committed frames after a number, about `limit` bytes, and say the last number in it.

        None where they are no longer in memory: the journal has them.
        """
        if after >= self.committed:
            return b"", after
        if after + 1 < self._first:
            return None
        taken: list[bytes] = []
        for position in range(after + 1 - self._first, self.committed + 1 - self._first):
            taken.append(self._frames[position])
            limit -= len(taken[-1])
            if limit <= 0:
                break
        return b"".join(taken), after + len(taken)

    def status(self) -> RunStatus:
        """Describe the run for `testd status`."""
        return RunStatus(
            run=self.id, workspace=self.workspace, state=self.machine.state.value, accepted_at=self.accepted_at,
            counts=dict(self.counts), tests=self.tests, exit_code=self.exit_code, detach=self.detach,
            watch=self.watch, events=self.committed,
        )  # fmt: skip


_encoder = msgspec.msgpack.Encoder()


def raw(event: Message) -> msgspec.Raw:
    """Encode an event that the handler makes itself."""
    return msgspec.Raw(_encoder.encode(event))
