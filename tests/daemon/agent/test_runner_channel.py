"""The channel that a runner's process is started with: how it ends, by real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testd_daemon.agent.runner_channel import spawn
from testd_runners.launcher import Command

#: An agent that dies while its runner's message waits to be read.
AGENT = """
import os, select, signal, sys
from testd_daemon.agent.runner_channel import spawn
from testd_runners.launcher import Command

argv = (sys.executable, "-c", *sys.argv[1:])
child, link = spawn("mine", Command(argv, dict(os.environ), "/", "stdio"))
select.select([link._channel.readable], [], [])
os.kill(os.getpid(), signal.SIGKILL)
"""
#: A runner that says something, and writes down how its channel ends.
RUNNER = """
import os, sys
os.write(1, b"something")
try:
    how = repr(os.read(0, 100))
except OSError as error:
    how = repr(error)
with open(sys.argv[1], "w") as told:
    told.write(how)
"""


def test_an_agent_that_dies_with_something_unread_ends_the_stdin_of_its_runner(tmp_path: Path) -> None:
    """The channel on stdin and stdout was one socket, which ended in "connection reset by peer" then.

    Podman's client takes that for no end: its container went on without an agent.
    """
    os.mkfifo(tmp_path / "told")
    agent = subprocess.Popen([sys.executable, "-c", AGENT, RUNNER, str(tmp_path / "told")])
    assert (tmp_path / "told").read_text() == "b''"
    assert agent.wait() == -9


@pytest.mark.parametrize("channel", ["stdio", "socketpair"])
def test_a_program_that_is_not_there_leaves_no_descriptor_open(channel: str) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(OSError, match="nothing here"):
        spawn("mine", Command(("/nothing here",), {}, "/", channel))
    assert os.listdir("/proc/self/fd") == before
