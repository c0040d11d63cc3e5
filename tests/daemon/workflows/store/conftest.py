"""A store for all tests of a session, and a bucket of its own for each."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import count

import pytest

from testd_daemon.workflows.store.address import EMBEDDED_KEY, Address
from testd_daemon.workflows.store.bucket import Bucket, Patience

_numbers = count(1)
#: For stores that are not there: a test waits for each try.
SHORT = Patience(connect=1.0, read=1.0, tries=2, pause=0.01)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def start_server(journal, port=0):
    """Start the embedded store's process. Its standard input is what keeps it."""
    argv = [sys.executable, "-m", "testd_daemon.workflows.store.server", str(journal), str(port)]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return process, f"http://127.0.0.1:{int(process.stdout.readline())}"


def end_server(process):
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process, url = start_server(tmp_path_factory.mktemp("store") / "journal")
    yield url
    end_server(process)


@pytest.fixture
def address(endpoint: str) -> Address:
    """A bucket that is there."""
    address = Address(
        name="S3", bucket=f"bucket{next(_numbers)}", endpoint=endpoint, access_key=EMBEDDED_KEY, secret_key=EMBEDDED_KEY
    )
    bucket = Bucket(address)
    bucket.make()
    bucket.close()
    return address


@pytest.fixture
def bucket(address: Address) -> Iterator[Bucket]:
    bucket = Bucket(address)
    yield bucket
    bucket.close()
