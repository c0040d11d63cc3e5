"""What each test has used: gathered in a worker while its tests run, and told in pages when there is time.

Runs in workers, and in stems for what runs while modules are loaded. Standard library only. `executed.py` knows which
functions run and `opened.py` which files are opened; here is for which test it counts. What was used in the setup of a
shared fixture counts for each test that uses the fixture, whichever triggered it, and so does what its teardown uses:
so a test is told only when the fixtures that it shares have been torn down.
"""

import os
import sys
from array import array
from types import CodeType, FrameType
from typing import Any, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from testd.runner.executed import Executed
from testd.runner.lasting import Span
from testd.runner.memos import Memos
from testd.runner.opened import Opened
from testd.runner.workspace import Workspace

__all__ = ["Recorder"]

#: Tests in one message.
_PAGE = 1000
_getframe = sys._getframe  # taken before user code can replace it

#: A test that is through: number, codes, files, folders, whether it may use everything, keys of what it shares.
_Test = Tuple[int, "array[int]", Set[str], Set[str], bool, Tuple[int, ...]]


class _Shared(Span):
    """What the setup and teardown of one shared fixture used, and the keys of those that it uses itself.

    What the tests of a file have in common is such a one as well.
    """

    __slots__ = ("needs", "open")

    def __init__(self, *, opened: bool = True) -> None:
        super().__init__()
        self.needs: Set[int] = set()
        self.open = opened


