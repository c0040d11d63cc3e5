"""What a service manager sees: passed sockets, READY, STATUS, STOPPING, WATCHDOG. With systemd's own tools."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from daemon_house import MAIN, PATIENCE, is_alive

from testd_daemon.client.sync import Client
from testd_daemon.client.wire import Wire
from testd_daemon.handler.notify import Notifier, passed_sockets

UNITS = Path(__file__).resolve().parents[3] / "systemd"


def tool(name):
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on this machine")
    return path


class Manager:
    """The end of a notify socket that a service manager holds."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(PATIENCE)
        self.socket.bind(address)
        self.lines = []

    def hear(self, line):
        """Wait for a line that begins so, and return it."""
        while not (found := [each for each in self.lines if each.startswith(line)]):
            self.lines += self.socket.recv(4096).decode().split("\n")
        self.lines.clear()
        return found[0]


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path, monkeypatch):
    name = str(tmp_path / "notify")
    made = Manager(name if request.param == "path" else "\0" + name)
    monkeypatch.setenv("NOTIFY_SOCKET", name if request.param == "path" else "@" + name)
    yield made
    made.socket.close()


def test_the_manager_hears_of_everything(daemon, manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "100000")
    process = daemon.start()
    assert manager.hear("READY") == "READY=1"
    assert manager.hear("WATCHDOG") == "WATCHDOG=1"
    assert manager.hear("WATCHDOG") == "WATCHDOG=1"  # and again
    process.send_signal(signal.SIGTERM)
    assert manager.hear("STOPPING") == "STOPPING=1"
    assert process.wait() == 0


def test_the_status_names_the_socket(daemon, manager):
    daemon.start()
    assert manager.hear("STATUS") == f"STATUS=Listening on {daemon.folders.socket}"


def test_agents_do_not_inherit_the_managers_variables(daemon, manager, monkeypatch):
    monkeypatch.setenv("WATCHDOG_USEC", "60000000")
    daemon.start()
    client = daemon.client()
    client.history(daemon.workspace)
    pid = daemon.only_agent(client)["pid"]
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"NOTIFY_SOCKET" not in environment
    assert b"WATCHDOG_USEC" not in environment


def test_variables_that_are_meant_for_another_process_are_not_ours():
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "x"}
    assert passed_sockets(environ) == []
    assert environ == {}
    assert passed_sockets({"LISTEN_FDS": "2", "LISTEN_PID": str(os.getpid())}) == [3, 4]
    assert Notifier({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}).watchdog == 0.0
    assert Notifier({"WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid())}).watchdog == 5.0


@pytest.fixture
def activated(daemon, manager):
    """A real systemd-socket-activate that listens where clients look."""
    folder = Path(daemon.folders.runtime)
    folder.mkdir(mode=0o700)
    passed = [
        f"--setenv={name}" for name in os.environ if name.startswith(("TESTD_", "NOTIFY_", "HANDLER_", "PYTHONPATH"))
    ]
    process = subprocess.Popen(
        [tool("systemd-socket-activate"), "-l", daemon.folders.socket, *passed, sys.executable, str(MAIN)],
        stderr=subprocess.PIPE,
    )
    assert b"Listening on" in process.stderr.readline()  # its file is there before it listens
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def test_a_real_socket_activation(daemon, manager, activated):
    assert not Path(daemon.folders.journal).exists()  # nothing runs before the first client
    client = daemon.client(start=True)
    assert manager.hear("READY") == "READY=1"
    assert client.welcome["pid"] == activated.pid  # it has become the handler
    run = client.submit(daemon.request(TESTS=2))
    assert list(client.events(run))[-1]["body"]["exit_code"] == 0
    activated.send_signal(signal.SIGTERM)
    assert manager.hear("STOPPING") == "STOPPING=1"
    assert activated.wait() == 0
    assert Path(daemon.folders.socket).exists()  # it is the manager's, who removes it


def test_a_handler_started_by_hand_leaves_an_activated_socket_alone(daemon, activated):
    before = os.stat(daemon.folders.socket).st_ino
    by_hand = daemon.start()
    assert (by_hand.ready, by_hand.wait()) == ("ready", 0)
    client = daemon.client()
    assert client.welcome["pid"] == activated.pid
    assert os.stat(daemon.folders.socket).st_ino == before


@pytest.mark.parametrize("count", [2, 1])
def test_what_is_passed_must_be_one_listening_unix_socket(daemon, count):
    code = (
        "import os, socket, sys; fd = os.dup2(socket.socket().detach(), 20); os.dup2(fd, 3); os.dup2(fd, 4);"
        f"os.environ.update(LISTEN_FDS='{count}', LISTEN_PID=str(os.getpid()));"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(MAIN)], capture_output=True, text=True, check=False)
    assert ended.returncode == 3
    assert ("2 sockets were passed" if count == 2 else "not a listening Unix stream socket") in ended.stderr
    assert "see testd.socket" in ended.stderr


@pytest.mark.parametrize("unit", ["testd.socket", "testd.service"])
def test_the_units_are_clean(unit, tmp_path):
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)}
    checked = subprocess.run(
        [tool("systemd-analyze"), "verify", "--user", "--man=no", str(UNITS / unit)],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_an_activated_handler_ends_when_a_client_asks(daemon, activated):
    wire = Wire(daemon.folders.socket)
    assert wire.greet()["pid"] == activated.pid
    wire.close()
    assert is_alive(activated.pid)
    with Client.connect(start=False, where=daemon.folders) as client:
        client.shutdown()
    assert activated.wait() == 0
