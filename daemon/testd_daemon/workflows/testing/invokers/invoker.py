"""How a workflow is started somewhere: the shape of all invokers. Runs in the user's process.

An invoker of one's own for another platform is a class with `invoke`; the run is then watched by its store.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from testd_daemon.workflows.testing.exceptions import InitializationError
from testd_daemon.workflows.testing.invocation import Invocation
from testd_daemon.workflows.testing.watch import Watch

__all__ = ["Invoker"]


class Invoker(ABC):
    """Starts workflows in one place."""

    def missing(self, invocation: Invocation) -> list[str]:
        """Return the names of environment variables that are needed and not set."""
        return []

    @abstractmethod
    def invoke(self, invocation: Invocation) -> Watch | None:
        """Start the workflow (`invocation.data` is its document), and return at once.

        Returns what watches the run, or None: its store is watched. Raises InvocationError.
        """

    def check(self, invocation: Invocation) -> None:
        """Raise InitializationError where the workflow cannot be started from here."""
        if missing := self.missing(invocation):
            raise InitializationError(f"Missing required environment variables: {', '.join(missing)}")
