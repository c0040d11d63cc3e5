"""One run of a workflow, from its instructions to its completion. Runs in the agent, one task for each run.

    document → targets and stores, all at once → functions → completed

The run is carried out with the document that it was accepted with, also where another process has begun it.
"""

from __future__ import annotations

import contextlib
import os
import time
import traceback
import uuid
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import anyio
import msgspec
from anyio.to_thread import run_sync

from testd.runner.processes import processors
from testd_daemon.agent.reporter import Sink
from testd_daemon.agent.target_task import Services
from testd_daemon.agent.verdicts import exit_code
from testd_daemon.agent.workflow.engine import Engine, Means
from testd_daemon.agent.workflow.files import Files
from testd_daemon.agent.workflow.keeper import Keeper
from testd_daemon.agent.workflow.kept import Facts, Kept, Note
from testd_daemon.agent.workflow.measuring import Measuring
from testd_daemon.agent.workflow.places import Places
from testd_daemon.agent.workflow.turns import Turns
from testd_daemon.config import resolve
from testd_daemon.errors import TestdError, UsageError
from testd_daemon.workflows import document, layout
from testd_daemon.workflows.document import Workflow
from testd_daemon.workflows.progress import Progress
from testd_daemon.workflows.store import data_stores
from testd_daemon.workflows.store.address import Address
from testd_daemon.workflows.store.bucket import load
from testd_daemon.workflows.store.errors import ExtraMissing
from testd_daemon.workflows.store.isolation import Isolation
from testd_daemon.workflows.store.versions import Versions
from testd_protocol.messages import Notice, Planned, Run, RunCompleted, WorkflowPlanned

__all__ = ["WorkflowTask"]

#: Processes of functions that are there at once for each that may run: the others wait for the store.
MOST_WAITING: Final = 8


