"""Which functions of the workspace's own code ran, by `sys.monitoring`. Runs in stems and workers, from Python 3.12 on.

Three of the interpreter's tool numbers are taken. The *finder* hears the first start of each code object, and no other:
that is how code is found, however it was made. The *counter* hears every start and resumption of own functions and of
nothing else, because its events are local to them. A start costs a fifth of a microsecond, so a function that starts
often is left to the *sentry*: that hears its first start, has to be posted again for the next test, which costs as much
as fifteen starts, and is there for the tests of one file.

What starts is written into one list, which is looked at when it changes for whom it counts. What runs while a module is
loaded, or inside of a function that keeps what it made (`memos.py`), is `lasting` (`lasting.py`): later tests meet its
effect without running it.
"""

import os
import sys
import threading
from collections import Counter
from types import CodeType, FrameType
from typing import Any, Callable, Collection, Dict, Iterator, List, Optional, Sequence, Set

from testd.runner.lasting import Lasting, Mark, Span, definitions, is_text
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
        self._finder = self._counter = self._sentry = -1
        self._counting = False
        self._log: List[CodeType] = []
        self._taken: Set[int] = set()  # looked at, and not given to anybody yet
        self._frequent: Set[int] = set()  # what starts often: it is left to the sentry
        self._often: List[CodeType] = []  # not heard any more
        self._unheard: List[int] = []  # the identities of these
        self._lastingly: List[CodeType] = []  # not heard any more either, and among what lasts
        self._hushed: Set[int] = set()  # not heard: lasts, and is taken to run in each test of this file
        self._ran: Set[int] = set()  # in the test that runs, apart from these
        self._before: Set[int] = set()  # what lasts, and ran in the test before
        self._calls: Counter[int] = Counter()  # of what keeps something, since `take`
        self._keeping: Set[int] = set()  # code that keeps what it made
        self._marks: List[Mark] = []  # where in the list calls of such code begin and end
        self._lock = threading.RLock()

    def start(self) -> bool:
        """Find what runs while modules are loaded. Returns whether there is a way to."""
        monitoring: Any = getattr(sys, "monitoring", None)
        free = [tool for tool in _TOOLS if monitoring.get_tool(tool) is None] if available() else []
        if len(free) < len(_TOOLS):
            return False
        self._monitoring = monitoring
        self._finder, self._counter, self._sentry = free
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
            (self._sentry, {events.PY_START: self._started_first, events.PY_RESUME: self._started_first}),
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
            for tool in self._finder, self._counter, self._sentry:
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
            self._drain()
            taken, self._taken = self._taken, set()
            self._ran |= taken
            self._calls.clear()
            self._hear()
        return taken | self._hushed if self._hushed else taken

    def settle_test(self) -> None:
        """A test has ended, and `take` was called: what it leaves behind lasts.

        What lasts counts for each test that loads its file. Where it ran in two tests, one behind the other, it need
        not be heard in those that follow in the same file.
        """
        with self._lock:
            self.lasting.settle()
            lasting = (self._ran & self.lasting.all.codes) - self._keeping
            often = lasting & self._before
            for known in often:
                self._ignore(self.codes[known])
            self._hushed |= often
            self._before, self._ran = lasting, set()

    def unhush(self) -> None:
        """Hear everything, and each start of it: the tests of another file follow."""
        with self._lock:
            for known in self._frequent:
                self._monitoring.set_local_events(self._sentry, self.codes[known], 0)
            again = self._hushed | self._frequent
            self._hushed, self._before, self._frequent = set(), set(), set()
            for known in again:
                self._watch(self.codes[known])
            self._often, self._unheard, self._lastingly = [], [], []

    @property
    def beside(self) -> "Optional[Span]":
        """What counts for what is used now, beside the test that runs: what lasts, or may."""
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
        return all(named(tool) == _NAME for tool in (self._finder, self._counter, self._sentry))

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
        """Hear each start of a function from now on, or its next one; of one that keeps what it makes also its ends."""
        events, listen = self._monitoring.events, self._monitoring.set_local_events
        resumable = code.co_flags & _RESUMABLE
        starts = events.PY_START | events.PY_RESUME if resumable else events.PY_START
        if _identity(code) in self._keeping:
            ends = events.PY_RETURN | (events.PY_YIELD | events.PY_RESUME if resumable else 0)
            listen(self._finder, code, ends)
        elif _identity(code) in self._frequent:
            listen(self._sentry, code, 0)  # what was disabled comes back with what is new
            listen(self._sentry, code, starts)
        else:
            listen(self._counter, code, starts)

    def _ignore(self, code: CodeType) -> None:
        self._monitoring.set_local_events(self._counter, code, 0)
        self._monitoring.set_local_events(self._sentry, code, 0)

    def _entered(self, code: CodeType, _offset: int) -> None:
        """What runs from here on lasts. What was heard too often before is heard once more."""
        if self._counting:
            known = _identity(code)
            with self._lock:
                if len(self._log) >= _LONG:
                    self._drain()
                holders = self._holders(code, _getframe(1))
                unheard = self._hear_inside(known, holders is None) if self._often else ()
                self._marks.append((len(self._log), known, True, holders, unheard))
                self._log.append(code)

    def _holders(self, code: CodeType, frame: FrameType) -> "Optional[Sequence[Reference]]":
        """Return references to the objects that keep what a call makes which begins now; None where others do, too."""
        if code.co_name == "<module>":
            return () if is_text(code, frame) else None
        names = self._memos.holders(code)
        return self.lasting.objects(names, code, frame) if names else None

    def _left(self, code: CodeType, _offset: int, _value: Any) -> None:
        is_script = code.co_name == "<module>" and is_text(code, _getframe(1))
        holders = definitions(code, _getframe(1)) if is_script else ()
        with self._lock:
            self._marks.append((len(self._log), _identity(code), False, holders, ()))

    def _started_first(self, code: CodeType, _offset: int) -> Any:
        """A function starts that has been left to the sentry."""
        with self._lock:
            self._log.append(code)
            self._often.append(code)
            self._unheard.append(_identity(code))
        return self._monitoring.DISABLE

    def _thrown(self, code: CodeType, _offset: int, _error: BaseException) -> None:
        """A generator or coroutine goes on with an exception, which is no resumption to the interpreter."""
        known = _identity(code)
        if known in self._keeping:
            self._entered(code, 0)
        elif known in self.codes:
            self._log.append(code)

    def _unwound(self, code: CodeType, _offset: int, _error: BaseException) -> None:
        if _identity(code) in self._keeping:
            self._left(code, 0, None)

    # ── the list of starts ───────────────────────────────────────────────────────────────────────────────────────────

    def _drain(self) -> "List[int]":
        """Empty the list. Returns the identities of what was in it."""
        log = self._log
        # No other thread gets a turn in the middle of this statement, and none of its entries is lost.
        started, log[:] = log[:], ()
        known = list(map(_identity, started))
        self._taken.update(known)
        if self._marks or self.lasting.inside:
            marks, self._marks = self._marks, []
            self.lasting.follow(known, marks)
        return known

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
                if known in lasting:
                    self._lastingly.append(self.codes[known])
                elif not inside or (known in now and not certain):
                    self._often.append(self.codes[known])
                    self._unheard.append(known)
                else:
                    continue
                self._frequent.add(known)
                self._ignore(self.codes[known])

    def _hear_inside(self, known: int, certain: bool) -> "Collection[int]":
        """Hear everything in a call of code that keeps what it makes, but for what is known to last.

        Where it keeps that in objects, which seldom outlive the test, this is too dear for many calls: all that is not
        heard any more is taken to run in them. Returns the identities of that.
        """
        if not certain:
            self._calls[known] += 1
            if self._calls[known] > _MOST_CALLS:
                return tuple(self._unheard)
        for code in self._often:
            if _identity(code) in self.lasting.all.codes:
                self._lastingly.append(code)
            else:
                self._watch(code)
        self._often, self._unheard = [], []
        return ()

    def _hear(self) -> None:
        for code in self._often + self._lastingly:
            self._watch(code)
        self._often, self._unheard, self._lastingly = [], [], []


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
