"""Which commands a stem has prepared, when it prepares them, and which it leaves alone.

Runs in a stem at *started*. After a command has ended, the next one of its kind is prepared while nothing else happens:
first by a scout, which finds out whether its start does anything to the outside, then by a process that is kept.
"""

import socket
import time
from typing import Any, Callable, Dict, List, Optional, Set, Tuple

from testd.framing import FrameBuffer
from testd.msgpack import packb
from testd.runner.channel import drain, high, send_with_descriptors
from testd.runner.children import kill_group
from testd.runner.placeholders import Kind, Placeholders, kinds_of

__all__ = ["Prepared", "Rehearsals", "Wish"]

#: Processes that are kept: each holds the project's modules, as its tests load them.
MOST = 4
#: Seconds after a command's end in which its client reads, and nothing else should be at work.
_PAUSE = 0.05
#: Seconds after which a preparation is given up: it waits for something.
_LONGEST = 60.0
#: After how many runs of a command, at most, it is asked again whether its start can be repeated.
_MOST_SKIPPED = 64


class Wish:
    """A command that may be prepared: its order, and what the descriptors of its caller were."""

    def __init__(self, order: "Dict[str, Any]", kinds: "List[Kind]") -> None:
        """Keep both; the key tells equal ones."""
        self.order = order
        self.kinds = kinds
        self.key = packb([order["program"], order["arguments"], order["caller"]]) + repr(kinds).encode()


class Prepared:
    """A process that prepares a command, or has, or has been asked for."""

    def __init__(self, wish: Wish, scout: bool) -> None:
        """Make its channel and its descriptors; the process is yet to be forked."""
        self.wish = wish
        self.scout = scout
        self.pid = 0
        self.waits = False
        self.began = time.monotonic()
        self.placeholders = Placeholders(wish.kinds)
        near, self.far = socket.socketpair()
        self._sock = socket.socket(fileno=high(near.detach()))
        self._buffer = FrameBuffer()
        self.asked: Optional[Tuple[Dict[str, Any], List[int]]] = None  # the order, and the caller's descriptors

    @property
    def fd(self) -> int:
        """Return the descriptor of the channel."""
        return self._sock.fileno()

    def forked(self, pid: int) -> None:
        """Let go of what the process has."""
        self.pid = pid
        self.far.close()
        self.placeholders.close_far()

    def ask(self, order: "Dict[str, Any]", descriptors: "List[int]") -> bool:
        """Ask the process to be this command; its answer comes over the channel. Returns whether it could be asked."""
        recorded = self.placeholders.recorded()
        go = {"type": "Go", "recorded": recorded, "verbose": order["verbose"], "descriptors": 3}
        try:
            send_with_descriptors(self._sock, go, descriptors[1:])
        except OSError:
            return False
        self.asked = order, descriptors
        return True

    def receive(self) -> "Optional[List[Dict[str, Any]]]":
        """Return what the process says, None where it is gone."""
        return drain(self._sock, self._buffer)

    def close(self) -> None:
        """Let go of the process: one that waits ends."""
        self._sock.close()
        self.placeholders.close()


