"""A run's events on their way to the handler: order, batches, sizes."""

from __future__ import annotations

import socket
from typing import Any

import anyio
import pytest

from testd_daemon.agent.reporter import LARGEST_BATCH, MOST_ROWS, Reporter
from testd_daemon.link import Link
from testd_protocol.framing import decoder
from testd_protocol.messages import (
    AgentInstruction,
    AgentMessage,
    Detail,
    Notice,
    Outcomes,
    Planned,
    Report,
    Row,
    RunCompleted,
    RunEvent,
)

_events = decoder(RunEvent)


def row(number: int, verdict: str = "passed", detail: Detail | None = None) -> Row:
    return Row(f"t{number}", "py3", verdict, 0.1, 1, 0, detail)  # type: ignore[arg-type]


def reported(*items: Any) -> list[Report]:
    """Return what the handler gets of rows and events, a `RunCompleted` behind them."""
    found: list[Report] = []

    async def body() -> None:
        ours, theirs = socket.socketpair()
        async with Link(ours, decoder(AgentInstruction)) as link, Link(theirs, decoder(AgentMessage)) as handler:
            reporter = Reporter("r", link)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(reporter.serve)
                for item in (*items, RunCompleted(exit_code=1, counts={}, duration=1.0)):
                    if isinstance(item, Row):
                        reporter.row(item)
                    else:
                        reporter.event(item)
                with anyio.fail_after(30):
                    while not (found and found[-1].final):
                        found.extend(await handler.receive())  # type: ignore[arg-type]

    anyio.run(body)
    return found


def test_events_keep_their_order_and_rows_go_together() -> None:
    found = reported(Planned(tests=3), row(1), row(2, "failed"), Notice(level="info", text="x"), row(3))
    assert [type(_events.decode(report.body)).__name__ for report in found] == [
        "Planned", "Outcomes", "Notice", "Outcomes", "RunCompleted",
    ]  # fmt: skip
    assert [report.counts for report in found] == [{}, {"passed": 1, "failed": 1}, {}, {"passed": 1}, {}]
    assert found[0].tests == 3
    assert (found[-1].final, found[-1].exit_code) == (True, 1)


def test_a_large_batch_is_several_events() -> None:
    found = reported(*(row(n) for n in range(MOST_ROWS * 2 + 1)))
    batches = [_events.decode(report.body) for report in found[:-1]]
    assert [len(batch.rows) for batch in batches] == [MOST_ROWS, MOST_ROWS, 1]
    heavy = Detail(text="x" * (LARGEST_BATCH // 3))
    found = reported(*(row(n, "failed", heavy) for n in range(8)))
    assert all(len(report.body) <= LARGEST_BATCH for report in found)
    assert [r.test for report in found[:-1] for r in _events.decode(report.body).rows] == [f"t{n}" for n in range(8)]


def test_an_outcome_that_no_frame_can_carry_is_cut() -> None:
    huge = Detail(message="short", text="a" * 9_000_000 + "z" * 9_000_000, leaks=["leak"])
    batch = _events.decode(reported(row(1, "failed", huge))[0].body)
    assert isinstance(batch, Outcomes)
    detail = batch.rows[0].detail
    assert detail is not None
    assert (detail.message, detail.leaks) == ("short", ["leak"])
    assert detail.text.startswith("aaa")
    assert detail.text.endswith("zzz")
    assert "characters are left out" in detail.text


def test_the_end_of_a_generation_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the end of the whole watch did: each answer to an edit was a tenth of a second late."""
    monkeypatch.setattr("testd_daemon.agent.reporter.INTERVAL", 3600.0)
    monkeypatch.setattr("testd_daemon.agent.reporter.LONGEST_INTERVAL", 3600.0)

    async def body() -> None:
        ours, theirs = socket.socketpair()
        async with Link(ours, decoder(AgentInstruction)) as link, Link(theirs, decoder(AgentMessage)) as handler:
            reporter = Reporter("r", link)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(reporter.serve)
                with anyio.fail_after(30):
                    for generation in (1, 2, 0):
                        reporter.event(RunCompleted(exit_code=0, counts={}, duration=1.0, generation=generation))
                        assert len(await handler.receive()) == 1

    anyio.run(body)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_handler_that_is_gone_ends_it(when: str) -> None:
    async def body() -> None:
        ours, theirs = socket.socketpair()
        async with Link(ours, decoder(AgentInstruction)) as link:
            reporter = Reporter("r", link)
            if when == "before":
                theirs.close()
            with anyio.fail_after(30):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(reporter.serve)
                    while not tasks.cancel_scope.cancel_called and len(tasks._tasks):  # type: ignore[attr-defined]
                        reporter.row(row(1))
                        theirs.close()
                        await anyio.lowlevel.checkpoint()

    anyio.run(body)
