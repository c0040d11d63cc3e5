"""The folder in which a command was given. Runs in the client, on the quick path."""

from __future__ import annotations

import os

from testd_daemon.errors import UsageError


def here() -> str:
    """Return the current folder. Raises UsageError where it is gone."""
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib costs more than a verb
    except FileNotFoundError:
        raise UsageError("the current folder does not exist any more", hint="Change to one that does.") from None


__all__ = ["here"]
