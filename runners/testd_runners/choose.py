"""The one place that chooses a launcher.

Imported by the agent. Standard library only.
"""

from typing import Dict

from testd_runners.docker import DockerLauncher
from testd_runners.launcher import Launcher
from testd_runners.node import NodeLauncher
from testd_runners.ssh import SshLauncher
from testd_runners.subprocess import SubprocessLauncher

__all__ = ["KINDS", "choose"]

#: Every kind of launcher, by name.
KINDS: Dict[str, Launcher] = {
    launcher.kind: launcher for launcher in (SubprocessLauncher(), NodeLauncher(), DockerLauncher(), SshLauncher())
}


def choose(kind: str) -> Launcher:
    """Return the launcher of a kind. Raises ValueError, naming the kinds there are."""
    try:
        return KINDS[kind]
    except KeyError:
        raise ValueError(f"no launcher of kind {kind!r}; there are: {', '.join(sorted(KINDS))}") from None
