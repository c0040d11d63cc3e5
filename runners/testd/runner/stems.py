"""The stems of a runner: which checkpoints there are, how one is forked from another, and what follows when one ends.

Runs in the supervisor. Standard library only.
"""

import contextlib
import os
import signal
import sys
from typing import Any, Callable, Dict, List, Optional, Sequence, Set

from testd.framing import frame
from testd.msgpack import packb, unpackb
from testd.runner.channel import send_with_descriptors
from testd.runner.children import Child, StemChild, kill_group, make_child, message_type, start_process
from testd.runner.intake import Intake
from testd.runner.kernel_memory import OutOfMemory
from testd.runner.preloading import Preloading
from testd.runner.slots import Slots
from testd.runner.stream import AgentStream
from testd.runner.suites import checkpoints

__all__ = ["Stems"]

#: Those of all kinds, from the first; collected ones lie above them.
_CHECKPOINTS = ("started", "plugins", "configured")


class Stems:
    """The stems by name: `started`, `plugins`, `ahead N`, `configured`, `collected N`."""

    def __init__(self, agent: AgentStream, intake: Intake, slots: Slots) -> None:
        """Have none yet. `orphaned` is called with a stem that ended and how: its workers-to-be are lost."""
        self._agent = agent
        self._intake = intake
        self._slots = slots
        self._stems: Dict[str, StemChild] = {}
        self._waiting: Dict[int, Child] = {}  # by the id of the request that forks them
        self._next_id = 0
        self._preloading = Preloading()
        self.busy: Callable[[], bool] = lambda: False  # whether anything runs
        self.settings: Dict[str, Any] = {}
        self.orphaned: Callable[[StemChild, str], None] = lambda stem, how: None
        self.from_commands: Callable[[Child, bytes], None] = lambda stem, payload: None
        self.memory = OutOfMemory()
        self.dependencies: Optional[Callable[[Dict[str, Any]], Dict[str, Any]]] = None  # rewrites these messages

    @property
    def pids(self) -> "Set[int]":
        """Return the processes that there are."""
        return {stem.pid for stem in self._stems.values()}

    def collected(self, number: int) -> "Optional[StemChild]":
        """Return the stem that keeps a collection."""
        return self._stems.get(f"collected {number}")

    # ── checkpoints ──────────────────────────────────────────────────────────────────────────────────────────────────

    def ensure_started(self) -> StemChild:
        """Return the stem at *started*, made anew where there is none that can be used."""
        stem = self._usable("started")
        if stem is None:
            stem = StemChild("started")
            try:
                start_process(stem, "--stem", self.settings, [self._slots.fd])
            except OSError as error:
                text = f"{sys.executable} cannot be started again: {error}"
                self._agent.fault("environment", text, exit_code=4)
                return stem
            self._intake.adopt(stem)
            self._stems["started"] = stem
            stem.send(dict(self.settings, type="Begin", descriptors=0))
        return stem

    def _ensure(self, checkpoints: "Sequence[str]") -> StemChild:
        """Return the stem at the last of these checkpoints, made from the one before where there is none."""
        *below, name = checkpoints
        if not below:
            return self.ensure_started()
        stem = self._usable(name)
        if stem is None:
            parent = (name == "configured" and self._preloading.ready) or self._ensure(below)
            stem = StemChild(name)
            self.fork(parent, stem, {"type": "Advance", "to": name})
            self._stems[name] = stem
        return stem

    def _usable(self, name: str) -> "Optional[StemChild]":
        """Return the stem at a checkpoint; not one that told a fault: it is about to end, and is ended here."""
        stem = self._stems.get(name)
        if stem is None or stem.fault is None:
            return stem
        kill_group(stem.pid)
        self.end(stem, "it failed")
        return None

    def collect(self, message: "Dict[str, Any]") -> None:
        """Make the stem that keeps a new collection."""
        self.hurry()
        number = message["collection"]
        below = self._ensure(checkpoints(self.settings["kind"]))
        stem = StemChild(f"collected {number}", number)
        stem.order = message
        self.fork(below, stem, {"type": "Advance", "to": "collected", "collection": number, "paths": message["paths"]})
        self._stems[stem.name] = stem

    def prepare(self, message: "Dict[str, Any]") -> None:
        """Make the stems below collections that are not there."""
        self.hurry()
        self._ensure(checkpoints(self.settings["kind"]))

    def select(self, message: "Dict[str, Any]") -> None:
        """Have a collection's stem select tests by an expression."""
        stem = self.collected(message["collection"])
        if stem is None:
            self._agent.fault("internal", f"there is no collection {message['collection']}", id=message["id"])
        else:
            stem.send(dict(message, descriptors=0))

    def amend(self, message: "Dict[str, Any]") -> None:
        """Have the stem of a collection, or *configured* (0), take the new text of files in place."""
        self.hurry()
        number = message["collection"]
        stem = self.collected(number) if number else self._stems.get("configured")
        if stem is None or stem.fault is not None:
            self._cannot_amend(message["id"], "there is no such process")
            return
        stem.amending.append(message["id"])
        stem.send(dict(message, descriptors=0))

    def _cannot_amend(self, number: int, why: str) -> None:
        self._agent.tell({"type": "Amended", "id": number, "files": [], "at": 0, "reason": why})

    def _amends_nothing(self, stem: Child, why: str) -> None:
        """Answer for a stem that will not do it any more."""
        while stem.amending:
            self._cannot_amend(stem.amending.pop(), why)

    def drop(self, message: "Dict[str, Any]") -> None:
        """Kill the stems that are out of date."""
        names = [f"collected {message['collection']}"]
        stale = [name for name in _CHECKPOINTS if message.get(name)]
        if stale:
            kept = _CHECKPOINTS[: _CHECKPOINTS.index(stale[0])]
            names = [name for name in reversed(self._stems) if name not in kept]
            if stale[0] == "configured":
                names = [name for name in names if self._stems[name] is not self._preloading.ready]
            else:
                self._preloading.forget()
        for name in names:
            stem = self._stems.pop(name, None)
            if stem is not None:
                self._kill(stem)
        self._clear()

    def _kill(self, stem: StemChild) -> None:
        stem.dropped = True
        self._amends_nothing(stem, "its process has been ended")
        kill_group(stem.pid)  # one that is being forked has no pid yet: it is killed when that is told

    # ── modules loaded ahead ─────────────────────────────────────────────────────────────────────────────────────────

    def _load_ahead(self) -> None:
        """Have a copy of the stem at *plugins* load what the project will ask for, when nothing else is to do."""
        plugins = self._stems.get("plugins")
        if plugins is None or self.busy() or not self._preloading.due:
            return
        stem = StemChild(f"ahead {self._next_id}")
        self.fork(plugins, stem, self._preloading.begin(stem))
        self._stems[stem.name] = stem

    def hurry(self) -> None:
        """Leave off loading ahead: somebody waits for the processor."""
        stem = self._preloading.loading
        if stem is not None:
            self._preloading.forget(stem)
            self._stems.pop(stem.name, None)
            self._kill(stem)

    def _spoiled(self, stem: StemChild, module: str) -> None:
        """Try without a module that cannot be loaded ahead; what a stem was to do with it goes the natural way."""
        self._preloading.spoiled(module)
        if stem is self._preloading.loading:
            self.hurry()
            self._load_ahead()
            return
        self._preloading.forget()
        above = [stem] if stem.collection else self._above(stem)
        if self._stems.get("configured") is stem:
            del self._stems["configured"]
        self._set_aside()
        for found in (stem, *above):
            self._stems.pop(found.name, None)
            self._kill(found)
        for found in above:
            self.collect(found.order)

    def _go_over(self) -> None:
        """Have what is collected from now on forked from a stem that has modules loaded ahead."""
        if "configured" in self._stems:
            self._set_aside()
            self._ensure(checkpoints(self.settings["kind"]))

    def _set_aside(self) -> None:
        """Have nothing more forked from *configured*, which stays for as long as there is anything above it."""
        configured = self._stems.pop("configured", None)
        if configured is not None:
            configured.name = f"configured until {self._next_id}"
            self._stems[configured.name] = configured
            self._clear()

    def _clear(self) -> None:
        """End the stems that have been set aside and are of no use any more."""
        for name, stem in list(self._stems.items()):
            if name.startswith("configured until") and not self._above(stem):
                del self._stems[name]
                self._kill(stem)

    def _above(self, stem: StemChild) -> "List[StemChild]":
        return [found for found in self._stems.values() if found.parent is stem]

    # ── forks ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def fork(self, stem: StemChild, child: Child, order: "Dict[str, Any]", extra: "Optional[List[int]]" = None) -> None:
        """Have a stem fork a child: make its channel and pipes, and send the far ends along."""
        self._next_id += 1
        far = make_child(child)
        self._intake.adopt(child)
        self._waiting[self._next_id] = child
        child.parent = stem
        descriptors = [*far, *(extra or [])]
        with contextlib.suppress(OSError):  # a stem that is gone is told by its own end
            send_with_descriptors(
                stem.sock_or_raise(), dict(order, id=self._next_id, descriptors=len(descriptors)), descriptors
            )
        for fd in far:
            os.close(fd)

    def hear(self, stem: Child, payload: bytes, reaped: "Callable[[int, int, int], None]") -> None:
        """Take a stem's message; what is meant for the agent is passed on as it is."""
        kind = message_type(payload)
        if kind == "Forked":
            message = unpackb(payload)
            self._forked(self._waiting.pop(message["id"]), message["pid"])
        elif kind == "Became":
            message = unpackb(payload)
            stem.became = self._waiting.pop(message["id"])
            stem.ended = "it became the next one"
            self._amends_nothing(stem, stem.ended)
            self._stems = {name: found for name, found in self._stems.items() if found is not stem}
            self._forked(stem.became, message["pid"])
        elif kind == "Reaped":
            message = unpackb(payload)
            reaped(message["pid"], message["status"], message["memory"])
        elif kind == "Fault":
            self._failed(stem, unpackb(payload))
        elif kind in ("CommandForked", "CommandEnded"):
            self.from_commands(stem, payload)
        elif kind == "Ahead":
            message = unpackb(payload)
            self._preloading.want(message["modules"], message["others"])
            self._load_ahead()
        elif kind == "Loaded":
            self._preloading.loaded()
            self._go_over()
        elif kind == "Spoiled" and isinstance(stem, StemChild):
            self._spoiled(stem, unpackb(payload)["module"])
        else:
            if kind == "Collected":
                stem.answered = True
            elif kind == "Amended":
                if not stem.amending:
                    return  # it has been answered for
                del stem.amending[0]
            elif kind == "Dependencies" and self.dependencies is not None:
                payload = packb(self.dependencies(unpackb(payload)))
            self._agent.forward(frame(payload))

    def _forked(self, child: Child, pid: int) -> None:
        child.pid = pid
        if isinstance(child, StemChild) and child.dropped:
            kill_group(pid)

    def _failed(self, stem: Child, fault: "Dict[str, Any]") -> None:
        """Pass on why a stem failed, once for each collection that waits for it."""
        stem.fault = fault
        if fault["id"]:
            if fault["id"] == getattr(stem, "collection", 0):
                stem.answered = True
            self._agent.tell(fault)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def reaped(self, pid: int, status: int) -> None:
        """Take note of a process that ended, if it was a stem."""
        for stem in list(self._stems.values()):
            if stem.pid == pid:
                self._intake.drain(stem)
                self.end(stem, ": ".join(filter(None, (_how(status), self.memory.explain(status)))))

    def end(self, stem: StemChild, how: str) -> None:
        """A stem is gone: so are those above it, and each collection that waits hears why."""
        for name, found in list(self._stems.items()):
            if found is stem:
                del self._stems[name]
        self._preloading.forget(stem)
        self._intake.forget(stem)
        stem.ended = how
        self._amends_nothing(stem, f"its process has ended: {how}")
        if stem.fault is None and stem.parent is not None and not stem.pid:  # never forked, because that one failed
            stem.fault = stem.parent.fault
        for above in self._above(stem):
            if above.fault is None:
                above.fault = stem.fault
            self._intake.drain(above)
            self.end(above, how)
        self.orphaned(stem, how)
        if not stem.collection or stem.dropped:
            return
        if stem.answered and stem.fault is None:
            text = f"the process that kept the collected tests ended: {how}"
            self._agent.fault("lost", text, detail=stem.tail(), id=stem.collection)
        elif not stem.answered:
            fault = (
                stem.fault
                or (stem.parent and stem.parent.fault)
                or {
                    "code": "collect",
                    "message": f"the process that collects the tests ended: {how}",
                    "detail": stem.tail(),
                    "exit_code": 3,
                }
            )
            self._agent.fault(**dict({k: v for k, v in fault.items() if k != "type"}, id=stem.collection))

    def kill(self) -> None:
        """Kill all of them. They are reaped by the caller."""
        for stem in self._stems.values():
            kill_group(stem.pid)


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            return f"killed by {signal.Signals(number).name}"
        except ValueError:
            return f"killed by signal {number}"
    return f"exit status {os.WEXITSTATUS(status)}"
