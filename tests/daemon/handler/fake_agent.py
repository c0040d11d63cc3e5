"""An agent for the handler's tests: speaks the protocol, runs nothing, and dies where it is told to.

What it does is in the run's environment: TESTS how many; BATCH how many outcomes a report; GATE=N:FIFO waits before
test N until somebody has opened and closed the FIFO; DIE=N kills itself before test N; DIE_ONCE=FILE:N does so only if
the file is not there yet; HANG=N stops answering before test N; BODY how many bytes of detail an outcome has.
ORPHAN=FILE leaves a process behind whose id is in the file. FAKE_AGENT in its own environment steers its start.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from testd.framing import FrameBuffer, frame
from testd.msgpack import packb, unpackb
from testd_protocol.version import PROTOCOL, __version__


class Agent:
    def __init__(self, fd):
        self.socket = socket.socket(fileno=fd)
        self.buffer = FrameBuffer()
        self.inbox = []
        self.cancelled = set()

    def send(self, kind, **fields):
        self.socket.sendall(frame(packb({"type": kind, **fields})))

    def pump(self, timeout=None, also=()):
        """Take what has come, answer what can be answered at once; say whether one of `also` is readable."""
        ready = select.select([self.socket, *also], (), (), timeout)[0]
        if self.socket in ready:
            data = self.socket.recv(1 << 20)
            if not data:
                sys.exit(0)
            self.buffer.feed(data)
            for payload in self.buffer.frames():
                self.take(unpackb(payload))
        return any(each in ready for each in also)

    def take(self, message):
        match message["type"]:
            case "Ping":
                self.send("Pong", id=message["id"])
            case "Shutdown":
                sys.exit(0)
            case "Cancel":
                self.cancelled.add(message["run"])
            case "Probe":
                status = {"workspace": "", "state": "ready", "pid": os.getpid(), "memory": 1000}
                self.send("AgentReport", id=message["id"], status=status)
            case "History":
                entry = {
                    "run": "r",
                    "test": message["test"],
                    "target": "t",
                    "verdict": "passed",
                    "at": 1.0,
                    "duration": 0.5,
                }
                self.send("HistoryReport", id=message["id"], entries=[entry])
            case _:
                self.inbox.append(message)

    def serve(self):
        while True:
            while not self.inbox:
                self.pump()
            message = self.inbox.pop(0)
            if message["type"] == "Configure":
                self.configure(message)
            elif message["type"] == "Run":
                self.run(message)
            elif message["type"] == "List":
                self.list(message)
            else:
                self.send("Unsupported", of=message["type"])

    def configure(self, message):
        if os.environ.get("FAKE_AGENT") == "fault":
            self.send("Fault", code="config", message="there is nothing here", hint="put something there")
        Path(message["state_dir"]).mkdir(parents=True, exist_ok=True)
        self.send("Ready", pid=os.getpid(), protocol=PROTOCOL, version=__version__)

    def run(self, message):
        run, env = message["run"], message["request"]["environment"]
        total, batch = int(env.get("TESTS", "3")), int(env.get("BATCH", "1"))
        counts = dict(message["counts"])
        finished = set(message["finished"])
        self.event(run, "Planned", {"tests": total}, tests=total)
        rows, verdicts, started = [], {}, time.monotonic()
        for number in range(total):
            if f"t\0{number}" in finished:
                continue
            self.misbehave(env, number, run)
            self.pump(0)
            verdict = "cancelled" if run in self.cancelled else "passed"
            detail = {"text": "x" * int(env["BODY"])} if "BODY" in env else None
            rows.append([str(number), "t", verdict, 0.0, 0, 1, detail])
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            counts[verdict] = counts.get(verdict, 0) + 1
            if len(rows) >= batch or number == total - 1:
                self.event(run, "Outcomes", {"rows": rows}, counts=verdicts)
                rows, verdicts = [], {}
                self.keep_pace(env, number + 1, started)
        code = 2 if run in self.cancelled else 0
        self.event(
            run, "RunCompleted", {"exit_code": code, "counts": counts, "duration": 1.0}, final=True, exit_code=code
        )

    def list(self, message):
        """Answer with TESTS pages. GATE and DIE are obeyed before each; a cancellation leaves the file of NOTE."""
        name, env = f"list {message['id']}", message["request"]["environment"]
        total = int(env.get("TESTS", "3"))
        for number in range(total):
            self.misbehave(env, number, name)
            self.pump(0)
            if name in self.cancelled:
                Path(env["NOTE"]).touch()
                return
            done = number == total - 1
            self.send("Listed", id=message["id"], text=f"{number}\n", stream="stdout", done=done, exit_code=0)

    def event(self, run, kind, fields, **envelope):
        """Send a Report. Its body is MessagePack inside MessagePack, which the plain codec does as a splice."""
        head = packb({"type": "Report", "run": run, **envelope})
        size = head[0] & 0x0F
        body = packb({"type": kind, **fields})
        self.socket.sendall(frame(bytes([0x80 | (size + 1)]) + head[1:] + packb("body") + body))

    def keep_pace(self, env, done, started):
        """Report no more than PACE outcomes a second: for measuring, not for testing."""
        if float(env.get("PACE", 0)):
            time.sleep(max(0.0, started + done / float(env["PACE"]) - time.monotonic()))

    def misbehave(self, env, number, run):
        if env.get("GATE", "").startswith(f"{number}:"):
            self.wait_at(env["GATE"].partition(":")[2], run)
        if env.get("DIE") == str(number):
            os.write(2, b"the last words of the agent\n")
            os.kill(os.getpid(), signal.SIGKILL)
        if env.get("DIE_ONCE", "").endswith(f":{number}"):
            self.die_once(Path(env["DIE_ONCE"].rpartition(":")[0]))
        if env.get("HANG_ONCE", "").endswith(f":{number}"):
            path = Path(env["HANG_ONCE"].rpartition(":")[0])
            if not path.exists():
                path.touch()
                signal.pause()
        if "ORPHAN" in env and number == 0:
            child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
            Path(env["ORPHAN"]).write_text(str(child.pid))

    def die_once(self, path):
        if not path.exists():
            path.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def wait_at(self, path, run):
        gate = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            while run not in self.cancelled:
                if self.pump(None, [gate]):
                    return
        finally:
            os.close(gate)


if __name__ == "__main__":
    if os.environ.get("FAKE_AGENT") == "die":
        sys.exit("the agent cannot start: a module is missing")
    if os.environ.get("FAKE_AGENT") == "silent":
        signal.pause()
    Agent(int(sys.argv[sys.argv.index("--fd") + 1])).serve()
