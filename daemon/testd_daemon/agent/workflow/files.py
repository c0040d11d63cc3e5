"""The stores of a run as its functions see them, and the run's own. Runs in the agent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio

from testd_daemon.errors import UsageError
from testd_daemon.workflows import layout
from testd_daemon.workflows.store.address import Address
from testd_daemon.workflows.store.bucket import Patience
from testd_daemon.workflows.store.client import Store
from testd_protocol.messages import StoreChanged

__all__ = ["Files"]

#: An embedded store that has died is started again, which takes seconds on a machine that is busy.
RESTART: Final = Patience(tries=10)


class Files:
    """What functions put, get, list and delete, by the names that they give it."""

    def __init__(
        self, addresses: dict[str, Address], default: str, logging: str, changed: Callable[[StoreChanged], None],
        *, embedded: bool,
    ) -> None:  # fmt: skip
        """Serve these data stores, by name. `changed` is told of each change that a function made."""
        patience = RESTART if embedded else None
        self._stores = {name: Store(address, patience) for name, address in addresses.items()}
        self._default = default
        self._embedded = embedded
        self._changed = changed
        self.sequence = 0  # how many changes functions have made
        self.default = self._stores[default]
        self.logs = self._stores[logging]

    async def prepare(self) -> None:
        """See that all buckets are there, or make those of the embedded store. Raises StoreError."""
        async with anyio.create_task_group() as tasks:
            for store in {store.address.bucket: store for store in self._stores.values()}.values():
                tasks.start_soon(store.make if self._embedded else store.check)

    async def put(self, function: str, store: str, key: str, content: bytes | Path, size: int) -> None:
        """Put an object. Raises StoreError, UsageError."""
        found = self._writable(store)
        await found.put(key, content)
        self._tell("put", function, found, key, size)

    async def delete(self, function: str, store: str, key: str) -> None:
        """Delete an object. Raises StoreError, UsageError."""
        found = self._writable(store)
        await found.delete(key)
        self._tell("delete", function, found, key, 0)

    async def fetch(self, store: str, key: str, path: Path) -> int:
        """Write an object's content into a file. Raises StoreError, UsageError."""
        return await self._named(store).fetch(key, path)

    async def list(self, store: str, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, folders left out. Raises StoreError, UsageError."""
        entries = await self._named(store).listing(layout.store_path(prefix))
        return [entry.key for entry in entries if not entry.key.endswith("/")]

    def credentials(self, store: str) -> dict[str, str]:
        """Return what a client of a store needs. Raises UsageError."""
        address = self._named(store).address
        return {
            "bucket": address.bucket, "region": address.region, "endpoint": address.endpoint,
            "access_key": address.access_key, "secret_key": address.secret_key,
            "anonymous": "true" if address.anonymous else "false",
        }  # fmt: skip

    def close(self) -> None:
        """Close all connections."""
        for store in self._stores.values():
            store.close()

    def _named(self, name: str) -> Store:
        found = self._stores.get(name or self._default)
        if found is None:
            raise UsageError(f"there is no data store {name}; there are {', '.join(self._stores)}")
        return found

    def _writable(self, name: str) -> Store:
        found = self._named(name)
        if not found.address.writable:
            raise UsageError(f"the data store {found.address.name} may not be written: its Writable is false")
        return found

    def _tell(self, verb: str, function: str, store: Store, key: str, size: int) -> None:
        self.sequence += 1
        self._changed(
            StoreChanged(
                sequence=self.sequence, function=function, verb="put" if verb == "put" else "delete",
                store=store.address.name, bucket=store.address.bucket, key=key, size=size,
            )
        )  # fmt: skip
