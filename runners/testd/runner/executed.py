"""Which functions of the workspace's own code ran, by `sys.monitoring`. Runs in stems and workers, from Python 3.12 on.

Two of the interpreter's tool numbers are taken. The *finder* hears the first start of each code object, and no other:
that is how code is found, however it was made. The *counter* hears starts and resumptions of own functions and of
nothing else, because its events are local to them. To hear one costs a fifth of a microsecond, so of a function that
starts often only the first one in a test is heard. To listen to it again costs as much as some starts, of a long one as
many.

What starts is written into one list, which is looked at when it changes for whom it counts. What runs while a module is
loaded, or inside of a function that keeps what it made (`memos.py`), is `lasting` (`lasting.py`): later tests meet its
effect without running it.
"""

import os
import sys
import threading
from collections import Counter
from itertools import chain, islice
from types import CodeType, FrameType
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from testd.runner.lasting import Lasting, Mark, Span, definitions, is_text
from testd.runner.memos import Memos
from testd.runner.reachable import Reference
from testd.runner.workspace import Workspace

__all__ = ["Executed", "available"]

#: The numbers that debuggers, coverage and profilers have not agreed on. Hypothesis takes 3.
_TOOLS = (4, 5, 3)
_NAME = "testd"
#: So many starts are written down before they are looked at. A function is not heard any more in this test of which two
#: are among the last `_RECENT`, and one more for each `_DEAR` bytes that it has: to listen to it again, the interpreter
#: goes through all of its code.
_LONG, _RECENT, _DEAR = 256, 128, 128
#: In so many calls of a function that keeps what it makes in objects everything is heard, in each test.
_MOST_CALLS = 2
#: So many times a function is listened to again for that. One that needs more is heard at each start.
_MOST_AGAIN = 20
_FUNCTION, _RESUMABLE = 0x1, 0x20 | 0x80 | 0x100 | 0x200  # flags of code: optimized; generators and coroutines
#: Tells code objects apart: they compare by their content, and `id` is slow once there is an audit hook.
_identity = object.__hash__
_get_ident, _getframe = threading.get_ident, sys._getframe  # taken before user code can replace them
_disable: Any = getattr(getattr(sys, "monitoring", None), "DISABLE", None)


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
        self._log: List[int] = []  # what has started, by its identity
        self._taken: Set[int] = set()  # looked at, and not given to anybody yet
        self._frequent: Set[int] = set()  # what starts often: one start is enough
        self._again: Counter[int] = Counter()  # how often such code had to be heard once more
        self._unheard: Dict[int, None] = {}  # what has run, and is not heard any more, in this order
        self._lastingly: Set[int] = set()  # the same of what lasts
        self._hushed: Set[int] = set()  # not heard: lasts, and counts for each test of this file
        self._ran: Set[int] = set()  # in the test that runs, apart from these
        self._before: Set[int] = set()  # what lasts, and ran in the test before
        self._calls: Counter[int] = Counter()  # of what keeps something, since `take`
        #: Of such calls that were like it, the objects that keep, and how much of what is unheard was taken to run.
        self._alike: Dict[Tuple[int, ...], Tuple[Sequence[Reference], int]] = {}
        self._idle: Optional[Mark] = None  # of a call that adds nothing if nothing starts in it
        #: Code that keeps what it made, and the names of the variables that are what keeps it; none: others do.
        self._keeping: Dict[int, Tuple[str, ...]] = {}
        self._marks: List[Mark] = []  # where in the list calls of such code begin and end
        self._lock = threading.RLock()
        self._thread = _get_ident()  # in which tests run

    def start(self) -> bool:
        """Find what runs while modules are loaded. Returns whether there is a way to."""
        monitoring: Any = getattr(sys, "monitoring", None)
        free = [tool for tool in _TOOLS if monitoring.get_tool(tool) is None] if available() else []
        if len(free) < 2:
            return False
        self._monitoring = monitoring
        self._finder, self._counter = free[:2]
        for tool, callbacks in self._callbacks(monitoring.events).items():
            monitoring.use_tool_id(tool, _NAME)
            for event, callback in callbacks.items():
                monitoring.register_callback(tool, event, callback)
        monitoring.set_events(self._finder, monitoring.events.PY_START)
        return True

    def _callbacks(self, events: Any) -> "Dict[int, Dict[int, Callable[..., Any]]]":
        """Return what each tool calls at which event."""
        counted = _counted(self._log, self._look, self._frequent, self._started_first)
        return {
            self._finder: {
                events.PY_START: self._found,
                events.PY_THROW: self._thrown,
                events.PY_UNWIND: self._unwound,
                events.PY_RESUME: self._entered,
                events.PY_YIELD: self._left,
                events.PY_RETURN: self._left,
            },
            self._counter: {events.PY_START: counted, events.PY_RESUME: counted},
        }

    def stop(self) -> None:
        """Give the tools back, before the first test."""
        if self._monitoring is not None:
            self._monitoring.set_events(self._finder, 0)
            for tool, callbacks in self._callbacks(self._monitoring.events).items():
                for code in self.codes.values() if self._counting else ():
                    self._monitoring.set_local_events(tool, code, 0)  # else it goes on to ask who hears, at each start
                for event in callbacks:
                    self._monitoring.register_callback(tool, event, None)
                self._monitoring.free_tool_id(tool)
            self._monitoring = None
        self._counting = False

    def settle(self) -> None:
        """Take all that has run as lasting, and count what runs from now on. Comes before the first test."""
        self._memos.load()
        self.lasting.all.codes.update(self.codes)
        self._log.clear()
        self._counting = True
        for code in list(self.codes.values()):
            self._watch(code)
        events = self._monitoring.events
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
                self._keeping[_identity(new)] = self._keeping[old]
            if old in self.lasting.all.codes:
                self.lasting.all.codes.add(_identity(new))
            if self._counting:
                self._watch(new)
        self._taken = {_identity(pairs[known]) if known in pairs else known for known in self._taken}
        for old in pairs:
            self.codes.pop(old, None)
            self._keeping.pop(old, None)
            self._frequent.discard(old)
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
        self._marks = []
        self.lasting.forget()

    def take(self) -> "Set[int]":
        """Return the identities of what ran since the last call, and hear everything again that is not hushed."""
        with self._lock:
            self._thread = _get_ident()
            self._drain()
            taken, self._taken = self._taken, set()
            self._ran |= taken
            self._calls.clear()
            self._hear()
        return taken

    def settle_test(self) -> "Set[int]":
        """A test has ended, and `take` was called: what it leaves behind lasts.

        What lasts counts for each test that loads its file. Where it ran in two tests, one behind the other, it need
        not be heard in those that follow in the same file, and counts for them. Returns the identities of what is such
        from now on, until `unhush`.
        """
        with self._lock:
            self.lasting.settle()
            lasting = (self._ran & self.lasting.all.codes).difference(self._keeping)
            hushed = lasting & self._before
            for known in hushed:
                self._ignore(self.codes[known])
            self._hushed |= hushed
            self._before, self._ran = lasting, set()
            self._alike.clear()
        return hushed

    def unhush(self) -> None:
        """Hear everything, and each start of it: the tests of another file follow."""
        with self._lock:
            self._hear()
            again = self._hushed | self._frequent
            self._frequent.clear()
            for known in again:
                self._watch(self.codes[known])
            self._hushed, self._before = set(), set()
            self._again.clear()

    def beside(self) -> "Optional[Span]":
        """Return what counts for what is used now, beside the test that runs: what lasts, or may."""
        with self._lock:
            if self._marks:
                self._drain()
            return self.lasting.counting

    @property
    def sound(self) -> bool:
        """Whether nobody has taken the tools away."""
        if self._monitoring is None:
            return True
        named = self._monitoring.get_tool
        return bool(named(self._finder) == _NAME and named(self._counter) == _NAME)

    # ── what the interpreter says ────────────────────────────────────────────────────────────────────────────────────

    # Each is called by the frame in which the event is. To ask that for its code would be an event for audit hooks.

    def _found(self, code: CodeType, _offset: int) -> Any:
        """A code object starts that has not been found yet, or one that keeps what it makes."""
        known = _identity(code)
        if known not in self.codes:
            if not self._is_own(code):
                return _disable
            self._meet(known, code)
        if known not in self._keeping:
            self._log.append(known)
            return _disable
        if self._counting:
            self._enter(known, code, _getframe(1))
        return None

    def _meet(self, known: int, code: CodeType) -> None:
        """An own function or module starts for the first time."""
        self.codes[known] = code
        if code.co_name == "<module>":
            self._keeping[known] = ()
        elif self._memos.keeps(code):
            self._keeping[known] = tuple(self._memos.holders(code))
        if self._counting:
            self._watch(code)

    def _is_own(self, code: CodeType) -> bool:
        """Tell functions and modules of the workspace from all else. A class's body runs with what is around it."""
        wanted = code.co_flags & _FUNCTION or code.co_name == "<module>"
        return bool(wanted) and self._workspace.owns(code.co_filename)

    def _watch(self, code: CodeType) -> None:
        """Hear starts of a function; of one that keeps what it makes hear ends: the finder hears it start."""
        events, listen = self._monitoring.events, self._monitoring.set_local_events
        resumable = code.co_flags & _RESUMABLE
        if _identity(code) in self._keeping:
            ends = events.PY_RETURN | (events.PY_YIELD | events.PY_RESUME if resumable else 0)
            listen(self._finder, code, ends)
        else:
            listen(self._counter, code, 0)  # what was disabled comes back with what is new
            listen(self._counter, code, events.PY_START | events.PY_RESUME if resumable else events.PY_START)

    def _ignore(self, code: CodeType) -> None:
        self._monitoring.set_local_events(self._counter, code, 0)

    def _entered(self, code: CodeType, _offset: int) -> None:
        """A call of code that keeps what it makes goes on."""
        if self._counting:
            self._enter(_identity(code), code, _getframe(1))

    def _left(self, code: CodeType, _offset: int, _value: Any) -> None:
        """Such a call ends, or pauses."""
        self._leave(_identity(code), _getframe(1) if code.co_name == "<module>" else None)

    def _started_first(self, known: int) -> Any:
        """A function starts of which one start is enough.

        Another thread than that of the tests may lose its turn before the interpreter does what is returned here, and
        what the tests' thread has begun to listen to meanwhile would be lost.
        """
        with self._lock:
            self._log.append(known)
            if _get_ident() != self._thread:
                return None
            self._unheard[known] = None
        return _disable

    def _thrown(self, code: CodeType, _offset: int, _error: BaseException) -> None:
        """A generator or coroutine goes on with an exception, which is no resumption to the interpreter."""
        known = _identity(code)
        if known not in self._keeping:
            if known in self.codes:
                self._log.append(known)
        elif self._counting:
            self._enter(known, code, _getframe(1))

    def _unwound(self, code: CodeType, _offset: int, _error: BaseException) -> None:
        known = _identity(code)
        if known in self._keeping:
            self._leave(known, _getframe(1) if code.co_name == "<module>" else None)

    # ── calls of code that keeps what it makes ───────────────────────────────────────────────────────────────────────

    def _enter(self, known: int, code: CodeType, frame: FrameType) -> None:
        """What runs from here on lasts. What was heard too often before is heard once more."""
        names = self._keeping.get(known, ())
        holders: Optional[Sequence[Reference]] = None
        with self._lock:
            if names:
                holders = self.lasting.objects(names, frame)
            elif code.co_name == "<module>" and is_text(frame):
                holders = ()
            if len(self._log) >= _LONG:
                self._drain()
            self._begin(known, holders)
            self._log.append(known)

    def _leave(self, known: int, module: "Optional[FrameType]") -> None:
        """A call ends: of a whole file that `module`, of a function None."""
        holders = definitions(module) if module is not None and is_text(module) else ()
        with self._lock:
            marks, place = self._marks, len(self._log)
            idle = marks and marks[-1] is self._idle and marks[-1][:2] == (place - 1, known)
            if idle and _get_ident() == self._thread:  # else it may be another thread's call
                marks.pop()
            else:
                marks.append((place, known, False, holders, ()))

    # ── the list of starts ───────────────────────────────────────────────────────────────────────────────────────────

    def _drain(self) -> "List[int]":
        """Empty the list. Returns what was in it."""
        log = self._log
        # No other thread gets a turn in the middle of this statement, and none of its entries is lost.
        started, log[:] = log[:], ()
        self._taken.update(started)
        if self._marks or self.lasting.inside:
            marks, self._marks = self._marks, []
            self.lasting.follow(started, marks)
        return started

    def _look(self) -> None:
        """Stop hearing what starts often.

        Not what may be called inside of code that keeps something, unless it is known to be.
        """
        with self._lock:
            recent = Counter(self._drain()[-_RECENT:])
            lasting, now = self.lasting.all.codes, self.lasting.now.codes
            inside, certain = self.lasting.inside, self.lasting.certain
            for known, count in recent.items():
                if count < 2 or known in self._keeping or known in self._frequent:
                    continue
                code = self.codes[known]
                if count < 2 + code.__sizeof__() // _DEAR:
                    continue
                if known in lasting:
                    self._lastingly.add(known)
                elif not inside or (known in now and not certain):
                    self._unheard[known] = None
                else:
                    continue
                if self._again[known] < _MOST_AGAIN:
                    self._frequent.add(known)
                self._ignore(code)

    def _begin(self, known: int, holders: "Optional[Sequence[Reference]]") -> None:
        """Mark the begin of a call of code that keeps what it makes, in which everything is heard.

        Where it keeps that in objects, which seldom outlive the test, this is too dear for many calls: all that is not
        heard any more is taken to run in them, and in those by other threads.
        """
        own = _get_ident() == self._thread
        if holders is not None:
            self._calls[known] += 1
        if own and (holders is None or self._calls[known] <= _MOST_CALLS) and self._unheard:
            self._hear_inside()
        count, unheard = -1, self._unheard
        if holders:  # else it is not known yet with what it stays
            alike = (known, *map(_identity, holders))
            _, count = self._alike.get(alike, ((), -1))
            self._alike[alike] = holders, len(unheard)
        new = tuple(islice(unheard, max(count, 0), None)) if len(unheard) > count else ()
        mark = len(self._log), known, True, holders, new
        self._idle = mark if own and count >= 0 and not new else None
        self._marks.append(mark)

    def _hear_inside(self) -> None:
        """Hear everything, but for what is known to last."""
        lasting = self.lasting.all.codes
        for other in self._unheard:
            if other in lasting:
                self._lastingly.add(other)
                continue
            self._again[other] += 1
            if self._again[other] == _MOST_AGAIN:
                self._frequent.discard(other)
            self._watch(self.codes[other])
        self._unheard.clear()
        self._alike.clear()

    def _hear(self) -> None:
        for known in chain(self._unheard, self._lastingly):
            self._watch(self.codes[known])
        self._unheard.clear()
        self._alike.clear()
        self._lastingly.clear()


def _inside(code: CodeType) -> "Iterator[CodeType]":
    """Yield the functions in a piece of code, and those in them."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            if inner.co_flags & _FUNCTION:
                yield inner
            yield from _inside(inner)


def _counted(
    log: "List[int]", look: "Callable[[], None]", frequent: "Set[int]", first: "Callable[[int], Any]"
) -> "Callable[[CodeType, int], Any]":
    """Return what is called at each start of an own function: the one piece of this that must be quick."""
    append, length, most, identity = log.append, len, _LONG, _identity

    def started(code: CodeType, _offset: int) -> Any:
        known = identity(code)
        if known in frequent:
            return first(known)
        append(known)
        if length(log) >= most:
            look()
        return None

    return started
