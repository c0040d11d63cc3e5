"""Starts a workflow on GitHub Actions, by the REST interface, as the backend itself starts its next action.

What runs is the file in the repository: one that differs from the file here is an error and not a surprise. Runs in the
user's process.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from testd_daemon.workflows.testing.exceptions import InitializationError, InvocationError
from testd_daemon.workflows.testing.invocation import Invocation
from testd_daemon.workflows.testing.invokers.github_api import GitHubApi
from testd_daemon.workflows.testing.invokers.invoker import Invoker

__all__ = ["GitHubInvoker"]

_PLACE = ("GITHUB_REPOSITORY", "GITHUB_REF_NAME")
_API = "https://api.github.com"
_KEYS = {"AccessKey": "AccessKey", "SecretKey": "SecretKey"}
#: Kind of compute server → key of the document → end of the variable's name; the server's name is in front of it.
_SECRETS = {
    "GitHubActions": {"Token": "PAT"},
    "Lambda": _KEYS,
    "OpenWhisk": {"APIkey": "APIkey"},
    "GoogleCloud": {"SecretKey": "SecretKey"},
    "SLURM": {"Token": "Token"},
    "Kubernetes": {"Token": "Token"},
}


class GitHubInvoker(Invoker):
    """Dispatches the entry action. Needs GITHUB_REPOSITORY and GITHUB_REF_NAME, where the workflow's file is pushed to,
    the token of its compute server, and the keys of its data stores.
    """  # fmt: skip

    def __init__(self, *, environment: Mapping[str, str] | None = None, api_url: str = "") -> None:
        """Take the variables (the process's own) and the address of the interface (GITHUB_API_URL, else GitHub's)."""
        self._environment = os.environ if environment is None else environment
        self._url = api_url or self._environment.get("GITHUB_API_URL") or _API

    def missing(self, invocation: Invocation) -> list[str]:
        """Return the names of environment variables that are needed and not set."""
        file = invocation.workflow.file
        needed = [f"{self._server(invocation)}_PAT", *_PLACE]
        for name in dict.fromkeys([file.default_data_store, file.logging_data_store or file.default_data_store]):
            store = file.data_stores[name]
            if str(store.anonymous).lower() not in ("true", "1", "yes"):
                needed += [] if store.access_key else [f"{name}_AccessKey"]
                needed += [] if store.secret_key else [f"{name}_SecretKey"]
        return [name for name in needed if not self._environment.get(name)]

    def check(self, invocation: Invocation) -> None:
        """Raise InitializationError where a variable is missing, or the entry action is not on GitHub Actions."""
        name = self._server(invocation)
        server = invocation.workflow.file.compute_servers.get(name)
        if server is None or server.faas_type != "GitHubActions":
            raise InitializationError(
                f"the workflow begins on {name}, which is no compute server of GitHubActions",
                hint="Give `invoker=` one of your own for it.",
            )
        super().check(invocation)

    def invoke(self, invocation: Invocation) -> None:
        """Dispatch the entry action. Raises InvocationError where GitHub refuses, or its file is another one."""
        self.check(invocation)
        api = GitHubApi(self._url, self._environment[f"{self._server(invocation)}_PAT"])
        repository, ref = (self._environment[name] for name in _PLACE)
        path = _in_repository(invocation.path)
        self._compare(invocation, api.contents(repository, path, ref), f"{path} of {repository} at {ref}")
        server = invocation.workflow.file.compute_servers[self._server(invocation)]
        entry = invocation.workflow.graph.entry
        api.dispatch(
            f"{server.user_name}/{server.action_repo_name}",
            f"{invocation.workflow.name}-{entry}.yml",
            server.branch or ref,
            {
                "OVERWRITTEN": json.dumps(self.overwritten(invocation)),
                "PAYLOAD_URL": f"{repository}/{ref}/{path}",
            },
        )

    def overwritten(self, invocation: Invocation) -> dict[str, Any]:
        """Return the keys of the document that have another value in this invocation.

        As with the backend, secrets are among them only where the compute server has no store of its own for them.
        """
        found: dict[str, Any] = {"FunctionInvoke": invocation.workflow.graph.entry, **invocation.overrides}
        server = invocation.workflow.file.compute_servers[self._server(invocation)]
        if not server.use_secret_store:
            found["ComputeServers"] = self._with_tokens(invocation.data["ComputeServers"])
            found["DataStores"] = self._with_keys(invocation.data["DataStores"])
        return found

    def _server(self, invocation: Invocation) -> str:
        file = invocation.workflow.file
        return file.action_list[file.function_invoke].faas_server

    def _compare(self, invocation: Invocation, there: bytes, where: str) -> None:
        try:
            data = json.loads(there)
        except ValueError as error:
            raise InvocationError(f"{where} is no JSON: {error}", hint="Push a workflow's file.") from error
        here = dict(invocation.data)
        if data != here:
            keys = [key for key in {**here, **data} if here.get(key) != data.get(key)]
            raise InvocationError(
                f"{where} differs from {invocation.path} in {', '.join(keys)}: what would run is not what is here",
                hint="Push it first.",
            )

    def _with_tokens(self, servers: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: {**server, **self._found(name, _SECRETS.get(server.get("FaaSType", ""), {}))}
            for name, server in servers.items()
        }

    def _with_keys(self, stores: Mapping[str, Any]) -> dict[str, Any]:
        return {name: {**self._found(name, _KEYS), **store} for name, store in stores.items()}

    def _found(self, name: str, keys: Mapping[str, str]) -> dict[str, str]:
        values = {key: self._environment.get(f"{name}_{variable}", "") for key, variable in keys.items()}
        return {key: value for key, value in values.items() if value}


def _in_repository(path: Path) -> str:
    """Return a file's path in the repository that it is in, or relative to the working directory."""
    for folder in path.parents:
        if (folder / ".git").exists():
            return path.relative_to(folder).as_posix()
    here = Path.cwd()
    return (path.relative_to(here) if path.is_relative_to(here) else Path(path.name)).as_posix()
