"""Starts a workflow on this machine: on the daemon's own runners. Runs in the user's process."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from testd import workspace
from testd_daemon.workflows.store.data_stores import EMBEDDED
from testd_daemon.workflows.testing.event_watch import EventWatch
from testd_daemon.workflows.testing.invocation import Invocation
from testd_daemon.workflows.testing.invokers.invoker import Invoker

__all__ = ["LocalInvoker"]


class LocalInvoker(Invoker):
    """Submits workflows to the daemon, and starts one where there is none."""

    def invoke(self, invocation: Invocation) -> EventWatch:
        """Have the daemon run the workflow; return what follows it. Raises InvocationError, ExtraMissing."""
        watch = EventWatch(invocation, _request(invocation))
        watch.submit()
        return watch


def _request(invocation: Invocation) -> dict[str, Any]:
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
        "store": settings.store or EMBEDDED,
        "isolation": settings.isolation,
        "join": settings.join or "documented",
        "input": str(Path(settings.input).absolute()) if settings.input else "",
        "overrides": invocation.overrides,
    }
