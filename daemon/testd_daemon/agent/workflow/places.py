"""All places of a run: which action runs where, found out for all at once. Runs in the agent.

An action whose target cannot be used, or whose code is nowhere, is broken: what is wrong is told when it is invoked.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import anyio
import msgspec
from anyio.abc import TaskGroup

from testd.invocation.r_packages import is_package
from testd.runner.processes import processors
from testd_daemon.agent.mirror import Tell, code_path
from testd_daemon.agent.reporter import Sink
from testd_daemon.agent.spec import Spec
from testd_daemon.agent.target_task import Services
from testd_daemon.agent.workflow import sources
from testd_daemon.agent.workflow.place import Place, Roots, code_name
from testd_daemon.agent.workflow.repositories import Repositories
from testd_daemon.config import Resolved, Target
from testd_daemon.config.targets import choose
from testd_daemon.errors import EnvironmentFault, TestdError, UsageError
from testd_daemon.workflows.document import Workflow
from testd_protocol.messages import Notice, Preparing, RunRequest, TargetReady
from testd_protocol.workflows import Action, WorkflowFile

__all__ = ["Places"]


class _Key(NamedTuple):
    """What functions share that run in the same place."""

    target: str  # as it is called in the configuration
    source: str  # in the workspace; empty: in repositories elsewhere
    repositories: tuple[sources.Repository, ...]
    packages: tuple[str, ...]
    r_packages: tuple[str, ...]


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
        self._jobs = resolved.settings.jobs or processors()
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
        places: dict[_Key, list[str]] = {}
        for action, target in self._wanted.items():
            self._plan(action, target, places)
        for key, actions in places.items():
            place = self._place(targets[key.target], key, actions, caller)
            self.by_action.update(dict.fromkeys(actions, place))
            tasks.start_soon(self._warm, place)
        self._ready.set()

    def _place(self, target: Target, key: _Key, actions: Iterable[str], caller: Mapping[str, str]) -> Place:
        spec = self._specs[target.name]
        assert isinstance(spec, Spec)
        names = dict.fromkeys(code_name(self._file.action_list[action]) for action in actions)
        outfit = partial(self._outfit, spec, key, tuple(names), caller)
        return Place(
            self._services.pool, spec, target.settings, outfit, self._run, self._say(spec.target),
            fresh=self._request.fresh,
        )  # fmt: skip

    async def _outfit(self, spec: Spec, key: _Key, names: tuple[str, ...], caller: Mapping[str, str]) -> Roots:
        """Have code and packages where they are needed. Raises TestdError."""
        here = spec.launcher == "subprocess"
        source, code = (key.source, "") if key.source else await self._fetched(spec, key, caller)
        if not here:
            return Roots(source, names, code, requirements=key.packages, r_packages=key.r_packages)
        specs, tell, packages, library = self._services.specs, self._tell(spec.target), "", ""
        if key.packages:
            packages = await specs.packages(spec, key.packages, caller, tell)
        if key.r_packages:
            library = await specs.r_library(spec, key.r_packages, caller, tell)
        return Roots(source, names, packages=(packages,) if packages else (), r_library=library)

    async def _fetched(self, spec: Spec, key: _Key, caller: Mapping[str, str]) -> tuple[str, str]:
        """Return where code is that comes from repositories, and what the target has to be given of it."""
        folder = Path(self._services.folders.state or self._services.folders.cache, "repositories")
        repositories = Repositories(folder, caller, self._tell(spec.target))
        copy, code = await repositories.fetch(key.repositories)
        if spec.launcher == "subprocess":
            return str(code), ""
        if spec.launcher == "ssh":
            return str(PurePosixPath(code_path(str(copy)), code.relative_to(copy))), str(copy)
        return str(code), str(copy)

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

    def _plan(self, action: str, target: Target, places: dict[_Key, list[str]]) -> None:
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
            places.setdefault(self._key(action, target.name), []).append(action)
        except TestdError as error:
            self.broken[action] = error

    def _key(self, action: str, target: str) -> _Key:
        """Return what an action shares with all that can run in the same place. Raises TestdError."""
        found = self._file.action_list[action]
        if found.type == "Julia":
            raise EnvironmentFault(
                f"{action} is of the type {found.type}, which cannot be run here", hint="functions in Python and R can"
            )
        workspace = Path(os.path.realpath(self._services.workspace))
        source = sources.source(self._file, found.function_name, workspace, self._beside)
        packages = _listed(self._file.pypi_package_downloads, found)
        r_packages = _r_packages(self._file, found) if found.type == "R" else ()
        if isinstance(source, sources.Source):
            return _Key(target, source.path, (), packages, r_packages)
        return _Key(target, "", tuple(source), packages, r_packages)

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
                    mode="worker" if collection.forkable and spec.mode == "worker" else "bin", jobs=self._jobs,
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


def _listed(packages: Mapping[str, str | list[str]], action: Action) -> tuple[str, ...]:
    """Return the packages of an action's function."""
    asked = packages.get(action.function_name, [])
    return tuple([asked] if isinstance(asked, str) else asked)


def _r_packages(file: WorkflowFile, action: Action) -> tuple[str, ...]:
    """Return the packages of a function in R. Raises UsageError for what names none."""
    plain, github = _listed(file.function_cran_package, action), _listed(file.function_github_package, action)
    wrong = [f"FunctionCRANPackage: {name!r}" for name in plain if not is_package(name) or "/" in name]
    wrong += [f"FunctionGitHubPackage: {name!r}" for name in github if not is_package(name) or "/" not in name]
    if wrong:
        raise UsageError(f"{wrong[0]} is no package of R", hint="jsonlite is one on CRAN, OWNER/REPO one on GitHub")
    return (*plain, *github)


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
