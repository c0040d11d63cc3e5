"""The commands of a runner: each is handed to a stem, which forks its process and speaks with its client.

Runs in the supervisor, which knows the processes only to kill them. Standard library only.
"""

import os
from typing import Any, Dict

from testd.msgpack import unpackb
from testd.runner.channel import send_with_descriptors
from testd.runner.children import Child, StemChild, kill_group
from testd.runner.stems import Stems
from testd.runner.stream import AgentStream

__all__ = ["Commands"]


class Commands:
    """What runs by number, and where."""

    def __init__(self, agent: AgentStream, stems: Stems) -> None:
        """Have none yet."""
        self._agent = agent
        self._stems = stems
        self._stem_of: Dict[int, Child] = {}
        self._processes: Dict[int, Child] = {}  # → the stem that forked it

    def start(self, message: "Dict[str, Any]") -> None:
        """Hand a command to the stem whose process it is to be."""
        descriptors = self._agent.take(message["descriptors"])
        stem = self._stems.ensure_started()
        number = message["command"]
        self._stem_of[number] = stem
        try:
            send_with_descriptors(stem.sock_or_raise(), message, descriptors)
        except OSError:  # the stem is gone, and its client hears that the line has closed
            self._ended(number)
        finally:
            for fd in descriptors:
                os.close(fd)

    def hear(self, stem: Child, payload: bytes) -> None:
        """Take what a stem tells of its commands' processes."""
        message = unpackb(payload)
        if message["type"] == "CommandForked":
            self._processes[message["pid"]] = stem
        else:
            self._processes.pop(message["pid"], None)
            self._ended(message["command"])

    def stem_ended(self, stem: StemChild) -> None:
        """Kill what a stem that is gone had forked: nobody speaks with its clients any more."""
        for pid in [pid for pid, found in self._processes.items() if found is stem]:
            del self._processes[pid]
            kill_group(pid)
        for number in [number for number, found in self._stem_of.items() if found is stem]:
            self._ended(number)

    def _ended(self, number: int) -> None:
        if self._stem_of.pop(number, None) is not None:
            self._agent.tell({"type": "CommandEnded", "command": number})

    def kill(self) -> None:
        """Kill all of them. They are reaped by their stem, or by whoever adopts them."""
        for pid in self._processes:
            kill_group(pid)
