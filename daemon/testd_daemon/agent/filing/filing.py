"""Between a run and whoever it reports to: takes documents out of outcomes, and has them kept in order.

What keeps them works in a thread, on all that came meanwhile at once. A run is over when all of it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import anyio
import anyio.to_thread
import msgspec
from anyio.abc import TaskGroup

from testd_daemon.agent.filing.identities import Identities
from testd_daemon.agent.filing.keeper import Filed, Keeper
from testd_daemon.agent.filing.ledger import Ledger
from testd_daemon.agent.filing.results import SuiteResults
from testd_daemon.agent.filing.run_files import RunFiles
from testd_daemon.agent.reporter import Sink
from testd_protocol.messages import Detail, Notice, Row, RunEvent, RunRequest

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Filing", "Surroundings", "filing_of"]


class Surroundings(NamedTuple):
    """What a run needs beside its request to keep what comes of it."""

    workspace: str
    ledger: str  # the path of what is kept until results are complete; empty: nothing is
    produced: Callable[[str], None]  # is told of each file before it is written, in a thread
    identities: Identities


def filing_of(request: RunRequest, around: Surroundings, sink: Sink) -> Filing | None:
    """Return what keeps what a request wants kept, None where that is nothing."""
    workspace, produced = around.workspace, around.produced
    if request.run_file:
        return Filing(sink, RunFiles(workspace, produced, around.identities), before=True)
    if request.results or request.report_url:
        ledger = Ledger(around.ledger)
        return Filing(
            sink, SuiteResults(workspace, request.results, request.report_url, produced, ledger), before=True
        )
    return None


class Filing:
    """A sink before another one. `async with` keeps what comes inside; at its end all is kept."""

    def __init__(self, sink: Sink, keeper: Keeper, *, before: bool = False) -> None:
        """Pass everything on to `sink` but documents, which `keeper` gets.

        `before`: an outcome is kept before it is passed on, so that whatever is killed in between runs again.
        """
        self._sink = sink
        self._keeper = keeper
        self._before = before
        self._plans: list[tuple[str, Sequence[str]]] = []
        self._outcomes: list[Filed] = []
        self._wanted = anyio.Event()
        self._over = False
        self._order: Sequence[str] = ()
        self._tasks: TaskGroup | None = None

    def begin(self, targets: Sequence[str]) -> None:
        """Take the names of the run's targets, in their order."""
        self._order = targets if len(targets) > 1 else ()

    def plan(self, target: str, ids: Sequence[str]) -> None:
        """Take what is to run on a target."""
        self._plans.append((target, list(ids)))
        self._wanted.set()

    def row(self, row: Row) -> None:
        """Add an outcome."""
        detail = row.detail
        document = detail.document if detail is not None else ""
        if detail is not None and document:
            bare = msgspec.structs.replace(detail, document="", phase="")
            told = None if bare == Detail() else msgspec.structs.replace(detail, document="")
            row = Row(row.test, row.target, row.verdict, row.duration, row.memory, row.worker, told)
        self._outcomes.append(Filed(row, document, self._order))
        self._wanted.set()
        if not self._before:
            self._sink.row(row)

    def event(self, event: RunEvent) -> None:
        """Add any other event."""
        self._sink.event(event)

    async def __aenter__(self) -> Self:
        """Begin."""
        self._tasks = await anyio.create_task_group().__aenter__()
        self._tasks.start_soon(self._serve)
        return self

    async def __aexit__(self, *error: object) -> bool | None:
        """Keep what is left."""
        assert self._tasks is not None
        self._over = True
        self._wanted.set()
        return await self._tasks.__aexit__(*error)  # type: ignore[arg-type]  # as it was given

    async def _serve(self) -> None:
        while self._outcomes or not self._over:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            plans, self._plans = self._plans, []
            outcomes, self._outcomes = self._outcomes, []
            for target, ids in plans:
                await self._do(partial(self._keeper.plan, target, ids))
            if self._over:
                self._wanted.set()
            if outcomes:
                await self._do(partial(self._keeper.keep, outcomes))
                for outcome in outcomes if self._before else ():
                    self._sink.row(outcome.row)
                await self._do(partial(self._keeper.tell, outcomes))
        await self._do(self._keeper.finish)

    async def _do(self, step: Callable[[], list[str]]) -> None:
        for text in await anyio.to_thread.run_sync(step):
            self._sink.event(Notice(level="warning", text=text))
