"""An embedded store that a test owns: it lives as long as the test looks at it, and not only while the workflow runs.

Runs in the user's process, blocking; the store is a process of its own that ends with it, however that happens.
"""

from __future__ import annotations

import importlib.util
import os
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from testd_daemon.errors import DeadlineExpired, TestdError
from testd_daemon.workflows.store.address import EMBEDDED_KEY, Address
from testd_daemon.workflows.store.embedded import JOURNAL, MODULES, PROGRAM, START
from testd_daemon.workflows.store.errors import ExtraMissing

__all__ = ["OwnStore"]

#: Seconds until it has seen that its standard input was closed; then it is killed.
END = 2.0


class OwnStore:
    """A store that serves from its making until `close`."""

    def __init__(self) -> None:
        """Start it. Raises ExtraMissing, DeadlineExpired, TestdError."""
        if missing := next((module for module in MODULES if importlib.util.find_spec(module) is None), None):
            raise ExtraMissing(missing)
        self._folder = Path(tempfile.mkdtemp(prefix="testd-store-"))
        with (self._folder / "said").open("wb") as said:
            # What a user has set for AWS, or for tests with moto, is not meant for it.
            kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "MOTO_", "S3_"))}
            argv = [sys.executable, "-m", PROGRAM]
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=said, env=kept)
        try:
            assert self._process.stdin is not None
            os.write(self._process.stdin.fileno(), f"0 {self._folder / JOURNAL}\n".encode())
            self._port = self._ready()
        except BaseException:
            self.close()
            raise

    def address(self, bucket: str) -> Address:
        """Return the address of a bucket in it."""
        endpoint = f"http://127.0.0.1:{self._port}"
        return Address(
            name="embedded", bucket=bucket, endpoint=endpoint, access_key=EMBEDDED_KEY, secret_key=EMBEDDED_KEY
        )

    def close(self) -> None:
        """End it, and forget what was in it."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ready(self) -> int:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], (), (), START)[0]:
            raise DeadlineExpired("the start of the embedded store", START, detail=self._said())
        line = self._process.stdout.readline().strip()
        if not line.isdigit():
            raise TestdError("the embedded store does not start", detail=self._said(), hint=self._said()[-500:])
        return int(line)

    def _said(self) -> str:
        return (self._folder / "said").read_text(errors="replace")