class Recorder:
    """The record of one process, and of those that are forked from it."""

    def __init__(self, root: str, *, on: bool) -> None:
        """Record nothing yet, or if it is not `on` ever; `root` is the workspace."""
        self.on = on
        self.functions = False
        self._workspace = Workspace(root)
        self._memos = Memos()
        self._executed = Executed(self._workspace, self._memos)
        self._numbers: Dict[int, int] = {}  # of code, by its identity
        self._told = 0  # so many codes, in the order of their numbers
        self._told_shared: Set[int] = set()
        self._lasting = self._executed.lasting
        self._before = Span()  # the first test
        self._span = self._before
        self._outer: List[Span] = []
        self._shared: Dict[int, _Shared] = {}
        self._keys: Set[int] = set()  # of what the test that runs shares
        self._file = ""  # of the test that runs
        self._common = 0  # the key of what counts for all tests of this file that follow
        self._tests: List[_Test] = []
        self.products: Set[str] = set()  # Python files elsewhere that tests have written: nothing depends on them
        self._written: Set[str] = set()
        self._told_written: Set[str] = set()

    # ── stems ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Record which functions run, where the interpreter can tell."""
        self.functions = self.on and self._executed.start()

    def stop(self) -> None:
        """Record nothing any more, and leave nothing behind."""
        self.on = self.functions = False
        self._executed.stop()

    def settle(self) -> None:
        """Take all that ran so far as shared: modules have been loaded and tests collected."""
        if self.functions:
            self._executed.settle()

    @property
    def ran(self) -> "Optional[Dict[int, CodeType]]":
        """The code of all modules and functions of the workspace that have run; None where that is not certain."""
        return self._executed.codes if self.functions and self._executed.sound else None

    def forget(self, paths: "Iterable[str]") -> None:
        """Look at these files again when they are next asked for, and refer to none of their code but as `ran`."""
        self._executed.rest()
        for path in paths:
            self._memos.forget(path)

    def amend(self, pairs: "Dict[int, CodeType]") -> None:
        """Take new code for what had it, by the identity of the old. All is told once more: it is on other lines."""
        self._executed.amend(pairs)
        self._numbers.clear()
        self._told = 0
        self._told_shared.clear()

    def prepare(self) -> "Iterator[None]":
        """Do, step by step, what every worker would have to do as its tests run."""
        if self.functions:
            yield from self._executed.prepare()

    def fork(self) -> None:
        """Be another process, which counts code anew: what the stem shares with it the stem tells."""
        self._numbers.clear()
        self._told = 0
        self._told_shared = set(self._lasting.all.codes)

    # ── workers: when ────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self) -> None:
        """Record files too, in this process and for the rest of its life."""
        if self.on:
            Opened(self._workspace, self).start()

    def begin(self, file: str) -> None:
        """Begin a test of this file. What was used before the first one is shared by all."""
        if file != self._file:
            self._file = file
            self._executed.unhush()
            self._common = -len(self._shared) - 1  # no address
            self._shared[self._common] = _Shared(opened=False)
        if self._span is self._before:
            self._before.codes = self._executed.take()
            self._lasting.all.add(self._before)
            self._span = Span()
        self._keys.add(self._common)

    def end(self, test: int) -> None:
        """The test that began last is through; to the agent it is `test`. What follows counts for the next one."""
        self._take()
        common = self._executed.settle_test()
        if common:
            self._shared[self._common].codes.update(map(self._numbers.__getitem__, common))
        span, self._span = self._span, Span()
        keys, self._keys = tuple(self._keys), set()
        lasting = self._lasting.all
        everything = span.everything or lasting.everything or not self._executed.sound
        codes = array("I", span.codes)
        self._tests.append((test, codes, span.files | lasting.files, span.folders | lasting.folders, everything, keys))

    def enter(self, key: "Optional[int]" = None) -> None:
        """What is used from now on counts for a shared fixture; or, without a key, for those that end meanwhile."""
        self._take()
        self._outer.append(self._span)
        self._span = Span() if key is None else self._shared.setdefault(key, _Shared())

    def leave(self, needs: "Iterable[int]" = ()) -> None:
        """Let what is used count as before `enter`. `needs` are the keys of what the fixture itself uses."""
        self._take()
        span, self._span = self._span, self._outer.pop()
        if isinstance(span, _Shared):
            span.needs.update(needs)
            span.needs.add(self._common)
            span.open = True
        else:
            self._span.add(span)

    def shares(self, keys: "Iterable[int]") -> None:
        """The test that runs uses these shared fixtures. Those that were never set up do not count."""
        self._keys.update(key for key in keys if key in self._shared)

    def ended(self, key: int) -> None:
        """A shared fixture has been torn down."""
        shared = self._shared.get(key)
        if shared is not None and shared is not self._span:
            self._take()
            shared.add(self._span)
            shared.needs.add(self._common)
            shared.open = False

    # ── workers: what ────────────────────────────────────────────────────────────────────────────────────────────────

    def read(self, path: str) -> None:
        """A file was opened to be read. What tests have written themselves is a product."""
        if path not in self._written:
            for span in self._counting():
                span.files.add(path)

    def wrote(self, path: str) -> None:
        """A file was opened to be written."""
        self._written.add(path)

    def made(self, path: str) -> None:
        """A Python file outside of the workspace was opened to be written."""
        self.products.add(path)

    def listed(self, path: str) -> None:
        """A folder was listed."""
        for span in self._counting():
            span.folders.add(path)

    def anything(self) -> None:
        """A process was started: nobody knows what it uses."""
        for span in self._counting():
            span.everything = True

    def _counting(self) -> "List[Span]":
        if self.functions:
            beside = self._executed.beside()
            return [self._span] if beside is None else [self._span, beside]
        return [self._span, self._lasting.all] if self._is_lasting() else [self._span]

    def _is_lasting(self) -> bool:
        """Tell whether a module is being loaded, or something runs that keeps its result."""
        frame: Optional[FrameType] = _getframe(1)
        while frame is not None:
            code = frame.f_code
            if self._workspace.owns(code.co_filename) and (code.co_name == "<module>" or self._memos.keeps(code)):
                return True
            frame = frame.f_back
        return False

    def _take(self) -> None:
        """Let what has run since the last time count for the span that was current."""
        if self.functions:
            taken = self._executed.take()
            numbers = self._numbers
            for identity in taken.difference(numbers):
                numbers[identity] = len(numbers)
            self._span.codes.update(map(numbers.__getitem__, taken))

    # ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def waiting(self) -> int:
        """How many tests have not been told."""
        return len(self._tests)

    def page(self, collection: int, worker: int, *, last: bool) -> "Optional[Dict[str, Any]]":
        """Return a `Used` message, or nothing if there is nothing to tell. The `last` ones tell everything."""
        tests = [test for test in self._tests if last or not any(self._shared[key].open for key in test[5])][:_PAGE]
        told = {id(test) for test in tests}
        self._tests = [test for test in self._tests if id(test) not in told]
        known: Dict[Tuple[int, ...], Span] = {}
        uses = [self._use(test, known) for test in tests]
        shared = self._new_shared()
        written = sorted(self._written - self._told_written)
        self._told_written.update(written)
        codes = self._new_codes()
        if not (uses or shared or written or codes):
            return None
        return {
            "type": "Used",
            "collection": collection,
            "worker": worker,
            "codes": codes,
            "uses": uses,
            "shared": shared,
            "written": [self._workspace.named(path) for path in written],
            "functions": self.functions,
        }

    def _use(self, test: _Test, known: "Dict[Tuple[int, ...], Span]") -> "List[Any]":
        number, codes, files, folders, everything, keys = test
        shared = known.get(keys)
        if shared is None:
            shared = known[keys] = self._together(keys)
        named = self._workspace.named
        return [
            number,
            sorted(shared.codes.union(codes)),
            sorted(map(named, files | shared.files)),
            sorted(map(named, folders | shared.folders)),
            everything or shared.everything,
        ]

    def _together(self, keys: "Iterable[int]") -> Span:
        """Return what these shared fixtures used, and those that they need."""
        found = Span()
        seen: Set[int] = set()
        left = list(keys)
        while left:
            key = left.pop()
            shared = self._shared.get(key)
            if key not in seen and shared is not None:
                seen.add(key)
                found.add(shared)
                left.extend(shared.needs)
        return found

    def _new_shared(self) -> "List[int]":
        new = self._lasting.all.codes - self._told_shared
        self._told_shared |= new
        for identity in new.difference(self._numbers):
            self._numbers[identity] = len(self._numbers)
        return sorted(self._numbers[identity] for identity in new)

    def _new_codes(self) -> "List[List[Any]]":
        new = list(self._numbers)[self._told :]
        self._told += len(new)
        return [
            self._described(number, self._executed.codes[known])
            for number, known in enumerate(new, self._told - len(new))
        ]

    def _described(self, number: int, code: CodeType) -> "List[Any]":
        name = getattr(code, "co_qualname", code.co_name)
        return [number, self._workspace.named(os.path.normpath(code.co_filename)), name, code.co_firstlineno]
