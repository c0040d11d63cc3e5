"""All places of a run: which action runs where, found out for all at once. Runs in the agent.

An action whose target cannot be used, or whose code is nowhere, is broken: what is wrong is told when it is invoked.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path

import anyio
import msgspec
from anyio.abc import TaskGroup

from testd_daemon.agent.mirror import Tell
from testd_daemon.agent.reporter import Sink
from testd_daemon.agent.spec import Spec
from testd_daemon.agent.target_task import Services
from testd_daemon.agent.workflow import sources
from testd_daemon.agent.workflow.place import Place, Roots
from testd_daemon.config import Resolved, Target
from testd_daemon.config.targets import choose
from testd_daemon.errors import EnvironmentFault, TestdError, UsageError
from testd_daemon.workflows.document import Workflow
from testd_protocol.messages import Notice, Preparing, RunRequest, TargetReady

__all__ = ["Places"]


class Places:
    """The places of one run."""

    def __init__(
        self, services: Services, run: str, request: RunRequest, workflow: Workflow, resolved: Resolved,
        reporter: Sink, beside: Path,
    ) -> None:  # fmt: skip
        """Plan them. `beside` is the folder of the workflow's file. Raises UsageError for a target that is none."""
        self.by_action: dict[str, Place] = {}
        self.broken: dict[str, TestdError] = {}
        self.targets: dict[str, str] = {}
        self.timeouts: dict[str, float] = {}
        self._services = services
        self._run = run
        self._request = request
        self._file = workflow.file
        self._reporter = reporter
        self._beside = beside
        self._wanted = {action: _target(resolved, request, workflow, action) for action in workflow.file.action_list}
        self._told: set[str] = set()
        self._specs: dict[str, Spec | TestdError] = {}
        self._ready = anyio.Event()

    @contextlib.asynccontextmanager
    async def hold(self, caller: Mapping[str, str], tasks: TaskGroup) -> AsyncIterator[None]:
        """Hold all places for the length of a block. They are found, and made warm, in `tasks`; see `ready`."""
        tasks.start_soon(self._find, caller, tasks)
        try:
            yield
        finally:
            with anyio.CancelScope(shield=True):  # counts must be right, and nothing here waits for long
                for place in set(self.by_action.values()):
                    await place.release()

    async def ready(self) -> None:
        """Wait until it is known where each action runs."""
        await self._ready.wait()

    async def _find(self, caller: Mapping[str, str], tasks: TaskGroup) -> None:
        targets = {target.name: target for target in self._wanted.values()}
        async with anyio.create_task_group() as specs:
            for target in targets.values():
                specs.start_soon(self._spec, target, caller)
        places: dict[tuple[str, str], list[str]] = {}
        for action, target in self._wanted.items():
            self._plan(action, target, places)
        for (name, source), actions in places.items():
            place = self._place(targets[name], source, actions)
            self.by_action.update(dict.fromkeys(actions, place))
            tasks.start_soon(self._warm, place)
        self._ready.set()

    def _place(self, target: Target, source: str, actions: Iterable[str]) -> Place:
        spec = self._specs[target.name]
        assert isinstance(spec, Spec)
        names = dict.fromkeys(self._file.action_list[action].function_name for action in actions)
        tell = self._say(spec.target)
        return Place(
            self._services.pool, spec, target.settings, Roots(source, tuple(names)), self._run, tell,
            fresh=self._request.fresh,
        )  # fmt: skip

    async def _spec(self, target: Target, caller: Mapping[str, str]) -> None:
        """Find out what runs a target."""
        try:
            spec = await self._services.specs.of(
                target, caller, self._request.python, self._tell(target.name), fresh=self._request.fresh
            )
            if spec.launcher == "node":
                raise EnvironmentFault(
                    f"target {target.name} is Node.js, and functions are Python", hint="name another target"
                )
            self._specs[target.name] = msgspec.structs.replace(spec, record=False, preload=False)
        except TestdError as error:
            self._specs[target.name] = error

    def _plan(self, action: str, target: Target, places: dict[tuple[str, str], list[str]]) -> None:
        """Note where an action runs, or why it cannot."""
        spec = self._specs[target.name]
        settings, testd, found = target.settings, self._file.testd, self._file.action_list[action]
        usual = found.max_runtime or settings.timeout
        own = testd.timeouts.get(action, testd.timeout)
        self.timeouts[action] = next((each for each in (self._request.timeout, own) if each is not None), usual)
        self.targets[action] = target.name if isinstance(spec, TestdError) else spec.target
        try:
            if isinstance(spec, TestdError):
                raise spec
            source = self._source(action)
            places.setdefault((target.name, source), []).append(action)
        except TestdError as error:
            self.broken[action] = error

    def _source(self, action: str) -> str:
        found = self._file.action_list[action]
        if found.type != "Python":
            raise EnvironmentFault(
                f"{action} is of the type {found.type}, which cannot be run here", hint="Python functions can"
            )
        workspace = Path(os.path.realpath(self._services.workspace))
        source = sources.source(self._file, found.function_name, workspace, self._beside)
        if not isinstance(source, sources.Source):
            names = ", ".join(each.name for each in source)
            raise EnvironmentFault(
                f"the code of {found.function_name} is in {names}, which is not here",
                hint="run the workflow in a checkout of it, or name a folder with FunctionLocalFile",
            )
        return source.path

    async def _warm(self, place: Place) -> None:
        """Have everything imported, and tell what of it was warm. What goes wrong comes again with the first call."""
        with contextlib.suppress(TestdError):
            runner, collection = await place.ready()
            if place.spec.target in self._told:
                return
            self._told.add(place.spec.target)
            provision, spec = place.provision, place.spec
            self._reporter.event(
                TargetReady(
                    target=spec.target, warm=provision.warm, reason=provision.reason, kind="workflow",
                    mode="worker" if collection.forkable and spec.mode == "worker" else "bin", jobs=0,
                    python=runner.ready.python if runner.ready is not None else "", framework=collection.framework,
                    host=spec.options.get("host") or spec.options.get("image", ""),
                )
            )  # fmt: skip

    def _tell(self, target: str) -> Callable[[str], None]:
        return lambda text: self._reporter.event(Notice(level="info", text=text, target=target))

    def _say(self, target: str) -> Tell:
        return lambda text, done, total: self._reporter.event(
            Preparing(target=target, text=text, done=done, total=total)
        )


def _target(resolved: Resolved, request: RunRequest, workflow: Workflow, action: str) -> Target:
    """Return where an action runs: as its document says of it, as the command says, or as the document says of all."""
    testd = workflow.file.testd
    named = testd.targets.get(action) or next(iter(request.targets), "") or testd.target
    found = choose(resolved, [named] if named else [], "workflow")
    if len(request.targets) > 1 or (named and len(found) > 1):
        names = ", ".join((request.targets[1:] and request.targets) or [target.name for target in found])
        raise UsageError(
            f"{action} can run on one target, not on {names}",
            hint="name one with --target, or in Testd.targets of the workflow",
        )
    return found[0]
