"""From a target's settings to what its runner is for: one function for each place where a target can be.

Runs in the agent. Raises UsageError or EnvironmentFault where something that the target needs is not there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import anyio
import msgspec

from testd.runner.processes import processors
from testd_daemon.agent import environment, nodes
from testd_daemon.agent.containers import Containers, in_container
from testd_daemon.agent.environments import EnvironmentRequest, RPackages, ensure
from testd_daemon.agent.interpreter import Choice, Interpreter, choose, find, program
from testd_daemon.agent.kind import Detector
from testd_daemon.agent.spec import Spec
from testd_daemon.config import Target
from testd_daemon.errors import EnvironmentFault
from testd_protocol.messages import Kind

__all__ = ["Specs"]


class Specs:
    """Finds out what runs a target. Remembers what interpreters are."""

    def __init__(self, workspace: str, cache: str) -> None:
        """Serve one workspace; what is made for targets is kept below `cache`."""
        self._workspace = workspace
        self._cache = cache
        self._detector = Detector()
        self._interpreters: dict[tuple[str, str, int], tuple[Choice, Interpreter]] = {}
        self._turns = anyio.Semaphore(processors())  # to make an environment takes a processor, and more
        self.containers = Containers(workspace)
        self._r_packages = RPackages(cache)

    async def of(
        self, target: Target, caller: Mapping[str, str], client: str, tell: Callable[[str], None], *, fresh: bool
    ) -> Spec:
        """Return what a target's runner is for.

        `caller` is the environment of whoever asked, `client` the interpreter that it runs on; `tell` gets a line for
        each step that takes a while. `fresh`: what could not be made before is tried again.
        """
        spec = await self._of(target, caller, client, tell, fresh=fresh)
        if spec.kind != "cases":
            return spec
        told = {
            name: msgspec.json.encode(getattr(target.settings, name), order="sorted").decode()
            for name in ("actions", "trace")
        }
        told["trace_source"] = _file(target.sources["trace"], self._workspace)
        return msgspec.structs.replace(spec, suite_settings=told)

    async def _of(
        self, target: Target, caller: Mapping[str, str], client: str, tell: Callable[[str], None], *, fresh: bool
    ) -> Spec:
        if target.settings.docker:
            return await self._container(target, caller, tell)
        if target.settings.ssh:
            return self._host(target, caller)
        if target.settings.node:
            return await self._node(target, caller)
        return await self._interpreter(target, caller, client, tell, fresh=fresh)

    async def _interpreter(
        self, target: Target, caller: Mapping[str, str], client: str, tell: Callable[[str], None], *, fresh: bool
    ) -> Spec:
        """An interpreter of this machine: the caller's own for the target that is always there."""
        settings = target.settings
        source = target.sources["python"]
        choice = choose(settings.python, source, self._workspace, caller, client)
        variables = environment.for_user_code(caller, settings.passthrough, settings.environment)
        choice, found = await self._find(choice, variables)
        if settings.install or settings.groups or settings.extras:
            made = await self._made(target, choice, found, caller, tell, fresh=fresh)
            choice, found = await self._find(made, variables)
        if target.name:
            variables = environment.activated(variables, choice.path)
        kind = self._kind(target, pytest=found.pytest)
        if kind == "pytest" and not found.pytest:
            raise _without_pytest(target, choice)
        return Spec(
            target=target.name or found.target, launcher="subprocess", runtime=choice.path, kind=kind,
            mode=settings.mode, root=self._workspace, arguments=settings.pytest_args if kind == "pytest" else (),
            fork=settings.fork, record=settings.record, preload=settings.preload, memory_limit=settings.memory_limit,
            output_limit=settings.output_limit, capture_limit=settings.capture_limit, environment=variables,
            significant=environment.significant(variables, settings.volatile),
        )  # fmt: skip

    async def _made(
        self,
        target: Target,
        choice: Choice,
        found: Interpreter,
        caller: Mapping[str, str],
        tell: Callable[[str], None],
        *,
        fresh: bool,
    ) -> Choice:
        """Return the interpreter of the environment that the target declares, which is made if need be."""
        settings = target.settings
        declared = next(name for name in ("install", "groups", "extras") if getattr(settings, name))
        name = target.name or found.target
        request = EnvironmentRequest(
            target=name, python=choice.path, version=found.version, workspace=self._workspace, cache=self._cache,
            install=settings.install, groups=settings.groups, extras=settings.extras, environment=dict(caller),
            source=target.sources[declared], again=fresh,
        )  # fmt: skip
        path = await ensure(request, lambda text: tell(text.removeprefix(f"{name}: ")), self._turns)
        return Choice(path, f"the environment of {name}")

    async def packages(
        self, spec: Spec, packages: tuple[str, ...], caller: Mapping[str, str], tell: Callable[[str], None]
    ) -> str:
        """Return a folder with packages that are installed for a target's interpreter here; it is made if need be.

        Raises EnvironmentFault.
        """
        _, found = await self._find(Choice(spec.runtime, spec.target), spec.environment)
        request = EnvironmentRequest(
            target=spec.target, python=spec.runtime, version=found.version, workspace=self._workspace,
            cache=self._cache, install=packages, environment=dict(caller), source="PyPIPackageDownloads",
        )  # fmt: skip
        python = await ensure(request, lambda text: tell(text.removeprefix(f"{spec.target}: ")), self._turns)
        return str(next(Path(python).parent.parent.glob("lib/*/site-packages")))

    async def r_library(
        self, spec: Spec, packages: tuple[str, ...], caller: Mapping[str, str], tell: Callable[[str], None]
    ) -> str:
        """Return a library with what of these packages of R a target here lacks; empty where it has no R.

        Raises EnvironmentFault.
        """
        return await self._r_packages.ensure(packages, {**caller, **spec.environment}, tell)

    async def _node(self, target: Target, caller: Mapping[str, str]) -> Spec:
        """A Node.js of this machine. It knows cases, and one kind of test files: exported functions."""
        settings = target.settings
        variables = environment.for_user_code(caller, settings.passthrough, settings.environment)
        found = await nodes.find(settings.node, target.sources["node"], self._workspace, variables)
        return Spec(
            target=target.name, launcher="node", runtime=found.executable,
            kind="cases" if settings.kind == "cases" else "exports", mode=settings.mode,
            root=self._workspace, arguments=(), fork=settings.fork, record=settings.record, preload=settings.preload,
            memory_limit=settings.memory_limit,
            output_limit=settings.output_limit, capture_limit=settings.capture_limit, environment=variables,
            significant=environment.significant(variables, settings.volatile),
        )  # fmt: skip

    async def _container(self, target: Target, caller: Mapping[str, str], tell: Callable[[str], None]) -> Spec:
        """A container: engine and image are asked what they are."""
        settings = target.settings
        options = {
            "engine": settings.engine,
            "memory": str(settings.memory or ""),
            "cpus": f"{settings.cpus:g}" if settings.cpus else "",
            "network": settings.network,
        }
        options = {name: value for name, value in options.items() if value}
        found = await self.containers.prepare(settings.docker, options, settings.python, caller, tell)
        spec = self._elsewhere(target, caller, "docker", found.options, self._kind(target, pytest=found.pytest))
        if spec.kind == "pytest" and not found.pytest:
            raise EnvironmentFault(
                f"no pytest for {found.runtime} in the image {settings.docker}",
                hint="use an image that has it (Dockerfile: RUN python3 -m pip install pytest), name an interpreter"
                ' that has it with python, or set kind = "exports"',
            )
        return msgspec.structs.replace(
            spec, runtime=found.runtime, significant={**spec.significant, **found.significant},
            memory_limit=in_container(spec.memory_limit, settings.memory),
        )  # fmt: skip

    def _host(self, target: Target, caller: Mapping[str, str]) -> Spec:
        """A host that ssh reaches."""
        settings = target.settings
        options = {
            "host": settings.ssh,
            "config": os.path.join(self._workspace, os.path.expanduser(settings.ssh_config))
            if settings.ssh_config
            else "",
            "cache": settings.host_cache,
            "silence": f"{settings.silence:g}",
        }
        spec = self._elsewhere(
            target, caller, "ssh", {name: value for name, value in options.items() if value},
            self._kind(target, pytest=True),
        )  # fmt: skip
        without = self._kind(target, pytest=False)  # whether the host has one shows when its runner starts
        return msgspec.structs.replace(spec, otherwise=without if without != spec.kind else None)

    def _kind(self, target: Target, *, pytest: bool) -> Kind:
        """What is configured, or what the project's files say of an environment that has or lacks pytest."""
        kind = target.settings.kind
        return self._detector.detect(self._workspace, pytest=pytest).kind if kind == "auto" else kind

    def _elsewhere(
        self, target: Target, caller: Mapping[str, str], launcher: str, options: dict[str, str], kind: Kind
    ) -> Spec:
        """A place with an environment of its own: of the caller's it gets only what is named."""
        settings = target.settings
        passed = [pattern for pattern in settings.passthrough if pattern != "*"]
        variables = environment.for_user_code(caller, passed, settings.environment)
        return Spec(
            target=target.name, launcher=launcher, runtime=program(settings.python) or "python3", kind=kind,
            mode=settings.mode, root=self._workspace, arguments=settings.pytest_args if kind == "pytest" else (),
            fork=settings.fork, record=settings.record, preload=settings.preload, memory_limit=settings.memory_limit,
            output_limit=settings.output_limit, capture_limit=settings.capture_limit, environment=variables,
            significant=environment.significant(variables, settings.volatile), options=options, extend=True,
            outside=dict(caller),
        )  # fmt: skip

    async def _find(self, choice: Choice, variables: dict[str, str]) -> tuple[Choice, Interpreter]:
        """Look at an interpreter once, and again when it has changed or had no pytest."""
        try:
            key = (choice.path, choice.wanted, os.stat(choice.path).st_mtime_ns)
        except OSError as error:
            raise EnvironmentFault(f"{choice.path}: {error.strerror}", hint="remake the environment") from error
        known = self._interpreters.get(key)
        if known is None or not known[1].pytest:
            known = self._interpreters[key] = await find(choice, variables)
        return known[0], known[1]


def _file(source: str, workspace: str) -> str:
    """Return the file of a setting's source, relative to the workspace; the source itself where it is none."""
    path = source.rpartition(":")[0]
    return os.path.relpath(path, workspace) if os.path.isabs(path) else source


def _without_pytest(target: Target, choice: Choice) -> EnvironmentFault:
    settings = target.settings
    if settings.install or settings.groups or settings.extras:
        right = "add pytest to what its environment is made of: install, groups or extras"
    else:
        table = f'[tool.testd.targets."{target.name}"]' if target.name else "[tool.testd]"
        right = (
            f"install it there: {choice.path} -m pip install pytest; or have an environment made:"
            f' install = ["pytest"] in {table}; or choose another interpreter with python there'
        )
    return EnvironmentFault(
        f"no pytest in {choice.path} (chosen by: {choice.source})", hint=f'{right}; or set kind = "exports"'
    )
