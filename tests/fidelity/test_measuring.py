"""A command under measurement that does not end."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import psutil
import pytest

from measuring import Contender, MeasureError, run

#: Starts a process in a session of its own, says which, and waits.
HANGS = """
import pathlib, subprocess, time
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
pathlib.Path("pid").write_text(str(child.pid))
time.sleep(1000)
"""


def test_a_command_that_does_not_end_takes_along_what_left_its_group(tmp_path: Path) -> None:
    """A worker that went on had a processor for itself while everything that came after was measured."""
    command = [sys.executable, "-c", HANGS]
    contender = Contender(name="slow", command=command, cwd=tmp_path, environment=dict(os.environ))
    with pytest.raises(MeasureError, match="slow: did not end in time"):
        run(contender, deadline=3.0)
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int((tmp_path / "pid").read_text())).wait(timeout=10)
