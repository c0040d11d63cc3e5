"""The two sides of the comparison (`fidelity.py`): plain `python -m pytest` and `testd run`, on one project.

Runs in testd's environment (anyio). What a call started ends with it, cancelled or not.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio

from verdicts import FidelityError, Verdicts, outcomes

__all__ = ["Project", "run_pytest", "run_testd"]

#: One run of a suite, by either side, in seconds; the longest (62,000 tests on a slow machine) takes two minutes.
RUN_DEADLINE = 900.0
RECORDER = Path(__file__).with_name("verdict_recorder.py")


@dataclass(frozen=True, kw_only=True)
class Project:
    """What is compared: the folder, its interpreter, the variables, and what both sides are given to run.

    `jobs` limits testd's workers, where tests cannot run beside each other: plain pytest has only one.
    """

    folder: Path
    python: Path
    environment: Mapping[str, str]
    paths: Sequence[str] = ()
    jobs: int | None = None


@dataclass(frozen=True)
class _Done:
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def tail(self) -> str:
        return "\n".join((self.out[-4000:] + self.err[-4000:]).splitlines()[-25:])


async def run_pytest(project: Project) -> Verdicts:
    """Run plain pytest, to the end even where files cannot be collected. Raises FidelityError."""
    with tempfile.TemporaryDirectory(prefix="testd-fidelity-") as folder:
        target = Path(folder) / "verdicts.json"
        options = ["-q", "--continue-on-collection-errors", *project.paths]
        done = await _call("pytest", [str(project.python), str(RECORDER), str(target), *options], project)
        try:
            found: Verdicts = json.loads(target.read_text(encoding="utf-8"))["verdicts"]
        except OSError as error:
            raise FidelityError(f"pytest (exit {done.status}) left no verdicts:\n{done.tail}") from error
        return found


async def run_testd(project: Project, testd: Path, mode: str) -> Verdicts:
    """Run testd, in the daemon that the project's environment names. Raises FidelityError."""
    jobs = ["--jobs", str(project.jobs)] if project.jobs else []
    command = [str(testd), "run", "--format", "json", "--mode", mode, *jobs, *project.paths]
    done = await _call("testd", command, project)
    if done.status not in {0, 1}:
        raise FidelityError(f"testd: exit {done.status}: {shlex.join(command)}\n{done.tail}")
    return outcomes(done.out.splitlines())


async def _call(side: str, command: list[str], project: Project) -> _Done:
    environment = dict(project.environment, PWD=os.fspath(project.folder))
    try:
        with anyio.fail_after(RUN_DEADLINE):
            done = await anyio.run_process(
                command, cwd=project.folder, env=environment, check=False, stdin=subprocess.DEVNULL
            )
    except TimeoutError as error:
        raise FidelityError(f"{side} did not end within {RUN_DEADLINE:.0f} s: {shlex.join(command)}") from error
    return _Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