class WorkflowTask:
    """The task of one run."""

    def __init__(self, services: Services, run: Run, reporter: Sink, keeper: Keeper) -> None:
        """Take the instructions."""
        self.run = run.run
        self._services = services
        self._request = run.request
        self._finished = frozenset(run.finished)
        self._counts = dict(run.counts)
        self._reporter = Measuring(reporter)
        self._keeper = keeper
        self._embedded = False
        self._engine: Engine | None = None
        self._scope = anyio.CancelScope()
        self._cancelled = ""
        self._began = time.monotonic()

    @property
    def at_work(self) -> bool:
        """Whether it needs an agent that answers: always."""
        return True

    def cancel(self, reason: str) -> None:
        """End the run early."""
        self._cancelled = self._cancelled or reason or "cancelled"
        if self._engine is not None:
            self._engine.cancel(self._cancelled)
        else:
            self._scope.cancel()

    async def remember(self) -> None:
        """Write the run into the history, and keep what it took. A help, never a condition."""
        await self._reporter.record(self.run, self._services.history)
        state = self._services.folders.state
        if state:
            with contextlib.suppress(OSError):
                await self._reporter.keep(self.run, state)

    async def execute(self) -> None:
        """Carry the run out; the last event is always `RunCompleted`."""
        completed = self._ended(2, self._cancelled or "cancelled")
        try:
            with self._scope:
                completed = await self._execute()
            if self._scope.cancelled_caught:
                completed = self._ended(2, self._cancelled)
        except Exception as error:
            known = _known(error)
            if known is not None:
                completed = self._ended(known.exit_code, known.message, known.hint, known.detail)
            else:
                completed = self._ended(3, "testd failed: this is a bug in testd", detail=traceback.format_exc())
        self._reporter.event(completed)

    async def _execute(self) -> RunCompleted:
        services, request = self._services, self._request
        kept = Kept.find(services.folders.state, self.run) if services.folders.state else None
        path, workflow = self._workflow(kept)
        caller = request.environment or dict(os.environ)
        options = {name: getattr(request, name) for name in ("mode", "jobs", "timeout", "require")}
        resolved = resolve(services.workspace, caller, options)
        for text in resolved.notices:
            self._reporter.event(Notice(level="warning", text=text))
        if kept is None:
            kept = Kept.begin(services.folders.state, self.run, path.read_bytes(), self._facts(workflow))
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(kept.close)
            places = Places(services, self.run, request, workflow, resolved, self._reporter, path.parent)
            tasks = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(tasks.cancel_scope.cancel)
            tasks.start_soon(_load)
            await stack.enter_async_context(places.hold(caller, tasks))
            files = await self._files(stack, workflow, kept, caller)
            await places.ready()
            if not kept.begun:
                await self._refuse_twice(stack, files, workflow, kept)
                if request.input:
                    await files.seed(Path(request.input))
                kept.note(Note(what="begun"))
            turns = Turns(resolved.settings.jobs or processors(), MOST_WAITING * processors())
            means = Means(
                workflow=workflow, folder=self._folder(workflow, kept), kept=kept, files=files, turns=turns,
                places=places.by_action, broken=places.broken, targets=places.targets, timeouts=places.timeouts,
                secrets=caller, finished=self._finished,
            )  # fmt: skip
            self._engine = Engine(means, Progress(workflow.graph, request.join), self._reporter)
            self._announce(workflow, kept, files, path)
            await self._engine.run()
        return self._complete(workflow)

    # ── what it is ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _workflow(self, kept: Kept | None) -> tuple[Path, Workflow]:
        """Return the file's path, and the workflow. Raises UsageError."""
        request = self._request
        if len(request.paths) != 1:
            raise UsageError("a run has one workflow", hint="name one file")
        path = Path(request.cwd, request.paths[0])
        name = os.path.relpath(path, request.cwd)
        workflow = document.decode(kept.document, name) if kept is not None else document.load(path, name)
        if request.overrides:
            data = {**workflow.data, **request.overrides}
            workflow = document.decode(msgspec.json.encode(data), f"{name}, with what was given")
        return path, workflow

    def _facts(self, workflow: Workflow) -> Facts:
        file = workflow.file
        at = file.invocation_timestamp or layout.timestamp(datetime.now())  # noqa: DTZ005  local, as the backend's
        invocation = file.invocation_id.strip()
        if not invocation and file.invocation_id_from_date:
            invocation = layout.invocation_from_date(file.invocation_id_from_date, at)
        return Facts(invocation=invocation or str(uuid.uuid4()), timestamp=at, document=workflow.path)

    @staticmethod
    def _folder(workflow: Workflow, kept: Kept) -> str:
        facts = kept.facts
        return layout.folder(workflow.file.faasr_log, workflow.name, facts.timestamp, facts.invocation)

    def _reserve(self, stack: contextlib.AsyncExitStack, files: Files, folder: str) -> bool:
        """Take a folder until the run is over. Returns whether no other run of this agent has it."""
        address, taken = files.logs.address, self._keeper.taken
        place = (address.endpoint, address.bucket, folder)
        if place in taken:
            return False
        taken.add(place)
        stack.callback(taken.discard, place)
        return True

    async def _refuse_twice(
        self, stack: contextlib.AsyncExitStack, files: Files, workflow: Workflow, kept: Kept
    ) -> None:
        """Raise UsageError where the invocation runs already, or has left something in the store."""
        folder = self._folder(workflow, kept)
        if not self._reserve(stack, files, folder) or await files.logs.listing(folder + "/"):
            raise UsageError(
                f"InvocationID already exists: {kept.facts.invocation}",
                hint="give the run another InvocationID, or none: then one is made",
            )

    # ── its stores ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _files(
        self, stack: contextlib.AsyncExitStack, workflow: Workflow, kept: Kept, caller: Mapping[str, str]
    ) -> Files:
        """Return the run's stores, which are there and can be used. Raises TestdError."""
        file = workflow.file
        self._embedded = data_stores.wants_embedded(self._request.store)
        addresses: dict[str, Address]
        if self._embedded:
            store, over = await self._keeper.start(kept.folder)
            stack.callback(self._keeper.leave, over)
            addresses = data_stores.embedded(file.data_stores, store.address)
        else:
            addresses = data_stores.outside(self._request.store, file.data_stores, caller)
        versions = Versions(kept.folder)
        stack.callback(versions.close)
        files = Files(
            addresses, file.default_data_store, file.logging_data_store or file.default_data_store,
            Isolation(self._request.isolation, kept.facts.invocation, addresses), versions, self._reporter.event,
            embedded=self._embedded,
        )  # fmt: skip
        stack.callback(files.close)
        await files.prepare()
        return files

    # ── what is told ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _announce(self, workflow: Workflow, kept: Kept, files: Files, path: Path) -> None:
        graph, request = workflow.graph, self._request
        self._reporter.event(
            WorkflowPlanned(
                name=workflow.name, invocation=kept.facts.invocation, timestamp=kept.facts.timestamp,
                folder=self._folder(workflow, kept), file=os.path.relpath(path, self._services.workspace),
                isolation=request.isolation, join=request.join, functions=list(graph.instances),
                graph={action: list(graph.successors(action)) for action in graph.actions}, ranks=dict(graph.ranks),
                store=_shown(files, embedded=self._embedded), state=str(kept.folder),
                prefix=files.prefix, own=files.own,
            )
        )  # fmt: skip
        self._reporter.event(Planned(tests=len(graph.instances)))
        if request.join == "faasr":
            for action, why in graph.stuck().items():
                self._reporter.event(Notice(level="warning", text=f"{action}: {why}"))

    def _complete(self, workflow: Workflow) -> RunCompleted:
        assert self._engine is not None
        counts = dict(self._counts)
        for verdict, count in self._engine.counts.items():
            counts[verdict] = counts.get(verdict, 0) + count
        code = exit_code(counts, selected=len(workflow.graph.instances), interrupted=bool(self._cancelled))
        return self._ended(code, self._cancelled, counts=counts)

    def _ended(
        self, code: int, reason: str, hint: str = "", detail: str = "", counts: dict[str, int] | None = None
    ) -> RunCompleted:
        return RunCompleted(
            exit_code=code, counts=self._counts if counts is None else counts, reason=reason, hint=hint,
            detail=detail, duration=time.monotonic() - self._began,
        )  # fmt: skip


async def _load() -> None:
    """Load what clients of stores need while runners and a store start."""
    with contextlib.suppress(ExtraMissing):  # told where it is needed
        await run_sync(load)


def _known(error: Exception) -> TestdError | None:
    """Return what a person can act on: the first of it, where tasks side by side have failed; None for a bug."""
    if isinstance(error, TestdError):
        return error
    found = [_known(each) for each in getattr(error, "exceptions", ())]
    return found[0] if found and all(found) else None


def _shown(files: Files, *, embedded: bool) -> dict[str, str]:
    """Return what a client of the default store needs; keys only of the embedded one, where they are no secret."""
    found = files.credentials("")
    return {key: value for key, value in found.items() if embedded or key not in ("access_key", "secret_key")}
