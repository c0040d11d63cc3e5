"""The life of a handler from outside: start, the socket, the folders, versions, strangers, the end."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from daemon_house import MAIN, is_alive, kinds, outcomes, until

import testd_daemon.client.wire
from testd_daemon.client.sync import Client
from testd_daemon.errors import FaultError, HandlerUnavailable, LinkClosed, RuntimeFolderError, VersionMismatch
from testd_daemon.runtime import Folders, private_folders

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs another user's process, or a mount: run as root")


def left(daemon):
    return sorted(os.listdir(daemon.folders.runtime))


def test_folder_and_socket_are_the_owners_alone(daemon):
    os.makedirs(daemon.folders.runtime, mode=0o755)
    daemon.start()
    assert stat.S_IMODE(os.stat(daemon.folders.runtime).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(daemon.folders.socket).st_mode) == 0o600
    assert left(daemon) == ["testd.sock"]


def test_two_clients_start_the_daemon_at_the_same_instant(daemon):
    clients, barrier = [], threading.Barrier(3)

    def connect():
        barrier.wait()
        clients.append(daemon.client(start=True))

    threads = [threading.Thread(target=connect) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(clients) == 3
    assert len({client.welcome["pid"] for client in clients}) == 1
    assert clients[0].status()["clients"] == 3


def test_a_second_handler_finds_the_first_and_leaves(daemon):
    first = daemon.start()
    second = daemon.start()
    assert (second.ready, second.wait()) == ("ready", 0)
    assert daemon.client().welcome["pid"] == first.pid


def test_a_stale_socket_is_replaced(daemon):
    os.makedirs(daemon.folders.runtime, mode=0o700)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(daemon.folders.socket)
    assert left(daemon) == ["testd.sock"]
    assert daemon.client(start=True).status()["clients"] == 1


def test_a_killed_handler_leaves_a_stale_socket_and_the_next_client_does_not_mind(daemon):
    process = daemon.start()
    process.kill()
    process.wait()
    assert left(daemon) == ["testd.sock"]
    assert daemon.client(start=True).welcome["pid"] != process.pid


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything_in_order(daemon, number):
    process = daemon.start()
    gate = daemon.gate()
    client = daemon.client()
    run = client.submit(daemon.request(TESTS=3, GATE=gate.at(1)))
    stream = client.events(run)
    events = [next(stream), next(stream)]
    agent = daemon.only_agent(daemon.client())["pid"]
    process.send_signal(number)
    events += stream
    assert outcomes(events) == [("0", "passed"), ("1", "cancelled"), ("2", "cancelled")]
    assert events[-1]["body"]["exit_code"] == 2
    assert process.wait() == 0
    assert not is_alive(agent)
    assert left(daemon) == []


def test_a_signal_while_the_agent_is_not_ready(daemon, monkeypatch):
    monkeypatch.setenv("FAKE_AGENT", "silent")
    daemon.configure(deadlines={"drain": 0.2})
    process = daemon.start()
    client = daemon.client()
    run = client.submit(daemon.request())
    process.send_signal(signal.SIGTERM)
    (event,) = list(client.events(run))
    assert event["body"]["exit_code"] == 2
    assert event["body"]["reason"] == "the daemon was stopped: signal SIGTERM"
    assert process.wait() == 0


def test_shutdown_ends_the_daemon(daemon):
    process = daemon.start()
    daemon.client().shutdown("enough")
    assert process.wait() == 0
    assert left(daemon) == []
    with pytest.raises(HandlerUnavailable, match="no daemon is running"):
        daemon.client()


def test_an_idle_daemon_ends(daemon):
    process = daemon.start("--idle-exit", "1")  # less, and on a busy machine it has ended before its client is there
    client = daemon.client()
    list(client.events(client.submit(daemon.request())))
    assert process.poll() is None
    client.close()
    assert process.wait() == 0


def test_a_private_daemon_ends_with_its_client_and_removes_its_folder(daemon):
    base = daemon.base / "private"
    base.mkdir()
    client = Client.connect_private(str(base))
    pid = client.welcome["pid"]
    daemon.pids.add(pid)
    run = client.submit(daemon.request(TESTS=2))
    assert kinds(list(client.events(run))) == ["Planned", "Outcomes", "Outcomes", "RunCompleted"]
    assert client.status()["socket"] == private_folders(str(base)).socket
    client.close()
    until(lambda: not is_alive(pid))
    assert not base.exists()
    assert not Path(daemon.folders.runtime).exists()


def test_a_private_daemon_that_dies_is_not_replaced(daemon):
    base = daemon.base / "private"
    client = Client.connect_private(str(base))
    run = client.submit(daemon.request(GATE=daemon.gate().at(0)))
    os.kill(client.welcome["pid"], signal.SIGKILL)
    with pytest.raises(HandlerUnavailable, match="the private daemon of this run died"):
        list(client.events(run))
    client.close()


# ── versions ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_client_of_another_version_is_told_which_and_what_to_do(daemon, monkeypatch):
    daemon.start()
    monkeypatch.setattr(testd_daemon.client.wire, "__version__", "9.9.9")
    with pytest.raises(VersionMismatch) as caught:
        daemon.client()
    assert "the running daemon is testd 0.1.0" in caught.value.message
    assert "the client is testd 9.9.9" in caught.value.message
    assert "testd stop" in caught.value.hint


def test_an_idle_daemon_of_another_version_gives_way(daemon, monkeypatch):
    first = daemon.start()
    monkeypatch.setattr(testd_daemon.client.wire, "__version__", "9.9.9")
    monkeypatch.setenv("HANDLER_VERSION", "9.9.9")
    client = daemon.client(start=True)
    assert client.welcome["version"] == "9.9.9"
    assert first.wait() == 0


def test_a_busy_daemon_of_another_version_does_not_give_way(daemon, monkeypatch):
    first = daemon.start()
    gate = daemon.gate()
    busy = daemon.client()
    run = busy.submit(daemon.request(TESTS=2, GATE=gate.at(1)))
    with monkeypatch.context() as patch:
        patch.setattr(testd_daemon.client.wire, "__version__", "9.9.9")
        with pytest.raises(VersionMismatch, match="1 unfinished run"):
            daemon.client(start=True)
    gate.open()
    assert list(busy.events(run))[-1]["body"]["exit_code"] == 0
    assert first.poll() is None


# ── strangers and bad input ──────────────────────────────────────────────────────────────────────────────────────────


@root_only
def test_another_users_process_is_refused_even_where_the_modes_let_it_in(daemon):
    daemon.start()
    os.chmod(daemon.folders.socket, 0o666)
    os.chmod(daemon.folders.runtime, 0o755)
    for parent in Path(daemon.folders.runtime).parents:
        if parent.stat().st_uid == os.geteuid() and str(parent) not in ("/", "/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)
    code = (
        "import os, socket, sys; os.setgid(65534); os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
        "s.connect(sys.argv[1]); print(s.recv(1000))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, daemon.folders.socket], capture_output=True, text=True, check=True
    )
    assert "this daemon belongs to another user" in said.stdout
    assert daemon.client().status()["clients"] == 1


def test_whoever_does_not_say_hello_is_told_so(daemon):
    daemon.start()
    wire = daemon.wire()
    wire.send({"type": "Status"})
    assert "must be Hello" in wire.receive(10)["message"]
    wire.close()


def test_an_unknown_message_is_answered_and_the_connection_lives(daemon):
    daemon.start()
    client = daemon.client()
    client._wire.send({"type": "Dance", "with": "me"})
    assert client._wire.receive(10) == {"type": "Unsupported", "of": "Dance"}
    assert client.status()["clients"] == 1


@pytest.mark.parametrize("data", [b"\xff" * 8, b"\0\0\0\x01\xc1", b"\0\0\0\0", b"GET / HTTP/1.1\r\n\r\n"])
def test_rubbish_ends_the_connection_and_nothing_else(daemon, data):
    daemon.start()
    wire = daemon.wire()
    wire.greet()
    wire._socket.sendall(data)
    assert wire.receive(10)["code"] == "protocol"
    with pytest.raises(LinkClosed):
        wire.receive(10)
    wire.close()
    assert daemon.client().status()["clients"] == 1


def test_a_run_that_does_not_exist(daemon):
    daemon.start()
    client = daemon.client()
    with pytest.raises(FaultError, match="there is no run 'nope'"):
        list(client.events("nope"))
    with pytest.raises(FaultError, match="there is no run yet"):
        list(client.events(""))


def test_a_relative_workspace_is_refused(daemon):
    daemon.start()
    with pytest.raises(FaultError, match="absolute path") as caught:
        daemon.client().submit(daemon.request() | {"workspace": "here"})
    assert caught.value.exit_code == 4


def test_a_socket_path_that_is_too_long(daemon, monkeypatch):
    long = Folders(str(daemon.base / ("x" * 120)), daemon.folders.state, daemon.folders.cache)
    with pytest.raises(RuntimeFolderError, match=r"at most 10[37]"):
        Client.connect(where=long)
    monkeypatch.setenv("TESTD_RUNTIME_DIR", long.runtime)
    assert "the path of the socket has" in daemon.start().ready


def test_a_folder_that_is_a_file(daemon):
    Path(daemon.folders.runtime).write_text("")
    with pytest.raises(HandlerUnavailable, match="is not a folder"):
        daemon.client(start=True)


@root_only
def test_a_folder_of_somebody_else(daemon):
    os.mkdir(daemon.folders.runtime)
    os.chown(daemon.folders.runtime, 65534, 65534)
    with pytest.raises(HandlerUnavailable, match="belongs to the user 65534"):
        daemon.client(start=True)


def test_a_handler_that_says_nothing_at_its_start_has_its_log_shown(daemon, monkeypatch):
    monkeypatch.setattr(
        testd_daemon.client.start, "HANDLER_COMMAND", (sys.executable, "-c", "raise SystemExit('no such module')")
    )
    with pytest.raises(HandlerUnavailable, match="it ended at once") as caught:
        daemon.client(start=True)
    assert caught.value.detail.endswith("no such module")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fast"], "the handler has no option '--fast'"),
        (["--idle-exit"], "--idle-exit needs a value"),
        (["--idle-exit", "soon"], "is 'soon'\nit must be a number"),
    ],
)
def test_wrong_options(daemon, arguments, message):
    ended = subprocess.run([sys.executable, str(MAIN), *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 4
    assert message in ended.stderr