class Rehearsals:
    """What is prepared, by key, the oldest first."""

    def __init__(self) -> None:
        """Begin with nothing. `resumed` and `refused` are called with a command that was asked for."""
        self._prepared: Dict[bytes, Prepared] = {}
        self._asked: List[Prepared] = []
        self._unreaped: List[Prepared] = []
        self._harmless: Set[bytes] = set()  # commands whose start does nothing to the outside
        self._skipped: Dict[bytes, Tuple[int, int]] = {}  # how many runs are still left alone, and of how many
        self._reasons: Dict[bytes, str] = {}
        self._next: Optional[Wish] = None
        self._due = 0.0
        self.resumed: Callable[[Prepared], None] = lambda prepared: None
        self.refused: Callable[[Prepared], None] = lambda prepared: None

    # ── what is asked for ────────────────────────────────────────────────────────────────────────────────────────────

    def ask(self, wish: Wish, order: "Dict[str, Any]", descriptors: "List[int]") -> bool:
        """Ask the process that is prepared for this, if there is one; `resumed` or `refused` is called then."""
        prepared = self._prepared.get(wish.key)
        if prepared is None or not prepared.waits:
            return False
        del self._prepared[wish.key]
        if not prepared.ask(order, descriptors):
            self._end(prepared)
            return False
        self._asked.append(prepared)
        return True

    def how(self, wish: "Optional[Wish]") -> str:
        """Say how warm a process is that is forked here."""
        reason = self._reasons.get(wish.key, "") if wish is not None else ""
        return "pytest was loaded" + (f"; its start is not made in advance: {reason}" if reason else "")

    def wish(self, order: "Dict[str, Any]", stdio: "List[int]") -> "Optional[Wish]":
        """Return what there is to prepare for the next command like this one, None where that cannot be."""
        kinds = kinds_of(stdio, order["caller"]["closed"])
        return Wish(order, kinds) if kinds else None

    # ── what is prepared ─────────────────────────────────────────────────────────────────────────────────────────────

    def want(self, wish: "Optional[Wish]") -> None:
        """Take note that a command has ended: it may come again."""
        if wish is None or wish.key in self._prepared:
            return
        left, of = self._skipped.get(wish.key, (0, 0))
        if left:
            self._skipped[wish.key] = left - 1, of
            return
        self._next = wish
        self._due = time.monotonic() + _PAUSE

    def patience(self) -> "Optional[float]":
        """Return after how many seconds `due` should be asked, None where nothing is planned."""
        now = time.monotonic()
        waits = [found.began + _LONGEST - now for found in self._prepared.values() if not found.waits]
        if self._next is not None and not waits:
            waits = [self._due - now]
        return max(0.0, min(waits)) if waits else None

    def due(self) -> "Optional[Prepared]":
        """Return what is to be forked now, None where nothing is; end what takes too long."""
        now = time.monotonic()
        for found in list(self._prepared.values()):
            if not found.waits and now > found.began + _LONGEST:
                self._give_up(found, "it waits for something")
        wish = self._next
        if wish is None or now < self._due or any(not found.waits for found in self._prepared.values()):
            return None
        self._next = None
        while len(self._prepared) >= MOST:
            self._end(self._prepared.pop(next(iter(self._prepared))))
        prepared = self._prepared[wish.key] = Prepared(wish, scout=wish.key not in self._harmless)
        self._unreaped.append(prepared)
        return prepared

    # ── what the processes say ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def sources(self) -> "Dict[int, Callable[[], None]]":
        """Return what may have something to read, and what reads it."""
        found: Dict[int, Callable[[], None]] = {}
        for prepared in [*self._prepared.values(), *self._asked]:
            found[prepared.fd] = lambda prepared=prepared: self._hear(prepared)  # type: ignore[misc]
            for near in prepared.placeholders.sources:
                found[near] = lambda prepared=prepared, near=near: self._read(prepared, near)  # type: ignore[misc]
        return found

    def _read(self, prepared: Prepared, near: int) -> None:
        if near in prepared.placeholders.sources and not prepared.placeholders.read(near):
            self._give_up(prepared, "it writes too much before its first test")

    def _hear(self, prepared: Prepared) -> None:
        messages = prepared.receive()
        if messages is None:
            self._lost(prepared)
            return
        for message in messages:
            if message["type"] == "Rehearsed":
                self._rehearsed(prepared, message["reason"])
            elif prepared in self._asked:
                self._answered(prepared, resumed=message["type"] == "Resumed")

    def _rehearsed(self, prepared: Prepared, reason: str) -> None:
        key = prepared.wish.key
        if reason:
            self._give_up(prepared, reason)
        elif prepared.scout:
            self._end(self._prepared.pop(key))
            self._harmless.add(key)
            self._next, self._due = prepared.wish, 0.0
        else:
            prepared.waits = True
            self._reasons.pop(key, None)
            self._skipped.pop(key, None)

    def _answered(self, prepared: Prepared, *, resumed: bool) -> None:
        self._asked.remove(prepared)
        if resumed:
            self._unreaped.remove(prepared)
            self.resumed(prepared)
        else:  # a file has changed: what it does now is to be found out
            self._harmless.discard(prepared.wish.key)
            self.refused(prepared)
        prepared.close()

    def _lost(self, prepared: Prepared) -> None:
        """A process ended without a word: its command has no first test, or it was killed."""
        if prepared in self._asked:
            self._answered(prepared, resumed=False)
        elif self._prepared.get(prepared.wish.key) is prepared:
            self._end(self._prepared.pop(prepared.wish.key))

    def _give_up(self, prepared: Prepared, reason: str) -> None:
        key = prepared.wish.key
        self._prepared.pop(key, None)
        self._harmless.discard(key)
        of = min(_MOST_SKIPPED, 2 * self._skipped.get(key, (0, 0))[1] or 1)
        self._skipped[key] = of, of
        self._reasons[key] = reason
        self._end(prepared)

    @staticmethod
    def _end(prepared: Prepared) -> None:
        prepared.close()
        kill_group(prepared.pid)

    @property
    def pids(self) -> "List[int]":
        """Return the processes that have not ended, and belong to no caller."""
        return [prepared.pid for prepared in self._unreaped]

    def reaped(self, pid: int) -> bool:
        """Take note that a process is gone. Returns whether it was one of these."""
        found = [prepared for prepared in self._unreaped if prepared.pid == pid]
        for prepared in found:
            self._unreaped.remove(prepared)
            prepared.pid = 0
        return bool(found)

    def leave(self) -> None:
        """Close everything, in a forked process: it is its parent's."""
        for prepared in [*self._prepared.values(), *self._asked]:
            prepared.close()
