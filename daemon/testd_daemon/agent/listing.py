"""The answer to `List`: the collected tests of the targets, as lines. Runs in the agent, one task for each question.

The lines are made here, page by page, so that whoever asked has nothing to do but to print them.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping, Sequence

import anyio

from testd_daemon.agent.catalogue import catalogued
from testd_daemon.agent.collection import Collection
from testd_daemon.agent.listed import JsonLines, Lines, Page, TextLines
from testd_daemon.agent.selection import Argument, concerns, parse, select
from testd_daemon.agent.target_task import Services
from testd_daemon.agent.warm import Provision, provide
from testd_daemon.config import Settings, Target, resolve
from testd_daemon.config.targets import choose
from testd_daemon.errors import Bug, LinkClosed, TestdError
from testd_daemon.link import Link
from testd_protocol.messages import AgentInstruction, CollectError, List, Listed

__all__ = ["Listing"]


class Listing:
    """One question, from the request to the last page."""

    def __init__(self, services: Services, question: List, link: Link[AgentInstruction]) -> None:
        """Take the question; the answer goes to the handler's link."""
        self.run = f"list {question.id}"
        self._services = services
        self._question = question
        self._request = question.request
        self._link = link
        self._scope = anyio.CancelScope()
        self._lines: Lines = JsonLines(services.workspace) if question.format == "json" else TextLines()
        self._tests = 0
        self._errors = 0
        self._deselected: int | None = 0  # None: not known
        self._unusable: list[TestdError] = []

    @property
    def at_work(self) -> bool:
        """Whether tests are being collected or told of: always."""
        return True

    def cancel(self, reason: str) -> None:
        """Nobody waits for the answer any more."""
        del reason
        self._scope.cancel()

    async def execute(self) -> None:
        """Answer; nothing is raised."""
        try:
            with self._scope:
                await self._answer()
        except LinkClosed:
            return

    async def _answer(self) -> None:
        try:
            await self._collect()
        except TestdError as error:
            self._unusable.append(error)
            await self._say(self._lines.unusable("", error))
        except Exception:
            bug = Bug("testd failed: this is a bug in testd", detail=traceback.format_exc())
            self._unusable.append(bug)
            await self._say(self._lines.unusable("", bug))
        code = self._exit_code()
        await self._say(self._lines.end(code, self._tests, self._errors, self._deselected), done=True, exit_code=code)

    async def _collect(self) -> None:
        request = self._request
        caller = request.environment or dict(os.environ)
        options = {name: getattr(request, name) for name in ("mode", "jobs", "timeout", "require")}
        resolved = resolve(self._services.workspace, caller, options)
        for text in resolved.notices:
            await self._say(self._lines.notice(text))
        chosen = choose(resolved, request.targets, request.kind)
        self._lines.several = len(chosen) > 1
        async with anyio.create_task_group() as tasks:
            for target in chosen:
                tasks.start_soon(self._target, target, caller)

    def _exit_code(self) -> int:
        if self._unusable:
            return self._unusable[0].exit_code
        if self._errors:
            return 1
        return 0 if self._tests else 5

    # ── one target ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def _target(self, target: Target, caller: Mapping[str, str]) -> None:
        try:
            await self._on(target, caller)
        except TestdError as error:
            self._unusable.append(error)
            await self._say(self._lines.unusable(target.name, error))

    async def _on(self, target: Target, caller: Mapping[str, str]) -> None:
        services, request, settings = self._services, self._request, target.settings
        told: list[str] = []
        spec = await services.specs.of(target, caller, request.python, told.append, fresh=False)
        arguments = self._arguments(settings)
        # An expression is for pytest to judge: that takes a process which has collected all of it.
        find = None if request.keyword or request.filters else catalogued
        async with provide(
            services.pool, spec, arguments, settings, fresh=False, find=find
        ) as provision:
            for text in (*told, *provision.collection.notices):
                await self._say(self._lines.notice(text))
            chosen = await self._choose(provision, arguments)
            await self._list(provision.collection, chosen, arguments, spec.target)

    def _arguments(self, settings: Settings) -> list[Argument]:
        workspace, request = self._services.workspace, self._request
        return parse(request.paths, request.cwd, workspace) or parse(settings.paths, workspace, workspace)

    async def _choose(self, provision: Provision, arguments: Sequence[Argument]) -> Sequence[int]:
        """Return the indexes of the tests that are meant."""
        found = provision.collection
        chosen: Sequence[int] = range(len(found.ids))
        if arguments:
            chosen = select(arguments, found.index, found.ids, found.lines, found.broken)
        left_out = found.deselected
        if self._request.keyword or self._request.filters:
            wanted = set(await provision.runner.select(found, self._request.keyword or "", self._request.filters))
            kept = [index for index in chosen if index in wanted]
            left_out += len(chosen) - len(kept)
            chosen = kept
        if left_out < 0 or self._deselected is None:
            self._deselected = None
        else:
            self._deselected += left_out
        return chosen

    async def _list(
        self, found: Collection, chosen: Sequence[int], arguments: Sequence[Argument], target: str
    ) -> None:
        self._tests += len(chosen)
        for text in self._lines.tests(found, chosen, target):
            await self._say(text)
        for error in found.errors:
            if concerns(found.path_of(error.id), arguments):
                await self._error(error, target)

    async def _error(self, error: CollectError, target: str) -> None:
        self._errors += error.verdict == "error"
        await self._say(self._lines.error(error, target))

    async def _say(self, page: Page, *, done: bool = False, exit_code: int = 0) -> None:
        """Send a page: the stream and the text."""
        stream, text = page
        await self._link.send(
            Listed(id=self._question.id, text=text, stream=stream, done=done, exit_code=exit_code)
        )
