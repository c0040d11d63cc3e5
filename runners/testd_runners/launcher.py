"""The shape of a launcher: a pure description of how a runner of one kind is started and reached.

Imported by the agent, which performs what is described here, and by the conformance suite. Standard library only and
no input or output: a launcher can be tested by looking at what it says.
"""

from typing import List, Mapping, NamedTuple, Optional, Tuple

__all__ = ["CHANNEL", "Command", "Explanation", "LaunchSettings", "Launcher", "with_channel"]

#: Stands in a command line for the number of the descriptor that carries the protocol.
CHANNEL = "{channel}"


class LaunchSettings(NamedTuple):
    """What a launcher needs to know about the runner that is to start."""

    runtime: str  # the interpreter, as the target names it
    bundle: str  # the runner's code: a folder on this machine
    root: str  # the workspace on this machine
    environment: Mapping[str, str]  # of the process that is started on this machine; user code's comes with `Configure`
    options: Mapping[str, str] = {}  # what the kind needs beyond that: an image, a host
    launch_id: str = ""  # unique on this machine: names what has to be cleaned up
    archive: Tuple[str, bytes] = ("", b"")  # the runner's code as a zip, its name and bytes: for what shares no disk


class Command(NamedTuple):
    """How to start one runner.

    `channel` is "socketpair" (the descriptor is inherited; its number replaces `CHANNEL` in `argv`) or "stdio" (frames
    on the process's own stdin and stdout, diagnostics on its stderr). `preamble` is written to the channel in front of
    the first frame: what a bootstrap on the other side reads. `cleanup` are commands that remove what would outlive the
    process (a container), to be tried after it is gone until one succeeds.
    """

    argv: Tuple[str, ...]
    env: Mapping[str, str]
    cwd: str
    channel: str = "socketpair"
    preamble: bytes = b""
    cleanup: Tuple[Tuple[str, ...], ...] = ()


class Explanation(NamedTuple):
    """Why a runner could not be started, in the words of who it was for."""

    message: str  # what was tried, and what came of it
    hint: str  # what would be right
    passing: bool = False  # it may be otherwise in a moment


class Launcher:
    """A kind of runner. Subclasses are sibling files, chosen in `choose.py`."""

    kind = ""
    shares_disk = True  # False: the workspace's files and the runner's code travel over the channel

    def command(self, settings: LaunchSettings) -> Command:
        """Describe how to start a runner with these settings."""
        raise NotImplementedError(self.kind)

    def silence(self, settings: LaunchSettings) -> float:
        """Return after how many seconds without a word either side takes the other for lost; 0: its end tells."""
        return 0.0

    def explain(self, settings: LaunchSettings, status: Optional[int], stderr: str) -> Optional[Explanation]:
        """Say why a process that was started with these settings ended at once, None where that is not known."""
        return None


def with_channel(command: Command, descriptor: int) -> List[str]:
    """Return the command line of `command` with the number of its protocol descriptor filled in."""
    return [str(descriptor) if part == CHANNEL else part for part in command.argv]
