"""A store for each test of the testing library, and runs played into it by a program of its own."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from store_server import end_server, start_server
from testd_daemon.workflows.store.address import EMBEDDED_KEY, Address
from testd_daemon.workflows.testing.objects import ObjectStore

PLAYER = Path(__file__).with_name("play_workflow.py")
TIMESTAMP = "2026-11-21T20-56-38"
NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process, url = start_server(tmp_path_factory.mktemp("store") / "journal")
    yield url
    end_server(process)


@pytest.fixture
def address(endpoint: str) -> Address:
    bucket = f"bucket{next(NUMBERS)}"
    return Address(name="S3", bucket=bucket, endpoint=endpoint, access_key=EMBEDDED_KEY, secret_key=EMBEDDED_KEY)


@pytest.fixture
def store(address: Address) -> Iterator[ObjectStore]:
    """An empty bucket."""
    store = ObjectStore.at(address)
    store.s3_client.create_bucket(Bucket=address.bucket)
    yield store
    store.close()


class Player:
    """Plays runs into a store."""

    def __init__(self, process: subprocess.Popen[str], address: Address) -> None:
        self._process = process
        self._address = address
        self._ordered: set[int] = set()

    def play(self, document: dict, invocation: str, script: dict | None = None, timestamp: str = TIMESTAMP) -> None:
        """Start a run."""
        number = next(NUMBERS)
        order = {
            "document": document, "endpoint": self._address.endpoint, "bucket": self._address.bucket,
            "timestamp": timestamp, "invocation": invocation, "script": script or {}, "number": number,
        }  # fmt: skip
        self._ordered.add(number)
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Wait until all have been played to their end."""
        while self._ordered:
            self._ordered.discard(int(self._process.stdout.readline()))


@pytest.fixture(scope="session")
def playing() -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, str(PLAYER)], stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.fixture
def player(playing: subprocess.Popen[str], address: Address, store: ObjectStore) -> Iterator[Player]:
    player = Player(playing, address)
    yield player
    player.end()
