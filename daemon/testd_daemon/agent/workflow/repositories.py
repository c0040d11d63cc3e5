"""Code of functions that is in git repositories elsewhere: a copy of each commit, made once. Runs in the agent.

A copy is named by its commit and never changes, so that runs side by side do not meet, and what was imported from it
stays warm. Without a network the newest copy that is there is used, and that is told.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import anyio
import anyio.to_thread

from testd_daemon import command
from testd_daemon.agent.workflow.sources import Repository
from testd_daemon.errors import EnvironmentFault

__all__ = ["BASE", "Fetched", "Repositories"]

#: The variable that says where OWNER/REPO is, in the place of GitHub.
BASE: Final = "TESTD_GIT_BASE"
GITHUB: Final = "https://github.com"
#: Seconds for git to say which commit a branch is at, and to copy it.
ASK_DEADLINE: Final = 30.0
COPY_DEADLINE: Final = 600.0


class Fetched(NamedTuple):
    """Code that is on this machine now."""

    copy: Path  # the folder that has it, and what it imports
    code: Path  # a folder or file in there


class Repositories:
    """The copies that a workspace has."""

    def __init__(self, folder: Path, caller: Mapping[str, str], tell: Callable[[str], None]) -> None:
        """Keep them below `folder`. git runs with the caller's environment; `tell` gets a line for each copy."""
        self._folder = folder
        self._environment = {**caller, "GIT_TERMINAL_PROMPT": "0"}
        self._base = caller.get(BASE, "") or GITHUB
        self._tell = tell
        self._lock = anyio.Lock()

    async def fetch(self, wanted: Sequence[Repository]) -> Fetched:
        """Return where the code of these repositories is. Raises EnvironmentFault."""
        async with self._lock:
            found = [await self._one(each) for each in wanted]
            if len(found) == 1:
                return found[0]
            return await anyio.to_thread.run_sync(self._together, [each.code for each in found])

    async def _one(self, wanted: Repository) -> Fetched:
        url = wanted.name if "://" in wanted.name or os.path.isabs(wanted.name) else f"{self._base}/{wanted.name}"
        stem = re.sub(r"[^A-Za-z0-9]+", "-", f"{wanted.name} {wanted.branch}").strip("-")
        try:
            copy = self._folder / f"{stem}-{await self._commit(url, wanted.branch)}"
        except EnvironmentFault as error:
            copies = sorted(self._folder.glob(f"{stem}-*"), key=lambda path: path.stat().st_mtime)
            if not copies:
                raise
            copy = copies[-1]
            self._tell(f"{error.message}: {copy.name} is used, which is there")
        if not copy.exists():
            await self._copy(url, wanted.branch, copy)
        found = (copy / wanted.path).resolve()
        if not found.exists() or not found.is_relative_to(copy.resolve()):
            raise EnvironmentFault(
                f"FunctionGitRepo: there is no {wanted.path} in {url}", hint="correct the folder behind OWNER/REPO"
            )
        return Fetched(copy.resolve(), found)

    async def _commit(self, url: str, branch: str) -> str:
        said = await self._git("ls-remote", "--", url, branch or "HEAD", deadline=ASK_DEADLINE)
        if not said.split():
            raise EnvironmentFault(f"git: {url} has no {branch or 'commit'}", hint="correct FunctionGitRepo")
        return said.split()[0][:12]

    async def _copy(self, url: str, branch: str, copy: Path) -> None:
        self._tell(f"fetching {url}")
        self._folder.mkdir(parents=True, exist_ok=True)
        made = tempfile.mkdtemp(dir=self._folder, prefix=".new-")
        try:
            chosen = ("--branch", branch) if branch else ()
            await self._git("clone", "-q", "--depth", "1", *chosen, "--", url, made, deadline=COPY_DEADLINE)
            os.rename(made, copy)
        finally:
            await anyio.to_thread.run_sync(lambda: shutil.rmtree(made, ignore_errors=True))

    def _together(self, folders: Sequence[Path]) -> Fetched:
        """Return a folder with copies of several."""
        digest = hashlib.sha256("\0".join(map(str, folders)).encode()).hexdigest()[:16]
        whole = self._folder / f"together-{digest}" / "functions"
        if not whole.exists():
            made = Path(tempfile.mkdtemp(dir=self._folder, prefix=".new-"))
            for number, folder in enumerate(folders):
                target = made / f"part{number}"
                if folder.is_dir():
                    shutil.copytree(folder, target, ignore=shutil.ignore_patterns(".git"))
                else:
                    target.mkdir()
                    shutil.copy(folder, target)
            whole.parent.mkdir(exist_ok=True)
            made.rename(whole)
        return Fetched(whole.parent, whole)

    async def _git(self, *arguments: str, deadline: float) -> str:
        try:
            done = await command.run(["git", *arguments], deadline=deadline, env=self._environment)
        except TimeoutError:
            raise EnvironmentFault(f"git {arguments[0]} took longer than {deadline:g} s") from None
        except OSError as error:
            raise EnvironmentFault(f"git cannot be started: {error}", hint="install git") from error
        if done.status:
            url = arguments[arguments.index("--") + 1]
            said = next((line for line in done.error.splitlines() if line.startswith("fatal:")), "fatal: it failed")
            raise EnvironmentFault(
                f"git cannot read {url}: {said[len('fatal: ') :]}", detail=done.error,
                hint=f"correct FunctionGitRepo, or set {BASE} to where OWNER/REPO is",
            )
        return done.output
