"""The embedded store's process for tests: an object store of their own, and a patience that is short."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from testd_daemon.workflows.store.bucket import Patience

__all__ = ["SHORT", "end_server", "start_server"]

#: For stores that are not there: a test waits for each try.
SHORT = Patience(connect=1.0, read=1.0, tries=2, pause=0.01)


def start_server(journal: Path, port: int = 0) -> tuple[subprocess.Popen[bytes], str]:
    """Start the process and return it with its URL. Its standard input is what keeps it."""
    argv = [sys.executable, "-m", "testd_daemon.workflows.store.server"]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{port} {journal}\n".encode())
    process.stdin.flush()
    return process, f"http://127.0.0.1:{int(process.stdout.readline())}"


def end_server(process: subprocess.Popen[bytes]) -> None:
    """End it, as its parent's end does."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()
