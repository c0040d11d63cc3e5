"""Small helpers with the public names. Pure."""

from __future__ import annotations

from testd_daemon.workflows.graph import action_of
from testd_daemon.workflows.layout import store_path

__all__ = ["extract_function_name", "get_s3_path"]


def extract_function_name(function_name: str) -> str:
    """Return the name of a function without its rank: `sync(2)` is one of `sync`."""
    return action_of(function_name)


def get_s3_path(path: str) -> str:
    """Return a path with the slashes that keys have."""
    return store_path(path)
