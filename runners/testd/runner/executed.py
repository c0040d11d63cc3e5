"""Which functions of the workspace's own code ran, by `sys.monitoring`. Runs in stems and workers, from Python 3.12 on.

Two of the interpreter's tool numbers are taken. The *finder* hears the first start of each code object, and no other:
that is how code is found, however it was made. The *counter* hears every start and resumption of own functions and of
nothing else, because its events are local to them. A start costs a tenth of a microsecond, and a function that starts
often is not heard any more until the next test.

What starts is written into one list, which is looked at when it changes for whom it counts. What runs while a module is
loaded, or inside of a function that keeps what it made (`memos.py`), is `lasting` (`lasting.py`): later tests meet its
effect without running it.
"""

import os
import sys
import threading
from collections import Counter
from types import CodeType, FrameType
from typing import Any, Callable, Dict, Iterator, List, Optional, Set

from testd.runner.lasting import Lasting, definitions, is_text, objects
from testd.runner.memos import Memos
from testd.runner.reachable import Reference
from testd.runner.workspace import Workspace

__all__ = ["Executed", "available"]

#: The numbers that debuggers, coverage and profilers have not agreed on.
_TOOLS = (4, 5, 3)
_NAME = "testd"
#: So many starts are written down before they are looked at. A function of which two are among the last `_RECENT` is
#: not heard any more in this test.
_LONG, _RECENT = 256, 64
#: In so many calls of a function that keeps what it makes in objects everything is heard, in each test.
_MOST_CALLS = 2
_FUNCTION, _RESUMABLE = 0x1, 0x20 | 0x80 | 0x100 | 0x200  # flags of code: optimized; generators and coroutines
#: Tells code objects apart: they compare by their content, and `id` is slow once there is an audit hook.
_identity = object.__hash__
_get_ident, _getframe = threading.get_ident, sys._getframe  # taken before user code can replace them


def available() -> bool:
    """Tell whether this interpreter can say which functions run."""
    # The list of starts relies on it that threads take turns.
    return hasattr(sys, "monitoring") and bool(getattr(sys, "_is_gil_enabled", lambda: True)())


