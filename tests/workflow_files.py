"""Workflow files for tests: a whole document around what follows what."""

from __future__ import annotations

import json
from typing import Any

from testd_daemon.workflows.document import Workflow, decode
from testd_daemon.workflows.graph import Graph

__all__ = ["document", "graph", "workflow"]


def document(follows: dict[str, list[Any] | None], entry: str | None = None, **keys: Any) -> dict[str, Any]:
    """Return a document: action → its InvokeNext (None: it has none). The first action is the entry."""
    actions = {
        name: {"FaaSServer": "GH", "FunctionName": name.replace("-", "_"), "Type": "Python"}
        | ({} if following is None else {"InvokeNext": following})
        for name, following in follows.items()
    }
    whole = {
        "WorkflowName": "Testing",
        "FunctionInvoke": entry or next(iter(follows)),
        "ActionList": actions,
        "ComputeServers": {"GH": {"FaaSType": "GitHubActions", "UserName": "me", "ActionRepoName": "actions"}},
        "DataStores": {"S3": {"Bucket": "testing", "Endpoint": "http://127.0.0.1:9000"}},
        "DefaultDataStore": "S3",
        "LoggingDataStore": "S3",
        "FaaSrLog": "FaaSrLog",
        **keys,
    }
    return {key: value for key, value in whole.items() if value is not ...}


def workflow(follows: dict[str, list[Any] | None], entry: str | None = None, **keys: Any) -> Workflow:
    """Return the workflow that has such a document; `...` in place of a key's value leaves the key out."""
    return decode(json.dumps(document(follows, entry, **keys), indent=2).encode(), "workflow.json")


def graph(follows: dict[str, list[Any] | None]) -> Graph:
    """Return the graph of such a workflow."""
    return workflow(follows).graph
