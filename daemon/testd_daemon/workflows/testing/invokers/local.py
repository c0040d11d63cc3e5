"""Starts a workflow on this machine: on the daemon's own runners, with a store that the test owns. Runs in the user's
process.
"""  # fmt: skip

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from testd import workspace
from testd_daemon.workflows.testing.event_watch import EventWatch
from testd_daemon.workflows.testing.invocation import Invocation
from testd_daemon.workflows.testing.invokers.invoker import Invoker
from testd_daemon.workflows.testing.own_store import OwnStore

__all__ = ["LocalInvoker"]


class LocalInvoker(Invoker):
    """Submits workflows to the daemon, and starts one where there is none."""

    def invoke(self, invocation: Invocation) -> EventWatch:
        """Have the daemon run the workflow; return what follows it. Raises InvocationError, ExtraMissing."""
        store = OwnStore() if invocation.settings.store in ("", "embedded") else None
        watch = EventWatch(invocation, _request(invocation, store), store.close if store else lambda: None)
        watch.submit()
        return watch


def _request(invocation: Invocation, store: OwnStore | None) -> dict[str, Any]:
    settings = invocation.settings
    path = str(invocation.path)
    root, _ = workspace.find(str(invocation.path.parent), [path])
    return {
        "workspace": root,
        "cwd": root,
        "paths": [path],
        "kind": "workflow",
        "targets": list(settings.targets),
        "environment": dict(os.environ),
        "python": sys.executable,
        "store": "" if settings.store == "document" else settings.store,
        "isolation": settings.isolation,
        "join": settings.join or "documented",
        "input": str(Path(settings.input).absolute()) if settings.input else "",
        "overrides": invocation.overrides,
    }
