"""Packages of R for functions that run here: what R lacks is installed into a library of testd's own.

Runs in the agent. What Rscript is told is in `testd.invocation.r_packages`, which does the same on other targets.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import anyio

from testd.invocation import r_packages
from testd.invocation.r_packages import Answer
from testd_daemon import command
from testd_daemon.agent.environments.build import StepFailed, perform
from testd_daemon.agent.environments.builder import Step
from testd_daemon.agent.environments.lock import held
from testd_daemon.errors import EnvironmentFault

__all__ = ["RPackages"]

#: Seconds for R to say what it has.
LOOK_DEADLINE: Final = 60.0
#: Seconds to install: most is compiled. What is there by then stays, so that the next try goes on from it.
INSTALL_DEADLINE: Final = 3600.0


class RPackages:
    """The libraries of one agent's functions."""

    def __init__(self, cache: str) -> None:
        """Keep them below `cache`."""
        self._base = os.path.join(cache, "r")
        self._known: dict[tuple[str, ...], Answer] = {}  # by Rscript and packages

    async def ensure(
        self, packages: Sequence[str], environment: Mapping[str, str], tell: Callable[[str], None]
    ) -> str:
        """Return the library with what R has not elsewhere; empty where there is no R. Raises EnvironmentFault.

        `tell` gets a line for each step that takes a while.
        """
        rscript = shutil.which("Rscript", path=environment.get("PATH"))
        if rscript is None:
            return ""  # its functions say so
        key = (rscript, *packages)
        known = self._known.get(key)
        if known is None or not await anyio.to_thread.run_sync(_there, known.folders):
            found = await self._look(rscript, packages, environment)
            known = await self._install(rscript, packages, environment, tell) if found.missing else found
            self._known[key] = known
        return known.library

    async def _look(self, rscript: str, packages: Sequence[str], environment: Mapping[str, str]) -> Answer:
        argv = r_packages.command(rscript, "look", self._base, packages)
        try:
            done = await command.run(argv, deadline=LOOK_DEADLINE, env=environment)
        except TimeoutError:
            raise EnvironmentFault(f"{rscript} took longer than {LOOK_DEADLINE:g} s to say what it has") from None
        except OSError as error:
            raise EnvironmentFault(f"{rscript} cannot be started: {error}", hint="install R anew") from error
        found = r_packages.answer(done.output)
        if found is None:
            raise EnvironmentFault(
                f"{rscript} could not look for packages", hint="see what it said", detail=done.error or done.output
            )
        return found

    async def _install(
        self, rscript: str, packages: Sequence[str], environment: Mapping[str, str], tell: Callable[[str], None]
    ) -> Answer:
        """Install what is missing, one at a time whoever asks, and return what is there."""
        detail = ""
        try:
            await anyio.to_thread.run_sync(lambda: os.makedirs(self._base, exist_ok=True))
            lock = held(
                os.path.join(self._base, "lock"), name="packages of R", deadline=INSTALL_DEADLINE,
                waiting=lambda pid: tell(f"process {pid} is installing packages of R"),
            )  # fmt: skip
            async with lock as taken:
                found = await self._look(rscript, packages, environment)  # somebody else may have been faster
                if found.missing:
                    does = f"installing packages of R from {found.repository}: {', '.join(found.missing)}"
                    step = Step(does, tuple(r_packages.command(rscript, "install", self._base, packages)))
                    tell(does)
                    with anyio.fail_after(INSTALL_DEADLINE):
                        await perform(
                            step, name="Rscript", cwd=self._base, environment=environment, lock=taken, tell=tell
                        )
                    tell("packages of R are installed")
        except StepFailed as error:
            detail = error.detail
        except TimeoutError:
            raise EnvironmentFault(
                f"installing packages of R took longer than {INSTALL_DEADLINE:g} s",
                hint="run it again: it goes on with what is missing",
            ) from None
        except OSError as error:
            raise EnvironmentFault(f"{self._base} cannot be used: {error}", hint="make room there") from error
        found = await self._look(rscript, packages, environment)
        if found.missing:
            text, hint = r_packages.fault(found)
            raise EnvironmentFault(text, hint=hint, detail=detail)
        return found


def _there(folders: Sequence[str]) -> bool:
    return all(map(os.path.isdir, folders))
