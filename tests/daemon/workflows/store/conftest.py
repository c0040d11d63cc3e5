"""A store for all tests of a session, and a bucket of its own for each."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from store_server import end_server, start_server
from testd_daemon.workflows.store.address import EMBEDDED_KEY, Address
from testd_daemon.workflows.store.bucket import Bucket

_numbers = count(1)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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
