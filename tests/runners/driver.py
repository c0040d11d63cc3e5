"""Drives a real runner process by its messages, as an agent does: no agent, no handler."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testd.framing import FrameBuffer, frame
from testd.msgpack import packb, unpackb

RUNNERS = Path(__file__).resolve().parents[2] / "runners"
BOOT = (
    f"import sys; sys.path.insert(0, {str(RUNNERS)!r}); "
    "from testd.runner.__main__ import main; sys.exit(main(sys.argv[1:]))"
)
#: How long any one answer may take, in seconds: far more than it needs on a busy machine.
PATIENCE = 60.0


class Driver:
    """One runner. Messages come as maps."""

    def __init__(self, root: Path, python: str = sys.executable, kind: str = "pytest", **settings: Any) -> None:
        near, far = socket.socketpair()
        near.settimeout(PATIENCE)
        self.process = subprocess.Popen(
            [python, "-c", BOOT, "--fd", str(far.fileno())],
            pass_fds=[far.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        far.close()
        self._sock = near
        self._buffer = FrameBuffer()
        self._messages: list[dict[str, Any]] = []
        self._collections = 0
        self._workers = 0
        self.other: list[dict[str, Any]] = []
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        self.send(
            "ConfigureRunner",
            **{
                "kind": kind,
                "mode": "worker",
                "root": str(root),
                "cwd": str(root),
                "environment": dict(environment, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", **settings.pop("environment", {})),
                "arguments": [],
                "memory_limit": 0,
                "output_limit": 1 << 20,
                "capture_limit": 4096,
                "stem": True,
                "settings": {},
                **settings,
            },
        )
        try:
            self.ready = self.until("Ready")
        except BaseException:  # nobody has it yet who could end it
            self._sock.close()
            self.process.kill()
            self.process.wait()
            raise

    def send(self, type_: str, **fields: Any) -> None:
        self._sock.sendall(frame(packb({"type": type_, **fields})))

    def receive(self) -> dict[str, Any]:
        while not self._messages:
            data = self._sock.recv(1 << 20)
            if not data:
                raise EOFError("the runner closed its stream")
            self._buffer.feed(data)
            self._messages.extend(unpackb(payload) for payload in self._buffer.frames())
        return self._messages.pop(0)

    def until(self, *types: str) -> dict[str, Any]:
        """Return the next message of these types; the others are kept in `other`."""
        while True:
            message = self.receive()
            if message["type"] in types:
                return message
            self.other.append(message)

    def seen(self, type_: str) -> list[dict[str, Any]]:
        return [message for message in self.other if message["type"] == type_]

    def collect(self, *paths: str) -> dict[str, Any]:
        """Return the last page, with the items of all; or the `Fault`."""
        self._collections += 1
        self.send("Collect", collection=self._collections, paths=list(paths))
        items: list[Any] = []
        while True:
            page = self.until("Collected", "Fault")
            if page["type"] == "Fault":
                return page
            items += page["items"]
            if page["done"]:
                return {**page, "items": items, "ids": [item[0] for item in items]}

    def start_worker(self, tests: list[int], collection: int = 0, **settings: Any) -> int:
        """Start a worker on these tests, and let it finish."""
        self._workers += 1
        ids = settings.pop("ids", [])
        finish = settings.pop("finish", True)
        self.send(
            "StartWorker",
            **{
                "worker": self._workers,
                "collection": collection or self._collections,
                "stream": False,
                "update_snapshots": False,
                "timeout": 0.0,
                "job_timeout": 0.0,
                "workers": 1,
                "paths": [],
                "run": "r",
                "maxfail": 0,
                **settings,
            },
        )
        self.send("RunJob", job=self._workers, worker=self._workers, tests=tests, ids=ids)
        if finish:
            self.send("FinishWorker", worker=self._workers)
        return self._workers

    def finish(self) -> "Ended":
        """Return what one worker said until it was gone."""
        outcomes: dict[int, dict[str, Any]] = {}
        while True:
            message = self.until("Outcome", "WorkerExited")
            if message["type"] == "WorkerExited":
                return Ended(outcomes, message)
            assert message["test"] not in outcomes, "a test has two outcomes"
            outcomes[message["test"]] = message

    def run(self, tests: list[int], **settings: Any) -> "Ended":
        self.start_worker(tests, **settings)
        return self.finish()

    def run_all(self, *paths: str, **settings: Any) -> "dict[str, dict[str, Any]]":
        """Collect and run; return the outcomes by name (the part after the last `::`)."""
        found = self.collect(*paths)
        assert found["type"] == "Collected", found
        ended = self.run(list(range(len(found["ids"]))), **settings)
        return {found["ids"][n].rpartition("::")[2]: outcome for n, outcome in ended.outcomes.items()}

    def stop(self) -> int:
        """End the runner in order, and return its exit status."""
        with contextlib.suppress(OSError):
            self.send("Shutdown", reason="")
        self._sock.close()
        return self.process.wait(PATIENCE)


class Ended:
    """The outcomes of a worker by test, and how it ended."""

    def __init__(self, outcomes: dict[int, dict[str, Any]], exited: dict[str, Any]) -> None:
        self.outcomes = outcomes
        self.exited = exited

    def verdicts(self) -> dict[int, str]:
        return {test: outcome["verdict"] for test, outcome in self.outcomes.items()}


@contextlib.contextmanager
def runner(root: Path, **settings: Any) -> Iterator[Driver]:
    driver = Driver(root, **settings)
    try:
        yield driver
    finally:
        status = driver.stop()
    assert status == 0


def write(root: Path, **files: str) -> Path:
    """Write test files: `write(root, test_a="...")` makes test_a.py; `sub__test_b` makes sub/test_b.py."""
    for name, text in files.items():
        path = root / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
