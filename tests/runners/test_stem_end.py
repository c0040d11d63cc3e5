"""How a stem ends: at once and with a cause, whatever threads the suite has started in it."""

import signal
import socket
import subprocess
import sys

import pytest

from runners.driver import PATIENCE, RUNNERS
from testd.framing import frame
from testd.msgpack import packb
from testd.runner.slots import Slots

STEM = """
import os, signal, sys, threading
sys.path.insert(0, {runners!r})
from testd.runner import stem

def serve(self):
    threading.Thread(target=threading.Event().wait).start()  # nobody ends it: the interpreter's own end waits for it
    {last}

stem.Stem.begin = lambda self: None
stem.Stem.serve = serve
stem.start("--stem", [{channel}, {slots}])
"""


@pytest.mark.parametrize(
    ("last", "status", "said"),
    [
        ("raise stem.ChannelClosed", 0, ""),
        ("os.kill(os.getpid(), signal.SIGINT)", -signal.SIGINT, ""),
        ("raise KeyError('what nobody thought of')", 70, "what nobody thought of"),
    ],
)
def test_a_stem_ends_without_waiting_for_threads(last: str, status: int, said: str) -> None:
    """Only two exceptions ended it at once; any other one left a process that nobody heard of any more."""
    near, far = socket.socketpair()
    slots = Slots()
    text = STEM.format(runners=str(RUNNERS), last=last, channel=far.fileno(), slots=slots.fd)
    near.sendall(frame(packb({"type": "Begin", "root": "/", "cwd": "/", "descriptors": 0})))
    with near, far:
        done = subprocess.run(
            [sys.executable, "-c", text], pass_fds=[far.fileno(), slots.fd], stderr=subprocess.PIPE,
            timeout=PATIENCE, check=False, text=True,
        )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert said in done.stderr
