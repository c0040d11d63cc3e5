"""The stores of a run as its functions see them, and the run's own. Runs in the agent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

import anyio
from anyio.to_thread import run_sync

from testd_daemon.errors import UsageError
from testd_daemon.workflows import layout
from testd_daemon.workflows.store.address import Address
from testd_daemon.workflows.store.bucket import Patience
from testd_daemon.workflows.store.client import Store
from testd_daemon.workflows.store.isolation import Isolation, input_files
from testd_daemon.workflows.store.versions import Change, Versions
from testd_protocol.messages import StoreChanged

__all__ = ["Files"]

#: An embedded store that has died is started again, which takes seconds on a machine that is busy.
RESTART: Final = Patience(tries=10)
#: Files of an input that are on their way at once.
_AT_ONCE: Final = 16


class Files:
    """What functions put, get, list and delete, by the names that they give it."""

    def __init__(
        self, addresses: Mapping[str, Address], default: str, logging: str, isolation: Isolation, versions: Versions,
        changed: Callable[[StoreChanged], None], *, embedded: bool,
    ) -> None:  # fmt: skip
        """Serve these data stores, by name. `changed` is told of each change that a function made."""
        self._opened: dict[Address, Store] = {}
        self._embedded = embedded
        self._stores = {name: self._open(address) for name, address in isolation.addresses.items()}
        self._default = default
        self._isolation = isolation
        self._versions = versions
        self._changed = changed
        self.completions = self._open(addresses[default])
        self.logs = self._open(addresses[logging])

    @property
    def sequence(self) -> int:
        """How many changes functions have made."""
        return self._versions.sequence

    @property
    def prefix(self) -> str:
        """What stands before the keys of functions' files."""
        return self._isolation.prefix

    @property
    def own(self) -> list[dict[str, str]]:
        """Buckets that were made for the run alone, in a store that stays."""
        return [
            {"name": each.name, "bucket": each.bucket, "endpoint": each.endpoint, "region": each.region}
            for each in ([] if self._embedded else self._isolation.own)
        ]

    async def prepare(self) -> None:
        """See that all buckets are there; make those of the embedded store, and the run's own. Raises StoreError."""
        given = {(store.address.endpoint, store.address.bucket): store for store in (self.completions, self.logs)}
        used = {(store.address.endpoint, store.address.bucket): store for store in self._stores.values()}
        own = self._isolation.mode == "bucket"
        async with anyio.create_task_group() as tasks:
            for where, store in (used | given).items():
                tasks.start_soon(store.make if self._embedded or (own and where not in given) else store.check)

    async def seed(self, folder: Path) -> None:
        """Put the files below a folder where functions find them by their paths. Raises StoreError, UsageError."""
        limiter = anyio.CapacityLimiter(_AT_ONCE)

        async def put(key: str, path: Path) -> None:
            async with limiter:
                await self._named("").put(self._isolation.inside(key), path)

        found = await run_sync(lambda: list(input_files(folder)))
        async with anyio.create_task_group() as tasks:
            for key, path in found:
                tasks.start_soon(put, key, path)

    async def put(self, function: str, store: str, key: str, content: bytes | Path, size: int) -> None:
        """Put an object. Raises StoreError, UsageError."""
        found, key = self._writable(store), self._isolation.inside(key)
        async with self._versions.changing(function, "put", found, key, size) as change:
            await found.put(key, content)
        self._tell(change, "put")

    async def delete(self, function: str, store: str, key: str) -> None:
        """Delete an object. Raises StoreError, UsageError."""
        found, key = self._writable(store), self._isolation.inside(key)
        async with self._versions.changing(function, "delete", found, key) as change:
            await found.delete(key)
        self._tell(change, "delete")

    async def fetch(self, store: str, key: str, path: Path) -> int:
        """Write an object's content into a file. Raises StoreError, UsageError."""
        return await self._named(store).fetch(self._isolation.inside(key), path)

    async def listing(self, store: str, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, folders left out. Raises StoreError, UsageError."""
        entries = await self._named(store).listing(self._isolation.inside(layout.store_path(prefix)))
        return [self._isolation.outside(entry.key) for entry in entries if not entry.key.endswith("/")]

    def credentials(self, store: str) -> dict[str, str]:
        """Return what a client of a store needs. Raises UsageError."""
        address = self._named(store).address
        return {
            "bucket": address.bucket, "region": address.region, "endpoint": address.endpoint,
            "access_key": address.access_key, "secret_key": address.secret_key,
            "anonymous": "true" if address.anonymous else "false", "prefix": self.prefix.rstrip("/"),
        }  # fmt: skip

    def close(self) -> None:
        """Close all connections."""
        for store in self._opened.values():
            store.close()

    def _open(self, address: Address) -> Store:
        return self._opened.setdefault(address, Store(address, RESTART if self._embedded else None))

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

    def _tell(self, change: Change, verb: Literal["put", "delete"]) -> None:
        kept = str(self._versions.folder / change.kept) if change.kept else ""
        self._changed(
            StoreChanged(
                sequence=change.sequence, function=change.function, verb=verb, store=change.store,
                bucket=change.bucket, key=change.key, size=change.size, kept=kept,
            )
        )  # fmt: skip
