"""What stems and workers send and print, on its way through the runner: read when it is ready, and passed on.

Runs in the supervisor. Nothing is read from them while too much waits for the agent: they wait then, nothing grows.
Standard library only.
"""

import contextlib
import selectors
from typing import Callable

from testd.runner.children import Child, OutputStream
from testd.runner.slots import Slots
from testd.runner.stream import AgentStream
from testd.runner.worker_child import WorkerChild

__all__ = ["Intake"]

#: What one read brings where a pipe was well filled, in bytes.
_FLOOD = 32 * 1024


class Intake:
    """The near ends of every child's channel and pipes, in the supervisor's selector."""

    def __init__(self, selector: selectors.BaseSelector, agent: AgentStream, slots: Slots) -> None:
        """Read for `agent`. `from_stem` hears each message of a stem, `closed` each channel that ended."""
        self._selector = selector
        self._agent = agent
        self._slots = slots
        self.from_stem: Callable[[Child, bytes], None] = lambda child, payload: None
        self.closed: Callable[[Child], None] = lambda child: None
        self.flooded = False  # a read filled much of what a pipe holds: somebody waits to write more

    def adopt(self, child: Child) -> None:
        """Read what a child sends and prints."""
        self._selector.register(child.fd, selectors.EVENT_READ, lambda: self._read_channel(child))
        for stream in child.streams:
            if isinstance(child, WorkerChild) and child.stream:
                stream.widen()
            self._selector.register(stream.fd, selectors.EVENT_READ, lambda s=stream: self._read_output(child, s))

    def drain(self, child: Child) -> None:
        """Take what a dead child left in its channel and pipes, however much waits for the agent."""
        while child.open:
            before = child.taken
            self._read_channel(child, dead=True)
            if child.taken == before:
                break
        for stream in child.streams:
            while self._read_output(child, stream, dead=True):
                pass

    def forget(self, child: Child) -> None:
        """Close what is left of a child."""
        for fd in child.descriptors():
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(fd)
        child.close()

    def _read_channel(self, child: Child, *, dead: bool = False) -> None:
        if self._agent.congested and not dead:
            return
        data = child.read()
        if data is None:
            return
        if not data:
            self._selector.unregister(child.fd)
            child.close_channel()
            self.closed(child)
            return
        self.flooded = self.flooded or len(data) >= _FLOOD
        child.buffer.feed(data)
        if isinstance(child, WorkerChild):
            frames = child.buffer.whole()
            if frames:
                self._agent.forward(frames)
        else:
            for payload in child.buffer.frames():
                self.from_stem(child, payload)

    def _read_output(self, child: Child, stream: OutputStream, *, dead: bool = False) -> bool:
        """Take what a child printed. Returns whether there was anything."""
        if self._agent.congested and not dead:
            return False
        data = stream.read()
        if data == b"":
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(stream.fd)
            stream.close()
        if not data:
            return False
        self.flooded = self.flooded or len(data) >= _FLOOD
        if isinstance(child, WorkerChild) and child.stream:
            self._tell_output(child, stream, data)
        return True

    def _tell_output(self, child: WorkerChild, stream: OutputStream, data: bytes) -> None:
        slot = self._slots.read(child.slot)
        for text in child.live_text(stream, data, slot):
            self._agent.tell(
                {
                    "type": "Output",
                    "worker": child.worker,
                    "stream": stream.name,
                    "text": text,
                    "test": slot.test,
                    "target": "",
                }
            )
