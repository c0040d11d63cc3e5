"""A handler as a process of its own, with the fake agent, in folders of its own; and what a test does to it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import testd_daemon.client.start
from testd_daemon.client.sync import Client
from testd_daemon.client.wire import Wire
from testd_daemon.runtime import Folders

#: Seconds after which a test gives up on something that must come. Nothing is measured against it.
PATIENCE = 30.0
MAIN = Path(__file__).with_name("handler_main.py")


class Daemon:
    """Starts handlers, and knows how to ask them."""

    def __init__(self, base, monkeypatch):
        self.base = base
        self.folders = Folders(str(base / "run"), str(base / "state"), str(base / "cache"))
        self.workspace = str(base / "project")
        Path(self.workspace).mkdir()
        self.monkeypatch = monkeypatch
        self.processes = []
        self.clients = []
        self.pids = set()
        monkeypatch.setenv("TESTD_RUNTIME_DIR", self.folders.runtime)
        monkeypatch.setenv("TESTD_STATE_DIR", self.folders.state)
        monkeypatch.setenv("TESTD_CACHE_DIR", self.folders.cache)
        for name in ("TESTD_IDLE_EXIT", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(testd_daemon.client.start, "HANDLER_COMMAND", (sys.executable, str(MAIN)))

    def configure(self, **changes):
        """What the next handlers have in their settings, and in their `deadlines`."""
        self.monkeypatch.setenv("HANDLER_TEST", json.dumps(changes))

    def start(self, *arguments, **options):
        """Start a handler as our child and wait until it listens."""
        ours, theirs = os.pipe()
        try:
            process = subprocess.Popen(
                [sys.executable, str(MAIN), *arguments, "--ready-fd", str(theirs)],
                pass_fds=[theirs], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, **options,
            )  # fmt: skip
            self.processes.append(process)
            os.close(theirs)
            process.ready = read_all(ours)
        finally:
            os.close(ours)
        return process

    def client(self, *, start=False):
        client = Client.connect(start=start, where=self.folders)
        self.clients.append(client)
        self.pids.add(client.welcome["pid"])
        return client

    def wire(self):
        """A connection without any manners."""
        return Wire(self.folders.socket)

    def request(self, **environment):
        return {
            "workspace": self.workspace,
            "cwd": self.workspace,
            "detach": bool(environment.pop("detach", False)),
            "environment": {name: str(value) for name, value in environment.items()},
        }

    def gate(self, name="gate"):
        path = self.base / name
        os.mkfifo(path)
        return Gate(path)

    def only_agent(self, client):
        """Wait for the one agent to be ready, and return what status says of it."""
        return until(lambda: next((each for each in client.status()["agents"] if each["state"] == "ready"), None))

    def end(self):
        for client in self.clients:
            self.pids.add(client.welcome["pid"])
            client.close()
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.communicate()
        for pid in self.pids - {process.pid for process in self.processes}:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.clients.clear()
        self.processes.clear()
        self.pids.clear()


class Gate:
    """Holds a fake agent where it is until `open`."""

    def __init__(self, path):
        self.path = path

    def at(self, number):
        return f"{number}:{self.path}"

    def open(self):
        descriptor = until(self._try)
        os.close(descriptor)

    def _try(self):
        try:
            return os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody waits at it yet
            return None


def read_all(descriptor):
    data = b""
    while select.select([descriptor], (), (), PATIENCE)[0]:
        piece = os.read(descriptor, 4096)
        data += piece
        if not piece or data.endswith(b"\n"):
            return data.decode().strip()
    raise AssertionError(f"the handler said nothing more than {data!r}")


def until(condition):
    """Look until something is there; the test's own limit is what ends it otherwise."""
    give_up = time.monotonic() + PATIENCE
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < give_up, "what the test waits for never came"
        select.select((), (), (), 0.005)


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def outcomes(events):
    """Which tests have an outcome in these events: `(test, verdict)` in the order in which they came."""
    bodies = [event["body"] for event in events if event["body"]["type"] == "Outcomes"]
    return [(row[0], row[2]) for body in bodies for row in body["rows"]]


def kinds(events):
    return [event["body"]["type"] for event in events]
