"""Has run files carried out that somebody puts into a folder, for as long as the agent lives. On its event loop.

The kernel tells when something happens in the folder, or beside the configuration; nothing is done meanwhile. A file
belongs to one run at a time. One that somebody rewrites ends its run, and is then run anew.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from testd_daemon.agent.filing import Identities, Identity
from testd_daemon.agent.run import RunTask
from testd_daemon.agent.spool.folder import Ended, Folder, Pending
from testd_daemon.config import resolve
from testd_daemon.errors import LinkClosed, TestdError
from testd_daemon.runtime import RUN_FILES_MARK
from testd_protocol.messages import RunRequest, Submit

if sys.platform == "linux":
    from testd_daemon.agent.watch.inotify import Notifier

__all__ = ["Spool"]

#: Runs that carry out such files at the same time, and files that one of them has.
MOST_RUNS: Final = 4
MOST_FILES: Final = 200
#: Seconds of a burst of changes that are looked at together, and how many times as long as a look took the next waits.
QUIET: Final = 0.01
LOOK_SHARE: Final = 5
#: Seconds between two looks where the kernel does not tell.
POLL: Final = 1.0
_CONFIGURATION: Final = ("testd.toml", "pyproject.toml")
_UNTOLD: Final = "not all of it was run; testd logs may say why"


class Spool:
    """The folder of run files of one workspace. `submit` has a run carried out, which then `began` and `ended`."""

    def __init__(
        self, workspace: str, state: str, identities: Identities, submit: Callable[[Submit], Awaitable[None]]
    ) -> None:
        """Watch nothing yet."""
        self._workspace = workspace
        self._mark = os.path.join(state, RUN_FILES_MARK)
        self._identities = identities
        self._submit = submit
        self._folder: Folder | None = None
        self._configuration: object = None  # what the configuration's files were when they were read
        self._submitted: dict[str, RunRequest] = {}  # by key
        self._runs: dict[str, tuple[RunRequest, RunTask]] = {}  # of run files, whoever asked for them
        self._ended: list[Ended] = []
        self._moved = anyio.Event()
        self._notifier: Notifier | None = None

    async def serve(self) -> None:
        """Watch the folder that the configuration names, whichever that is at the time."""
        async with anyio.create_task_group() as tasks:
            try:
                while await anyio.to_thread.run_sync(os.path.isdir, self._workspace):
                    await self._step(tasks)
            except LinkClosed:
                pass  # the agent ends as well
            except Exception:
                _log("this is a bug in testd: " + traceback.format_exc())
            finally:
                self._deaf()
            tasks.cancel_scope.cancel()

    def wake(self) -> None:
        """Look again: something may have changed."""
        self._moved.set()

    def began(self, run: str, request: RunRequest, task: RunTask) -> None:
        """Take note of a run: its files are no others' meanwhile."""
        if request.run_file:
            key = next((key for key, asked in self._submitted.items() if asked == request), "")
            self._submitted.pop(key, None)
            self._runs[run] = request, task
        self.wake()

    def ended(self, run: str) -> None:
        """Take note that a run is over."""
        if run in self._runs:
            request, task = self._runs.pop(run)
            self._release(request, task.fault.message if task.fault is not None else task.reason or _UNTOLD)

    def refused(self, key: str, reason: str) -> None:
        """Take note that a run cannot be submitted."""
        if key in self._submitted:
            self._release(self._submitted.pop(key), f"cannot be run: {reason}")

    def _release(self, request: RunRequest, why: str) -> None:
        self._ended += [
            Ended(os.path.basename(path), self._identities.over(path), why) for path in self._inside(request)
        ]
        self.wake()

    # ── what happens ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _step(self, tasks: TaskGroup) -> None:
        """Look once, do what that asks for, and wait until there may be more to do."""
        began = anyio.current_time()
        self._moved = anyio.Event()
        await anyio.to_thread.run_sync(self._configure)
        again = None
        if self._folder is None:
            self._deaf()
        else:
            try:
                await self._listen(self._folder.path, tasks)
                again = await self._look(self._folder)
            except OSError as error:
                again = POLL
                _log(f"{self._folder.path}: {error.strerror}")
            if self._notifier is None:
                again = min(again or POLL, POLL)
            await anyio.sleep((anyio.current_time() - began) * LOOK_SHARE)
        with anyio.move_on_after(again):
            await self._moved.wait()

    def _configure(self) -> None:
        """Read which folder is watched, if the configuration has changed. Blocks."""
        found = [_identity(os.path.join(self._workspace, name)) for name in _CONFIGURATION]
        if found == self._configuration:
            return
        self._configuration = found
        try:
            named = resolve(self._workspace, os.environ).settings.run_files
        except TestdError as error:
            _log(f"carried out as before: {error.message}")
            return
        path = os.path.realpath(os.path.join(self._workspace, named)) if named else ""
        if path != (self._folder.path if self._folder is not None else ""):
            self._folder = Folder(path) if path else None
            self._ended.clear()
        _leave_mark(self._mark, self._workspace if path else "")

    async def _listen(self, folder: str, tasks: TaskGroup) -> None:
        """Have the kernel tell of the folder, which is made, and of the workspace's own, for the configuration.

        Raises OSError.
        """
        await anyio.to_thread.run_sync(_make, folder)
        if sys.platform == "linux":
            if self._notifier is None:
                self._notifier = await Notifier.open(self._workspace)
                tasks.start_soon(self._hear, self._notifier)
            if self._notifier.watch(["", folder]):
                self.wake()  # what happened before is not told

    async def _hear(self, notifier: Notifier) -> None:
        with contextlib.suppress(anyio.ClosedResourceError):
            while self._notifier is notifier:
                await notifier.wait()
                await anyio.sleep(QUIET)
                notifier.read()
                self.wake()

    def _deaf(self) -> None:
        notifier, self._notifier = self._notifier, None
        if notifier is not None:
            notifier.close()

    async def _look(self, folder: Folder) -> float | None:
        """Look at the folder, and have what there is to run submitted; return in how many seconds to look again."""
        requests = [*self._submitted.values(), *(request for request, _ in self._runs.values())]
        busy = {os.path.basename(path) for request in requests for path in self._inside(request)}
        self._cancel_rewritten()
        ended, self._ended = self._ended, []
        found = await anyio.to_thread.run_sync(folder.look, busy, ended)
        for text in found.troubles:
            _log(text)
        pending = found.pending
        while pending and len(self._submitted) + len(self._runs) < MOST_RUNS:
            await self._ask(folder, pending[:MOST_FILES])
            pending = pending[MOST_FILES:]
        return found.again

    async def _ask(self, folder: Folder, files: list[Pending]) -> None:
        """Submit a run of these files."""
        paths: list[str] = []
        for name, identity, items in files:
            path = os.path.join(folder.path, name)
            self._identities.expect(path, identity)
            paths += [f"{path}::{item}" for item in items] or [path]
        request = RunRequest(
            workspace=self._workspace, cwd=self._workspace, paths=paths, detach=True, kind="cases", run_file=True,
            spooled=True, python=sys.executable,
        )  # fmt: skip
        key = os.urandom(16).hex()
        self._submitted[key] = request
        await self._submit(Submit(request=request, key=key))

    def _cancel_rewritten(self) -> None:
        """End the runs of files that are no longer what is run; where a run has others as well, these go on."""
        for request, task in self._runs.values():
            paths = self._inside(request)
            identity = _identity(paths[0]) if len(paths) == 1 else None
            if identity is not None and self._identities.foreign(paths[0], identity):
                task.cancel(f"{os.path.basename(paths[0])} was rewritten")

    def _inside(self, request: RunRequest) -> list[str]:
        """Return the paths of those files of a request that are in the folder."""
        folder = self._folder.path if self._folder is not None else ""
        places = (os.path.normpath(os.path.join(request.cwd, path.partition("::")[0])) for path in request.paths)
        return list(dict.fromkeys(place for place in places if os.path.dirname(place) == folder))


def _identity(path: str) -> Identity | None:
    try:
        return Identity.of(os.lstat(path))
    except OSError:
        return None


def _make(folder: str) -> None:
    os.makedirs(folder, exist_ok=True)


def _leave_mark(path: str, workspace: str) -> None:
    """Leave word for the handler that this workspace's agent has something to do by itself, or take it away."""
    with contextlib.suppress(OSError):
        if workspace:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            with open(path, "wb") as file:
                file.write(os.fsencode(workspace))
        else:
            os.remove(path)


def _log(text: str) -> None:
    sys.stderr.write(f"run files: {text}\n")
    sys.stderr.flush()
