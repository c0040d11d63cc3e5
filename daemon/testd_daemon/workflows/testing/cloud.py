"""How a run that somebody else carries out is watched: by the data stores that its document names."""

from __future__ import annotations

import os

from testd_daemon.workflows.store.bucket import Patience
from testd_daemon.workflows.store.data_stores import own
from testd_daemon.workflows.testing.function_monitor import FunctionMonitor
from testd_daemon.workflows.testing.invocation import Invocation
from testd_daemon.workflows.testing.objects import ObjectStore, S3Client
from testd_daemon.workflows.testing.poller import Poller
from testd_daemon.workflows.testing.store_watch import StoreWatch

__all__ = ["monitors_of", "watch_store"]

#: Each listing is tried once: the next one comes by itself.
_LISTING = Patience(connect=5.0, read=20.0, tries=1)


def watch_store(invocation: Invocation, s3_client: S3Client | None = None, bucket_name: str = "") -> StoreWatch:
    """Return a watch of an invocation, whose logs and files are in data stores of their own. Raises UsageError."""
    file = invocation.workflow.file
    if s3_client is not None:
        apart = False
        files = logs = ObjectStore.of(s3_client, bucket_name or file.data_stores[file.default_data_store].bucket)
    else:
        names = (file.default_data_store, file.logging_data_store or file.default_data_store)
        addresses = own({name: file.data_stores[name] for name in names}, os.environ)
        files, logs = ObjectStore.at(addresses[names[0]]), ObjectStore.at(addresses[names[1]], _LISTING)
        apart = names[0] != names[1]
    settings = invocation.settings
    return StoreWatch(
        invocation.workflow.graph,
        invocation.board,
        monitors_of(invocation, logs),
        # The backend puts completions where functions put their files.
        Poller(logs, invocation.folder, settings.check_interval, files if apart else None),
        store=files,
        workflow=invocation.workflow.name,
        timeout=settings.timeout,
        static_joins=settings.join == "faasr",
    )


def monitors_of(invocation: Invocation, logs: ObjectStore) -> dict[str, FunctionMonitor]:
    """Return a monitor of each function of an invocation; none has a thread."""
    return {
        name: FunctionMonitor(
            function_name=name,
            workflow_name=invocation.workflow.name,
            invocation_folder=invocation.folder,
            s3_client=logs,
            stream_logs=invocation.settings.stream_logs,
        )
        for name in invocation.workflow.graph.instances
    }
