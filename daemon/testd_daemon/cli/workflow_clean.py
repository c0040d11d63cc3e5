"""`testd workflow clean`: remove the buckets that a run with `--isolation bucket` has made for itself, and all in them.

Runs in the client, with the credentials of its environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from testd_daemon.cli.arguments import Operands
from testd_daemon.cli.workflow_runs import find
from testd_daemon.errors import UsageError
from testd_daemon.workflows.document import load
from testd_daemon.workflows.errors import WorkflowError
from testd_daemon.workflows.store.bucket import Bucket
from testd_daemon.workflows.store.data_stores import made
from testd_daemon.workflows.store.errors import BucketMissing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from testd_daemon.cli.arguments import Options, Parser
    from testd_daemon.workflows.store.address import Address

#: What is removed is named: the newest run may be another one than is meant.
OPERANDS = Operands("RUN", 1, 1, "a run's id, or as much of it as no other one begins with")


def arguments(parser: Parser) -> None:
    """Add what `testd workflow clean` takes: nothing besides the run."""


def main(options: Options) -> int:
    """Remove them, and say which. Raises StoreError, UsageError."""
    run, course = find(options.operands[0])
    name = f"run {run['run']} of {course.planned['name']}"
    if run["exit_code"] is None:
        raise UsageError(f"{name} goes on", hint=f"`testd workflow cancel {run['run']}` ends it.")
    told = course.planned.get("own") or []
    if not told:
        sys.stdout.write(f"{name} has no buckets of its own that stay\n")
    for address in made(told, _stores(course.planned), os.environ):
        sys.stdout.write(f"{_removed(address)}\n")
    return 0


def _removed(address: Address) -> str:
    bucket = Bucket(address)
    try:
        bucket.remove()
    except BucketMissing:
        return f"{address.bucket} is not there any more"
    finally:
        bucket.close()
    return f"removed {address.bucket} of {address.where}"


def _stores(planned: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the data stores of the document that the run had, in which credentials may be."""
    try:
        return load(Path(planned["state"], "workflow.json")).file.data_stores
    except WorkflowError:  # it is not kept any more
        return {}


__all__ = ["OPERANDS", "arguments", "main"]
