"""What a runner does beyond its work where it does not share the agent's disk.

Runs in the supervisor, imported only there where it is needed. Standard library only.
"""

from typing import Any, Callable, Dict

from testd.runner.bootstrap import cache_folder
from testd.runner.mirror import Mirror
from testd.runner.outside import Outside
from testd.runner.stems import Stems
from testd.runner.stream import AgentStream
from testd.runner.sync import Sync

__all__ = ["Remote"]


class Remote:
    """The mirror of the workspace, and what was loaded from elsewhere."""

    def __init__(self, message: "Dict[str, Any]", agent: AgentStream, stems: Stems, busy: "Callable[[], bool]") -> None:
        """Open the mirror that a `ConfigureRunner` names, and complete the message with where it is.

        Raises:
            MirrorError: there is no place for it.
        """
        mirror = Mirror(cache_folder(message["settings"].get("cache", "")), message["mirror"])
        message["root"] = mirror.root
        message["cwd"] = mirror.path(message["cwd"]) if message["cwd"] else mirror.root
        self._stems = stems
        self._outside = Outside(mirror.root)
        self._sync = Sync(agent, mirror, self._outside, busy)
        stems.dependencies = self._outside.keep

    def handlers(self) -> "Dict[str, Callable[[Dict[str, Any]], None]]":
        """Return who takes which message from now on."""
        return {"SyncFiles": self._sync.files, "WriteFiles": self._sync.write, "DropCollection": self._drop}

    def go_on(self) -> None:
        """Do what had to wait for workers."""
        self._sync.go_on()

    def _drop(self, message: "Dict[str, Any]") -> None:
        self._outside.drop(message)
        self._stems.drop(message)
