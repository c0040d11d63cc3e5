"""Where a run of our own has its files and its logs, as whoever looks at them has to know it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from testd_daemon.workflows.store.address import Address
from testd_daemon.workflows.store.data_stores import embedded, outside
from testd_daemon.workflows.store.isolation import Isolation, Mode
from testd_daemon.workflows.testing.invocation import Invocation

__all__ = ["RunStores", "stores_of"]


class RunStores(NamedTuple):
    """The places of one run. Logs are where they are in every isolation."""

    files: Address
    logs: Address
    prefix: str  # of the keys of files
    own: list[Address]  # buckets that were made for the run, and stay


def stores_of(invocation: Invocation, planned: Mapping[str, Any], environment: Mapping[str, str]) -> RunStores:
    """Return the places of a run that was told with a `WorkflowPlanned`. Raises UsageError.

    What is told has keys of the embedded store alone; those of others are in the environment.
    """
    file, settings, told = invocation.workflow.file, invocation.settings, planned["store"]
    if told.get("access_key"):

        def place(bucket: str, name: str) -> Address:
            keys = {key: told[key] for key in ("endpoint", "access_key", "secret_key")}
            return Address(name=name, bucket=bucket, **keys)

        addresses = embedded(file.data_stores, place)
    else:
        addresses = outside(settings.store, file.data_stores, environment)
    isolation = Isolation(cast("Mode", planned["isolation"]), planned["invocation"], addresses)
    return RunStores(
        files=isolation.addresses[file.default_data_store],
        logs=addresses[file.logging_data_store or file.default_data_store],
        prefix=isolation.prefix,
        own=[] if told.get("access_key") else isolation.own,
    )
