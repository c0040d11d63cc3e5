"""One bucket of a store for an event loop: each call in a worker thread, what may pass is tried again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import anyio
from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from testd_daemon.workflows.store.address import Address
from testd_daemon.workflows.store.bucket import CONNECTIONS, Bucket, Entry, Patience
from testd_daemon.workflows.store.errors import StoreError

__all__ = ["Store"]

_Result = TypeVar("_Result")


class Store:
    """The objects of one bucket. Methods raise StoreError; see `Bucket` for each.

    Between two tries nothing blocks: whoever is cancelled waits for one request at most.
    """

    def __init__(self, address: Address, patience: Patience | None = None) -> None:
        """Nothing is loaded or reached before the first call."""
        self.patience = patience or Patience()
        self._bucket = Bucket(address, replace(self.patience, tries=1))
        self._limiter = CapacityLimiter(CONNECTIONS)

    @property
    def address(self) -> Address:
        """Where it is."""
        return self._bucket.address

    async def put(self, key: str, content: bytes | Path) -> None:
        """Put bytes, or what a file holds."""
        await self._try(self._bucket.put, key, content)

    async def put_if_absent(self, key: str, content: bytes) -> bool:
        """Put an object that is not there; say whether it was not. Of many that try at once one is told so."""
        return await self._try(self._bucket.put_if_absent, key, content)

    async def get(self, key: str) -> bytes:
        """Return an object's content. Raises ObjectMissing."""
        return await self._try(self._bucket.get, key)

    async def fetch(self, key: str, path: Path) -> int:
        """Write an object's content into a file; return its size. Raises ObjectMissing, OSError."""
        return await self._try(self._bucket.fetch, key, path)

    async def delete(self, key: str) -> None:
        """Delete an object; one that is not there is no error."""
        await self._try(self._bucket.delete, key)

    async def head(self, key: str) -> Entry | None:
        """Return an object as a listing would; None where there is none."""
        return await self._try(self._bucket.head, key)

    async def listing(self, prefix: str = "") -> list[Entry]:
        """Return all objects whose keys begin with a prefix, in the order of their keys."""
        return await self._try(self._bucket.listing, prefix)

    async def check(self) -> None:
        """Raise what stands against using this bucket."""
        await self._try(self._bucket.check)

    async def make(self) -> None:
        """Make the bucket; one that is there and ours is no error."""
        await self._try(self._bucket.make)

    async def remove(self) -> None:
        """Remove the bucket and all that is in it."""
        await self._try(self._bucket.remove)

    async def load(self) -> None:
        """Load boto3 (0.3 s) ahead of the first call."""
        await run_sync(lambda: self._bucket.client, limiter=self._limiter)

    def close(self) -> None:
        """Close its connections."""
        self._bucket.close()

    async def _try(self, call: Callable[..., _Result], *arguments: Any) -> _Result:
        pauses = self.patience.pauses()
        while True:
            try:
                return await run_sync(call, *arguments, limiter=self._limiter)
            except StoreError as error:
                pause = next(pauses, None) if error.passing else None
                if pause is None:
                    raise
            await anyio.sleep(pause)
