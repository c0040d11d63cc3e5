"""A connection to the daemon that runs, if one does. Runs in the client."""

from __future__ import annotations

from testd_daemon.client.sync import Client
from testd_daemon.errors import HandlerUnavailable


def running_daemon() -> Client | None:
    """Connect to the daemon; None where none runs. Raises HandlerUnavailable where one runs and cannot be talked to."""
    try:
        return Client.connect(start=False)
    except HandlerUnavailable as error:
        # That nobody listens is an answer; that somebody listens and does not answer, or is of another version, is not.
        if isinstance(error.__context__, (FileNotFoundError, ConnectionRefusedError)):
            return None
        raise


__all__ = ["running_daemon"]
