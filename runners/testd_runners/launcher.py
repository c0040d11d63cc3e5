"""The shape of a launcher: a pure description of how a runner of one kind is started and reached.

Imported by the agent, which performs what is described here, and by the conformance suite. Standard library only and
no input or output: a launcher can be tested by looking at what it says.
"""

from typing import List, Mapping, NamedTuple, Tuple

__all__ = ["CHANNEL", "Command", "LaunchSettings", "Launcher", "with_channel"]

#: Stands in a command line for the number of the descriptor that carries the protocol.
CHANNEL = "{channel}"


class LaunchSettings(NamedTuple):
    """What a launcher needs to know about the runner that is to start."""

    python: str  # the interpreter, as the target names it
    bundle: str  # where the runner's code is, as the target sees it: a folder or a zip
    root: str  # the workspace, as the target sees it
    environment: Mapping[str, str]  # the whole environment of user code
    launch_id: str = ""  # names what has to be cleaned up


class Command(NamedTuple):
    """How to start one runner.

    `channel` is "socketpair" (the descriptor is inherited; its number replaces `CHANNEL` in `argv`) or "stdio" (frames
    on the process's own stdin and stdout, diagnostics on its stderr). `cleanup` are commands that remove what would
    outlive the process (a container), to be run after it is gone, each on its own, their failure ignored.
    """

    argv: Tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    channel: str = "socketpair"
    cleanup: Tuple[Tuple[str, ...], ...] = ()


class Launcher:
    """A kind of runner. Subclasses are sibling files, chosen in `choose.py`."""

    kind = ""

    def command(self, settings: LaunchSettings) -> Command:
        """Describe how to start a runner with these settings."""
        raise NotImplementedError(self.kind)


def with_channel(command: Command, descriptor: int) -> List[str]:
    """Return the command line of `command` with the number of its protocol descriptor filled in."""
    return [str(descriptor) if part == CHANNEL else part for part in command.argv]
