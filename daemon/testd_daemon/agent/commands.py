"""`testd pytest`: which runner carries a command out, or why none does. Runs in the agent, one task for each command.

The command itself is between the client and the process that a stem forks for it: they have a line of their own, and
the process has the client's descriptors. What is decided here is where that process comes from.
"""

from __future__ import annotations

import contextlib
import os
import traceback
from typing import Final

import msgspec

from testd_daemon.agent import environment
from testd_daemon.agent.pool import Pool
from testd_daemon.agent.runner import Runner
from testd_daemon.agent.spec import Spec
from testd_daemon.agent.specs import Specs
from testd_daemon.agent.warm import rewound
from testd_daemon.config import Settings, Target, resolve
from testd_daemon.config.targets import choose
from testd_daemon.errors import TestdError
from testd_daemon.link import close_all
from testd_protocol.framing import encode
from testd_protocol.messages import Command, Plain, StartCommand

__all__ = ["Commands", "program_of"]

#: Bytes of a script in which the interpreter's folder must be named: pip writes it into the first lines.
_HEAD: Final = 1024
#: Variables that have something loaded into each interpreter at its start, which measures what is loaded after it.
_MEASURING: Final = ("COVERAGE_PROCESS_START", "COV_CORE_SOURCE", "COV_CORE_DATAFILE")


class Commands:
    """The commands of one workspace."""

    def __init__(self, workspace: str, pool: Pool, specs: Specs) -> None:
        """Use the runners and the interpreters of the workspace's runs."""
        self._workspace = workspace
        self._pool = pool
        self._specs = specs

    async def carry_out(self, command: Command, descriptors: tuple[int, ...]) -> None:
        """Have a command carried out, or tell the client why not. Returns when it has ended; raises nothing."""
        argv: list[str] = []
        try:
            spec, settings = await self._spec(command)
            program = program_of(spec.runtime)
            argv = [*([program] if program else [spec.runtime, "-m", "pytest"]), *command.arguments]
            reason = _unsuited(command, spec)
            if not reason:
                runner = await self._runner(spec)
                await self._start(runner, command, program, descriptors, settings)
                return
        except TestdError as error:
            reason = "; ".join(filter(None, (error.message, error.hint)))
        except Exception:
            reason = f"testd failed: this is a bug in testd\n{traceback.format_exc()}"
        _answer(descriptors, Plain(argv=argv, reason=reason))

    async def _start(
        self, runner: Runner, command: Command, program: str, descriptors: tuple[int, ...], settings: Settings
    ) -> None:
        """Give the command to the runner, which takes the descriptors, and wait for its end."""
        start = StartCommand(
            command=next(runner.numbers), program=program, arguments=command.arguments, caller=command.caller,
            verbose=command.verbose, descriptors=len(descriptors),
        )  # fmt: skip
        try:
            await runner.command(start, descriptors)
        finally:
            await self._pool.release(runner, idle=settings.idle_runners, age=settings.runner_age)

    async def _spec(self, command: Command) -> tuple[Spec, Settings]:
        """Return what a runner for the command is for: the interpreter of a run here, with the caller's variables."""
        caller = command.caller.environment
        resolved = resolve(self._workspace, caller, {})
        chosen = choose(resolved, [])[0]
        here = chosen if _is_here(chosen.settings) else resolved.base
        settings = msgspec.structs.replace(here.settings, passthrough=("*",), environment={}, pytest_args=())
        target = Target(here.name, settings, here.sources)
        spec = await self._specs.of(target, caller, command.python, lambda text: None, fresh=False)
        significant = environment.significant(caller, settings.volatile)
        return msgspec.structs.replace(spec, environment=dict(caller), significant=significant), settings

    async def _runner(self, spec: Spec) -> Runner:
        """Return a runner whose lowest checkpoint is what the files are now."""
        runner, _ = await self._pool.acquire(spec, fresh=False)
        async with runner.lock:
            rewound(runner)
        return runner


def _unsuited(command: Command, spec: Spec) -> str:
    """Return why a forked process would not be what the command's own is, nothing where it would."""
    if spec.kind != "pytest":
        return "the tests of this workspace are exported functions, and not pytest's"
    if not spec.fork:
        return "the configuration says fork = false"
    measuring = [name for name in _MEASURING if command.caller.environment.get(name)]
    return f"{measuring[0]} has coverage measured from the interpreter's start on" if measuring else ""


def program_of(python: str) -> str:
    """Return the `pytest` script beside an interpreter, empty where there is none that it runs.

    That script is what a shell finds when the environment is active; `python -m pytest` has another `sys.path`.
    """
    folder = os.path.dirname(python)
    script = os.path.join(folder, "pytest")
    with contextlib.suppress(OSError), open(script, "rb") as file:
        head = file.read(_HEAD)
        ours = head.startswith(b"#!") and os.fsencode(folder) + b"/" in head and b"pytest" in head
        if ours and os.access(script, os.X_OK):
            return script
    return ""


def _is_here(settings: Settings) -> bool:
    return not (settings.docker or settings.ssh or settings.node)


def _answer(descriptors: tuple[int, ...], answer: Plain) -> None:
    """Write on the line of a command that nobody has taken yet, and let go of it; a client that is gone needs none."""
    with contextlib.suppress(OSError):
        os.write(descriptors[0], encode(answer))
    close_all(descriptors)
