"""A daemon of one's own: runtime and state folders in a temporary directory, and nothing left of it afterwards.

Used by the comparison and the benchmarks; runs in testd's environment (psutil).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["House", "SurvivorsError", "find_testd", "processes_of", "survivors"]

#: The handler stops its agents, and they their runners: each asked, then terminated, then killed.
STOP_DEADLINE = 30.0
#: From `testd stop`'s answer to the last process gone: the promise is two seconds.
GONE_DEADLINE = 2.0
KILL_DEADLINE = 5.0
#: Seconds between two looks at processes that are not our children.
LOOK = 0.01


class SurvivorsError(Exception):
    """Processes outlived their daemon. They have been killed by now; the message names them."""


def find_testd(chosen: Path | None = None) -> Path:
    """Return the `testd` command: the chosen one, the one beside this interpreter, or the one on PATH.

    Raises FileNotFoundError.
    """
    beside = Path(sys.executable).with_name("testd")
    on_path = shutil.which("testd")
    for candidate in [chosen] if chosen else [beside, *([Path(on_path)] if on_path else [])]:
        if candidate is not None and os.access(candidate, os.X_OK):
            return candidate.absolute()
    raise FileNotFoundError(f"no testd command at {chosen or beside}: install the project, or name one with --testd")


def processes_of(runtime: Path) -> list[psutil.Process]:
    """Return the processes that belong to the daemon of this runtime folder, their descendants included."""
    ours: list[psutil.Process] = []
    below: dict[int, list[psutil.Process]] = {}
    for process in psutil.process_iter():  # once: to ask each of them for its descendants looks at all others each time
        with contextlib.suppress(psutil.Error):
            below.setdefault(process.ppid(), []).append(process)
            if process.environ().get("TESTD_RUNTIME_DIR") == str(runtime) and process.pid != os.getpid():
                ours.append(process)
    found: dict[int, psutil.Process] = {}
    while ours:
        process = ours.pop()
        if process.pid not in found:
            found[process.pid] = process
            ours += below.get(process.pid, [])
    return list(found.values())


def survivors(processes: Iterable[psutil.Process], deadline: float) -> list[psutil.Process]:
    """Wait until these processes have ended; return those that still live after `deadline` seconds.

    Whoever has ended is gone, reaped or not: an orphan's zombie stays until init looks, and some look every two
    seconds only. psutil.wait_procs waits for that as well.
    """
    give_up = time.monotonic() + deadline
    alive = [process for process in processes if _lives(process)]
    while alive and time.monotonic() < give_up:
        time.sleep(LOOK)
        alive = [process for process in alive if _lives(process)]
    return alive


class House:
    """Hold a daemon's folders; entering starts nothing, leaving stops everything.

    `environment` is the given one with the folders in it.
    Leaving raises SurvivorsError where a process outlived the daemon.
    """

    def __init__(self, environment: Mapping[str, str], testd: Path | None = None) -> None:
        self._given = dict(environment)
        self._testd = find_testd(testd)
        self.folder = Path()
        self.environment: dict[str, str] = {}

    @property
    def runtime(self) -> Path:
        """The runtime folder: the socket is in it while the daemon runs, and nothing afterwards."""
        return self.folder / "run"

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="testd-house-"))
        folders = {f"TESTD_{name.upper()}_DIR": str(self.folder / name[:5]) for name in ("state", "cache")}
        self.environment = self._given | folders | {"TESTD_RUNTIME_DIR": str(self.runtime)}
        return self

    def processes(self) -> list[psutil.Process]:
        """Return the daemon's processes: handler, agents, runners, workers."""
        return processes_of(self.runtime)

    def stop(self) -> None:
        """Stop the daemon, if one runs. Raises SurvivorsError."""
        before = self.processes()
        if not before:
            return
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                [str(self._testd), "stop"],
                env=self.environment,
                check=False,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=STOP_DEADLINE,
            )
        alive = survivors(before, GONE_DEADLINE)
        names = [_name(process) for process in alive]
        _kill(alive)
        if names:
            raise SurvivorsError(f"outlived the daemon: {'; '.join(names)}")

    def forget(self) -> None:
        """Remove what the stopped daemon remembers (journal, history, caches): the next start is a first start."""
        for folder in self.folder.iterdir():
            shutil.rmtree(folder, ignore_errors=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except SurvivorsError:
            if error is None:  # else what went wrong first is what counts
                raise
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())[:120]}"
    return str(process.pid)


def _kill(processes: Iterable[psutil.Process]) -> None:
    chosen = list(processes)
    for process in chosen:
        with contextlib.suppress(psutil.Error):
            process.kill()
    survivors(chosen, KILL_DEADLINE)