class Executed:
    """The record of one process, and of those that are forked from it.

    Attributes:
        codes: every own function that has run, by its identity. They are kept, so that an identity stays what it is.
        lasting: what counts for more than the test in which it ran.
    """

    def __init__(self, workspace: Workspace, memos: Memos) -> None:
        """Hear nothing yet."""
        self.codes: Dict[int, CodeType] = {}
        self.lasting = Lasting()
        self._workspace = workspace
        self._memos = memos
        self._monitoring: Any = None
        self._finder = self._counter = -1
        self._counting = False
        self._log: List[CodeType] = []
        self._taken: Set[int] = set()  # looked at, and not given to anybody yet
        self._often: List[CodeType] = []  # not heard any more
        self._calls: Counter[int] = Counter()  # of what keeps something, since `take`
        self._keeping: Set[int] = set()  # code that keeps what it made
        self._since = 0  # the place in the list from which on somebody was inside of such code
        self._certain_since = 0  # and inside of such that keeps it for certain
        self._lock = threading.RLock()

    def start(self) -> bool:
        """Find what runs while modules are loaded. Returns whether there is a way to."""
        monitoring: Any = getattr(sys, "monitoring", None)
        free = [tool for tool in _TOOLS if monitoring.get_tool(tool) is None] if available() else []
        if len(free) < 2:
            return False
        self._monitoring = monitoring
        self._finder, self._counter = free[:2]
        events = monitoring.events
        counted = _counted(self._log, self._look)
        for tool, callbacks in (
            (self._finder, {events.PY_START: self._found, events.PY_THROW: self._thrown}),
            (self._finder, {events.PY_UNWIND: self._unwound}),
            (
                self._finder,
                {events.PY_RESUME: self._entered, events.PY_YIELD: self._left, events.PY_RETURN: self._left},
            ),
            (self._counter, {events.PY_START: counted, events.PY_RESUME: counted}),
        ):
            if monitoring.get_tool(tool) is None:
                monitoring.use_tool_id(tool, _NAME)
            for event, callback in callbacks.items():
                monitoring.register_callback(tool, event, callback)
        monitoring.set_events(self._finder, events.PY_START)
        return True

    def stop(self) -> None:
        """Give the tools back, before the first test."""
        if self._monitoring is not None:
            self._monitoring.set_events(self._finder, 0)
            for tool in self._finder, self._counter:
                for code in self.codes.values() if self._counting else ():
                    self._monitoring.set_local_events(tool, code, 0)  # else it goes on to ask who hears, at each start
                self._monitoring.free_tool_id(tool)
            self._monitoring = None
        self._counting = False

    def settle(self) -> None:
        """Take all that has run as lasting, and count what runs from now on. Comes before the first test."""
        self._memos.load()
        events = self._monitoring.events
        self.lasting.all.codes.update(self.codes)
        self._log.clear()
        self._counting = True
        for code in list(self.codes.values()):
            self._watch(code)
        self._monitoring.set_events(self._finder, events.PY_START | events.PY_THROW | events.PY_UNWIND)
        os.register_at_fork(after_in_child=self._forked)

    def rest(self) -> None:
        """Look at what was written down, and keep none of it: all that has run is among `codes`."""
        with self._lock:
            if self._counting:
                self._drain()
                self._hear()
            else:
                self._log.clear()

    def amend(self, pairs: "Dict[int, CodeType]") -> None:
        """Take new code for what had it, by the identity of the old: it stands for what that was."""
        for old, new in pairs.items():
            if old not in self.codes:
                continue
            self.codes[_identity(new)] = new
            if old in self._keeping:
                self._keeping.add(_identity(new))
            if old in self.lasting.all.codes:
                self.lasting.all.codes.add(_identity(new))
            if self._counting:
                self._watch(new)
        self._taken = {_identity(pairs[known]) if known in pairs else known for known in self._taken}
        for old in pairs:
            self.codes.pop(old, None)
            self._keeping.discard(old)
            self.lasting.all.codes.discard(old)

    def prepare(self) -> "Iterator[None]":
        """Look at the functions of what has been loaded, step by step: what is done here no worker has to do."""
        for code in [code for code in self.codes.values() if code.co_name == "<module>"]:
            for function in _inside(code):
                self._memos.keeps(function)
                yield
        self._memos.save()

    def _forked(self) -> None:
        """Forget what other threads were doing: there are none here."""
        self._lock = threading.RLock()
        self.lasting.forget()

    def take(self) -> "Set[int]":
        """Return the identities of what ran since the last call, and hear everything again."""
        with self._lock:
            self._drain()
            taken, self._taken = self._taken, set()
            self._calls.clear()
            self._hear()
        return taken

    def settle_test(self) -> None:
        """A test has ended, and `take` was called: what it leaves behind lasts."""
        with self._lock:
            self.lasting.settle()

    @property
    def sound(self) -> bool:
        """Whether nobody has taken the tools away."""
        if self._monitoring is None:
            return True
        named = self._monitoring.get_tool
        return bool(named(self._finder) == _NAME and named(self._counter) == _NAME)

    # ── what the interpreter says ────────────────────────────────────────────────────────────────────────────────────

    def _found(self, code: CodeType, _offset: int) -> Any:
        """A code object starts that has not been found yet, or one that keeps what it makes."""
        known = _identity(code)
        if known in self._keeping:
            return self._entered(code, 0)
        if known not in self.codes and not self._is_own(code):
            return self._monitoring.DISABLE
        if known not in self.codes:
            self.codes[known] = code
            if code.co_name == "<module>" or self._memos.keeps(code):
                self._keeping.add(known)
            if self._counting:
                self._watch(code)
        if known in self._keeping:
            return self._entered(code, 0)
        self._log.append(code)
        return self._monitoring.DISABLE

    def _is_own(self, code: CodeType) -> bool:
        """Tell functions and modules of the workspace from all else. A class's body runs with what is around it."""
        wanted = code.co_flags & _FUNCTION or code.co_name == "<module>"
        return bool(wanted) and self._workspace.owns(code.co_filename)

    def _watch(self, code: CodeType) -> None:
        """Hear each start of a function from now on; of one that keeps what it makes also its ends."""
        events = self._monitoring.events
        resumable = code.co_flags & _RESUMABLE
        if _identity(code) in self._keeping:
            ends = events.PY_RETURN | (events.PY_YIELD | events.PY_RESUME if resumable else 0)
            self._monitoring.set_local_events(self._finder, code, ends)
        else:
            starts = events.PY_START | events.PY_RESUME if resumable else events.PY_START
            self._monitoring.set_local_events(self._counter, code, starts)

    def _entered(self, code: CodeType, _offset: int) -> None:
        """What runs from here on lasts. What was heard too often before is heard once more."""
        if self._counting:
            with self._lock:
                if len(self._log) >= _LONG:
                    self._drain()
                inside, certain = self.lasting.inside, self.lasting.certain
                self.lasting.enter(_get_ident(), self._holders(code, _getframe(1)))
                if not inside:
                    self._since = len(self._log)
                if not certain:
                    self._certain_since = len(self._log)
                self._log.append(code)
                if self._often:
                    self._hear_inside(_identity(code))

    def _holders(self, code: CodeType, frame: FrameType) -> "Optional[List[Reference]]":
        """Return references to the objects that keep what a call makes which begins now; None where others do, too."""
        if code.co_name == "<module>":
            return [] if is_text(code, frame) else None
        names = self._memos.holders(code)
        return objects(names, code, frame) if names else None

    def _left(self, code: CodeType, _offset: int, _value: Any) -> None:
        with self._lock:
            if code.co_name == "<module>" and is_text(code, _getframe(1)):
                self.lasting.hold(definitions(code, _getframe(1)))
            inside, certain = self.lasting.inside, self.lasting.certain
            self.lasting.leave(_get_ident())
            if certain and not self.lasting.certain:
                self.lasting.all.codes.update(map(_identity, self._log[self._certain_since :]))
            if inside and not self.lasting.inside:
                self.lasting.now.codes.update(map(_identity, self._log[self._since :]))
                self.lasting.passed()

    def _thrown(self, code: CodeType, _offset: int, _error: BaseException) -> None:
        """A generator or coroutine goes on with an exception, which is no resumption to the interpreter."""
        known = _identity(code)
        if known in self._keeping:
            self._entered(code, 0)
        elif known in self.codes:
            self._log.append(code)

    def _unwound(self, code: CodeType, _offset: int, _error: BaseException) -> None:
        if self.lasting.inside and _identity(code) in self._keeping:
            self._left(code, 0, None)

    # ── the list of starts ───────────────────────────────────────────────────────────────────────────────────────────

    def _drain(self) -> "List[int]":
        """Empty the list. Returns the identities of what was in it."""
        log = self._log
        # No other thread gets a turn in the middle of this statement, and none of its entries is lost.
        started, log[:] = log[:], ()
        known = list(map(_identity, started))
        self._taken.update(known)
        if self.lasting.inside:
            self.lasting.now.codes.update(known[self._since :])
            self._since = 0
        if self.lasting.certain:
            self.lasting.all.codes.update(known[self._certain_since :])
            self._certain_since = 0
        return known

    def _look(self) -> None:
        """Stop hearing what starts often."""
        with self._lock:
            for known, count in Counter(self._drain()[-_RECENT:]).items():
                if count > 1 and known not in self._keeping:
                    code = self.codes[known]
                    self._monitoring.set_local_events(self._counter, code, 0)
                    self._often.append(code)

    def _hear_inside(self, known: int) -> None:
        """Hear everything in a call of code that keeps what it makes.

        Where it keeps that in objects, which seldom outlive the test, this is too dear for many calls: all that is not
        heard any more is taken to run in them.
        """
        self._calls[known] += 1
        if self.lasting.certain or self._calls[known] <= _MOST_CALLS:
            self._hear()
        else:
            self.lasting.now.codes.update(map(_identity, self._often))

    def _hear(self) -> None:
        while self._often:
            self._watch(self._often.pop())


def _inside(code: CodeType) -> "Iterator[CodeType]":
    """Yield the functions in a piece of code, and those in them."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_flags & _FUNCTION:
                yield inner
            yield from _inside(inner)


def _counted(log: "List[CodeType]", look: "Callable[[], None]") -> "Callable[[CodeType, int], None]":
    """Return what is called at each start of an own function: the one piece of this that must be quick."""
    append, length, most = log.append, len, _LONG

    def started(code: CodeType, _offset: int) -> None:
        append(code)
        if length(log) >= most:
            look()

    return started
