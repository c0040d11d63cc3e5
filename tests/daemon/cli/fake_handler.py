"""A handler that says what a test tells it to, over a real socket, in the real protocol."""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading

from testd.framing import FrameBuffer, frame
from testd.msgpack import packb, unpackb
from testd_protocol.version import PROTOCOL, __version__

#: Every wait of a test's own is bounded by this (seconds); nothing is measured by it.
DEADLINE = 20.0

STATUS = {
    "type": "StatusReport",
    "pid": 0,
    "version": __version__,
    "socket": "/s",
    "journal": "/j",
    "log": "/l",
    "started_at": 0.0,
    "idle_exit": 10800.0,
    "memory": 40960,
    "clients": 1,
    "agents": [],
    "runs": [],
}


class FakeHandler:
    """Listens in `folder`. `script` is called with this object for each run and yields the bodies of its events."""

    def __init__(self, folder, script=None, *, status=None, history=(), listed=(), fault=None, silent=False):
        self.script = script or (lambda _: iter(()))
        self.status = {**STATUS, "pid": os.getpid(), **(status or {})}
        self.history = list(history)
        self.listed = list(listed)
        self.listing = threading.Event()
        self.fault = fault
        self.silent = silent  # it accepts connections and says nothing
        self.failure: Exception | None = None
        self.requests: list[dict] = []
        self.messages: list[dict] = []
        self.steers: queue.Queue[dict] = queue.Queue()
        self.cancelled = threading.Event()
        self.left = threading.Event()  # a client that had a run has closed its connection
        self.shut_down = threading.Event()
        self.go_on = threading.Event()
        folder.mkdir(mode=0o700, exist_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._path = folder / "testd.sock"
        self._socket.bind(str(self._path))
        self._socket.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._connections: list[socket.socket] = []
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._path.unlink(missing_ok=True)
        for event in (self.cancelled, self.go_on):
            event.set()
        self._close(self._socket)
        self._threads[0].join(DEADLINE)  # it may just have accepted one more
        for connection in self._connections:
            self._close(connection)
        for thread in self._threads:
            thread.join(DEADLINE)
        if self.failure is not None:
            raise self.failure

    def _close(self, end):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()

    def wait(self, event):
        assert event.wait(DEADLINE), "the client never did what the test waits for"

    def steered(self):
        """Wait until a client asks for something, and say for what."""
        return self.steers.get(timeout=DEADLINE)["what"]

    def cut(self):
        """Close every connection, as a handler that dies does."""
        for connection in list(self._connections):  # not what connects again meanwhile
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection):
        buffer = FrameBuffer()
        with contextlib.suppress(OSError):
            while data := connection.recv(65536):
                buffer.feed(data)
                for payload in buffer.frames():
                    self._answer(connection, unpackb(payload))
        if self.requests:
            self.left.set()

    def _answer(self, connection, message):
        self.messages.append(message)
        if self.silent:
            return
        match message["type"]:
            case "Hello":
                self._send(connection, type="Welcome", pid=self.status["pid"], protocol=PROTOCOL, version=__version__)
            case "Submit" if self.fault:
                self._send(connection, type="Fault", **self.fault)
            case "Submit":
                self.requests.append(message["request"])
                self._send(connection, type="Accepted", run="r1")
                self._start(connection, 0)
            case "Attach":
                self.requests.append(message)
                self._start(connection, message["after"])
            case "Status":
                self._send(connection, **self.status)
            case "History":
                self._send(connection, type="HistoryReport", entries=self.history, id=message["id"])
            case "List":
                for page in self.listed:
                    self._send(connection, **page)
                self.listing.set()
            case "Cancel":
                self.cancelled.set()
            case "Steer":
                self.steers.put(message)
            case "Shutdown":
                self.shut_down.set()
                self._send(connection, type="Shutdown", reason="")

    def _start(self, connection, after):
        thread = threading.Thread(target=self._tell, args=(connection, after))
        self._threads.append(thread)
        thread.start()

    def _tell(self, connection, after):
        try:
            for seq, body in enumerate(self.script(self), 1):
                if seq > after:
                    self._send(connection, type="Event", run="r1", seq=seq, body=body)
        except OSError:
            pass  # the client has left
        except Exception as error:  # a thread has nobody to raise to: told when the test is over
            self.failure = error
            connection.shutdown(socket.SHUT_RDWR)

    def _send(self, connection, **message):
        connection.sendall(frame(packb(message)))
