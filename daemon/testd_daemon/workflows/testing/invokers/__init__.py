"""Who starts workflows: `LocalInvoker` here, `GitHubInvoker` in the cloud, or one of the user's own.

A name is imported when it is first used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from testd_daemon.workflows.testing.exceptions import InitializationError

if TYPE_CHECKING:
    from testd_daemon.workflows.testing.invokers.invoker import Invoker

__all__ = ["VARIABLE", "choose"]

#: Names the invoker where none is given.
VARIABLE = "TESTD_WORKFLOW_INVOKER"


def choose(name: str = "") -> Invoker:
    """Return the invoker of a name; without one, of TESTD_WORKFLOW_INVOKER, else the local one."""
    wanted = name or os.environ.get(VARIABLE, "") or "local"
    if wanted == "local":
        from testd_daemon.workflows.testing.invokers.local import LocalInvoker

        return LocalInvoker()
    if wanted == "github":
        from testd_daemon.workflows.testing.invokers.github import GitHubInvoker

        return GitHubInvoker()
    origin = "invoker" if name else VARIABLE
    raise InitializationError(f"{origin}: there is no invoker {wanted!r}", hint="There are local and github.")
