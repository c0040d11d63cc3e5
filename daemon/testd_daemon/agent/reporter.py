"""A run's events on their way to the handler, outcomes in batches. Runs in the agent.

Adding an event costs no await. The first after a pause goes at once; under load whatever came in 10 ms goes together.
The end of a run, or of a generation of a watch, waits for nothing.
"""

from __future__ import annotations

import time
from typing import Final, Literal, Protocol

import anyio
import msgspec

from testd_daemon.errors import LinkClosed
from testd_daemon.link import Link
from testd_protocol.framing import encode
from testd_protocol.messages import (
    AgentInstruction,
    Detail,
    GenerationStarted,
    Outcomes,
    Planned,
    Report,
    Row,
    RunCompleted,
    RunEvent,
    Section,
)

__all__ = ["Reporter", "Sink"]

#: Seconds between two sends under load: at first, at most, and as a part of how long the run, or the generation, has
#: lasted. Each event costs the handler a commit; a progress line is not read faster than this.
INTERVAL: Final = 0.01
LONGEST_INTERVAL: Final = 0.1
INTERVAL_PART: Final = 0.2
#: Bytes of one event above which a batch is halved: far below the limit of a frame, and a client can show it soon.
LARGEST_BATCH: Final = 1024 * 1024
#: Rows that are tried in one batch.
MOST_ROWS: Final = 4096
#: Bytes of one outcome's text that are passed on where it is larger than any frame could be.
LARGEST_TEXT: Final = 256 * 1024
_encoder = msgspec.msgpack.Encoder()


class Sink(Protocol):
    """What a run reports to."""

    def row(self, row: Row) -> None:
        """Add an outcome."""

    def event(self, event: RunEvent) -> None:
        """Add any other event, behind the outcomes so far."""


class Reporter:
    """The events of one run, in order."""

    def __init__(self, run: str, link: Link[AgentInstruction]) -> None:
        """Report run `run` over the handler's link. `serve` sends."""
        self._run = run
        self._link = link
        self._frames: list[bytes] = []
        self._rows: list[Row] = []
        self._wanted = anyio.Event()
        self._ended = anyio.Event()  # the run, or a generation of a watch
        self._final = False
        self._began = time.monotonic()

    def row(self, row: Row) -> None:
        """Add an outcome."""
        self._rows.append(row)
        self._wanted.set()

    def event(self, event: RunEvent) -> None:
        """Add any other event, behind the outcomes so far."""
        self._close_batch()
        body = msgspec.Raw(_encoder.encode(event))
        match event:
            case RunCompleted(generation=0):
                report = Report(run=self._run, body=body, final=True, counts={}, exit_code=event.exit_code)
                self._final = True
            case Planned():
                report = Report(run=self._run, body=body, tests=event.tests)
            case _:
                report = Report(run=self._run, body=body, mark=_mark(event))
        if isinstance(event, GenerationStarted):
            self._began = time.monotonic()
        elif isinstance(event, RunCompleted):
            self._ended.set()
        self._frames.append(encode(report))
        self._wanted.set()

    async def serve(self) -> None:
        """Send until `RunCompleted` is out, or the handler is gone."""
        while True:
            await self._wanted.wait()
            self._wanted, self._ended = anyio.Event(), anyio.Event()
            self._close_batch()
            frames, self._frames = b"".join(self._frames), []
            final = self._final
            try:
                await self._link.send_frames(frames)
            except LinkClosed:
                return
            if final:
                return
            interval = min(LONGEST_INTERVAL, max(INTERVAL, (time.monotonic() - self._began) * INTERVAL_PART))
            with anyio.move_on_after(interval):
                await self._ended.wait()

    def _close_batch(self) -> None:
        rows, self._rows = self._rows, []
        for begin in range(0, len(rows), MOST_ROWS):
            self._batch(rows[begin : begin + MOST_ROWS])

    def _batch(self, rows: list[Row]) -> None:
        """Make one event of these outcomes, or two where that would be too large."""
        body = _encoder.encode(Outcomes(rows=rows))
        if len(body) > LARGEST_BATCH and len(rows) > 1:
            middle = len(rows) // 2
            self._batch(rows[:middle])
            self._batch(rows[middle:])
            return
        if len(body) > 8 * LARGEST_BATCH:
            body = _encoder.encode(Outcomes(rows=[_shortened(rows[0])]))
        counts: dict[str, int] = {}
        for row in rows:
            counts[row.verdict] = counts.get(row.verdict, 0) + 1
        self._frames.append(encode(Report(run=self._run, body=msgspec.Raw(body), counts=counts)))


def _mark(event: RunEvent) -> Literal["", "begin", "end"]:
    """Tell whether an event is the begin or the end of a watch's generation."""
    if isinstance(event, GenerationStarted):
        return "begin"
    return "end" if isinstance(event, RunCompleted) else ""


def _shortened(row: Row) -> Row:
    """Cut the texts of an outcome that no frame could carry."""
    detail = row.detail or Detail()
    sections = [Section(name=part.name, text=_cut(part.text)) for part in detail.sections[:8]]
    detail = msgspec.structs.replace(
        detail, message=_cut(detail.message), text=_cut(detail.text), frames=[], sections=sections,
        leaks=[_cut(leak) for leak in detail.leaks[:8]], stacks=_cut(detail.stacks),
    )  # fmt: skip
    return Row(row.test, row.target, row.verdict, row.duration, row.memory, row.worker, detail)


def _cut(text: str) -> str:
    if len(text) <= LARGEST_TEXT:
        return text
    half = LARGEST_TEXT // 2
    return f"{text[:half]}\n[{len(text) - LARGEST_TEXT} characters are left out]\n{text[-half:]}"


