"""A command that only looks: it ends in time, with all that it started."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest

from testd_daemon.command import MOST, run

DEADLINE = 60.0


def finished(*argv: str, deadline: float = DEADLINE, env: dict[str, str] | None = None):
    async def do():
        return await run(argv, deadline=deadline, env=env)

    return anyio.run(do)


def test_what_it_says_and_how_it_ends():
    done = finished("/bin/sh", "-c", "echo out; echo $A >&2; exit 3", env={"A": "error"})
    assert (done.status, done.output, done.error) == (3, "out", "error")
    assert finished("/bin/sh", "-c", "kill -9 $$").status == -9


def test_output_without_an_end_is_cut():
    done = finished(sys.executable, "-c", f"import sys; sys.stdout.write('x' * ({MOST} + 5)); sys.stdout.write('end')")
    assert len(done.output) == MOST


def test_something_that_holds_the_pipe_open_is_not_waited_for(tmp_path: Path):
    done = finished("/bin/sh", "-c", f"setsid sleep 1000 & echo $! > {tmp_path}/pid; echo here")
    assert done.output == "here"
    anyio.run(_kill, int((tmp_path / "pid").read_text()))


async def _kill(pid: int) -> None:
    import os
    import signal

    os.kill(pid, signal.SIGKILL)


def test_one_that_hangs_is_ended():
    with pytest.raises(TimeoutError):
        finished("/bin/sleep", "1000", deadline=0.2)


def test_one_that_is_not_there():
    with pytest.raises(FileNotFoundError):
        finished("/none/such")
