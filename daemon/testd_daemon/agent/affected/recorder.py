"""From what a run told to what the book holds of its tests. Runs in the agent, in a thread, after the run.

A test gets a record only where it is certain what was loaded: a file that has changed since shortly before the run
began leaves the tests that used it without one, and they count as affected. Only of a module that was loaded before any
test it may still be known what it was then.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from testd_daemon.agent.affected.book import Book, Entry, Part
from testd_daemon.agent.affected.closure import Closure, is_library, is_standard, library_folder
from testd_daemon.agent.affected.fingerprint import ALL, BYTES, DOC, FRAME, MODULE, digest
from testd_daemon.agent.affected.state import LISTING, Loaded, View
from testd_daemon.agent.collection import Collection
from testd_protocol.messages import Code, FileEntry, Use, Used

__all__ = ["Facts", "Moment", "Told", "environment_parts", "record"]

#: Verdicts that say nothing of what the test would have used.
_CUT_OFF: Final = ("crashed", "timed out", "cancelled")


class Told(NamedTuple):
    """A page of what a worker's tests used, with the collection whose indexes it has."""

    collection: Collection
    page: Used


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a run on one target."""

    target: str
    began_ns: int  # wall clock, before anything was loaded for it or found to be fresh
    at: float  # wall clock
    tests: dict[str, str]  # those that have an outcome → verdict
    told: list[Told]
    collection: Collection
    files: list[str]  # what was loaded or looked for before collection
    folders: list[str]  # what was listed by user code before collection
    loaded: Loaded  # as what a module was loaded before any test
    environment: dict[str, str]  # what user code may depend on beside files
    silent: bool = False  # the target does not tell what tests use: whole modules count
    elsewhere: bool = False  # files outside of the workspace are not those of this machine


def environment_parts(target: str, environment: dict[str, str]) -> list[Part]:
    """Return the parts that a target's environment is made of. They are no files: their paths begin with no slash."""
    return [Part(f"{target}:{name}", "", digest(value.encode("utf-8", "surrogateescape")))
            for name, value in environment.items()]  # fmt: skip


class Moment(NamedTuple):
    """What was there when a run was over."""

    view: View  # of a module that has changed meanwhile, what was loaded
    generation: int  # to which its begin belongs
    later: set[str]  # what has changed since its begin
    entries: Mapping[str, FileEntry]  # the workspace's own files


def record(book: Book, facts: Facts, moment: Moment) -> set[str]:
    """Give each test of a run its record, or take the one that it had; return the tests that have none now."""
    return _Recorder(book, facts, moment).record()


class _UnsureError(Exception):
    """Something may not have been what it is now."""


class _Process:
    """What one process that ran tests has told of code, by its numbers."""

    __slots__ = ("codes", "parts")

    def __init__(self) -> None:
        self.codes: dict[int, Code] = {}
        self.parts: dict[int, tuple[str, int]] = {}  # file and part: of what has been asked for, and is no module


class _Recorder:
    def __init__(self, book: Book, facts: Facts, moment: Moment) -> None:
        self._book = book
        self._view = moment.view
        self._facts = facts
        self._generation = moment.generation
        self._later = moment.later
        self._root = moment.view.root + "/"
        self._written = {path for told in facts.told for path in told.page.written}
        collections = {told.collection.number: told.collection for told in facts.told}
        collections[facts.collection.number] = facts.collection
        self._collections = collections
        self._closures: dict[int, Closure] = {}
        self._commons: dict[int, frozenset[int]] = {}
        self._bases: dict[tuple[int, str], int | None] = {}
        self._sure: dict[str, bool] = {}
        self._closures_of: dict[tuple[int, str], frozenset[str]] = {}
        self._reshaped = {os.path.dirname(path) + "/" for path in moment.later - self._written}
        self._shared = self._shared_codes()

    def record(self) -> set[str]:
        """Do it."""
        shelf = self._book.shelf(self._facts.target)
        shelf.written |= self._written
        root = self._facts.collection.root
        if shelf.root != root:  # the same names mean other tests
            shelf.tests.clear()
            shelf.root = root
        uses = self._uses()
        without: set[str] = set()
        for test, verdict in self._facts.tests.items():
            entry = None
            if verdict not in _CUT_OFF and test in uses:
                entry = self._entry(test, *uses[test])
            if entry is None:
                without.add(test)
                shelf.tests.pop(test, None)
            else:
                shelf.tests[test] = entry
        return without

    def _uses(self) -> dict[str, tuple[Collection, Use, _Process | None]]:
        """Return what each test used, and in which process: None where functions are not recorded."""
        found: dict[str, tuple[Collection, Use, _Process | None]] = {}
        if self._facts.silent:
            nothing = Use(0, [], [], [], False)
            return dict.fromkeys(self._facts.tests, (self._facts.collection, nothing, None))
        processes: dict[tuple[int, int], _Process] = {}
        for collection, page in self._facts.told:
            process = processes.setdefault((collection.number, page.worker), _Process())
            process.codes.update((code.number, code) for code in page.codes)
            for use in page.uses:
                if 0 <= use.test < len(collection.ids):
                    found[collection.ids[use.test]] = collection, use, process if page.functions else None
        return found

    def _shared_codes(self) -> dict[str, set[str]]:
        """Return the parts whose effect outlives a test: keys by file."""
        shared: dict[str, set[str]] = {}
        pages = [told.page for told in self._facts.told]
        pages += [found.shared_code for found in self._collections.values() if found.shared_code is not None]
        known: dict[tuple[int, int], dict[int, Code]] = {}
        for page in pages:
            process = known.setdefault((page.collection, page.worker), {})
            process.update((code.number, code) for code in page.codes)
            for number in page.shared:
                code = process.get(number)
                if code is not None and code.name != MODULE:  # that is a part of all who import it, shared or not
                    shared.setdefault(code.path, set()).add(self._key(code))
        return shared

    # ── one test ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _entry(self, test: str, collection: Collection, use: Use, process: _Process | None) -> Entry | None:
        path = collection.path_of(test)
        base = self._base(collection, path, functions=process is not None)
        if base is None:
            return None
        try:
            own = self._own(collection, path, use, process)
        except _UnsureError:
            return None
        return Entry(base, self._book.set_of(own), self._generation, use.everything, self._facts.at)

    def _own(self, collection: Collection, path: str, use: Use, process: _Process | None) -> set[int]:
        """Return what a test used itself. Raises _UnsureError."""
        found = self._ran(path, use, process) if process is not None else set()
        ran = {file for file, _ in found}
        parts = {part for _, part in found}
        closure = self._closure(collection)
        for file in ran - self._closure_of(collection, path):  # what is loaded by names that were computed
            parts.update(self._part(found, self._module_key(found)) for found in closure.of([file]))
        if not self._view.former.isdisjoint(use.files):
            raise _UnsureError  # what it read is not what was loaded before
        parts.update(self._part(file, BYTES) for file in use.files)
        parts.update(self._part(folder.rstrip("/") + "/", LISTING) for folder in use.folders)
        return parts

    def _ran(self, path: str, use: Use, process: _Process) -> set[tuple[str, int]]:
        """Return the files and parts of the code that a test of the file `path` ran. Raises _UnsureError."""
        known = process.parts
        ran = set(map(known.get, use.codes))
        found = {pair for pair in ran if pair is not None}
        if None in ran:
            for number in use.codes:
                if number not in known:
                    found.update(self._ran_first(path, number, process))
        return found

    def _ran_first(self, path: str, number: int, process: _Process) -> list[tuple[str, int]]:
        """Return file and part of code that no test before has run, or that is not the same part to all of them."""
        code = process.codes.get(number)
        if code is None:
            raise _UnsureError
        if not code.path.startswith(self._root):
            return []
        key = self._key(code)
        if key == MODULE:
            return [(code.path, self._part(code.path, FRAME if code.path == path else key))]
        found = process.parts[number] = code.path, self._part(code.path, key)
        return [found]

    def _key(self, code: Code) -> str:
        source = self._view.source_of(code.path, places=True)
        return source.part_of(code.name, code.line) if source is not None else ALL

    # ── what the tests of a file share ───────────────────────────────────────────────────────────────────────────────

    def _base(self, collection: Collection, path: str, *, functions: bool) -> int | None:
        key = collection.number, path
        if key not in self._bases:
            try:
                self._bases[key] = self._book.set_of(self._base_parts(collection, path, functions=functions))
            except _UnsureError:
                self._bases[key] = None
        return self._bases[key]

    def _base_parts(self, collection: Collection, path: str, *, functions: bool) -> set[int]:
        parts = set(self._common(collection))
        files = self._closure_of(collection, path)
        for file in files:
            if not file.startswith(self._root) and self._facts.elsewhere:
                continue
            key = self._module_key(file)
            if functions and key == MODULE:
                parts.add(self._part(file, FRAME if file == path else MODULE))
                parts.update(self._part(file, shared) for shared in self._shared.get(file, ()) if shared != MODULE)
            else:
                parts.add(self._part(file, ALL if key == MODULE else key))
        python, loaded = path.endswith(".py"), self._loaded(collection, path)
        parts.add(self._part(path, BYTES if not python else FRAME if functions else ALL))
        if not python or _has_doctests(collection, path) or self._closure(collection).reads_docs(loaded):
            parts.update(self._part(file, DOC) for file in files if self._module_key(file) == MODULE)
        return parts

    def _closure_of(self, collection: Collection, path: str) -> frozenset[str]:
        key = collection.number, path
        found = self._closures_of.get(key)
        if found is None:
            found = self._closures_of[key] = self._closure(collection).of(self._loaded(collection, path))
        return found

    def _loaded(self, collection: Collection, path: str) -> list[str]:
        """Return the modules that are loaded for the tests of a file by themselves."""
        closure = self._closure(collection)
        return [path, *closure.above(path), *closure.plugins(self._facts.files)]

    def _closure(self, collection: Collection) -> Closure:
        found = self._closures.get(collection.number)
        if found is None:
            tests = {collection.path_of(test) for test in dict.fromkeys(t.partition("::")[0] for t in collection.ids)}
            found = self._closures[collection.number] = Closure(collection.modules, self._view, tests)
        return found

    def _common(self, collection: Collection) -> frozenset[int]:
        """Return what every test of a collection depends on. Raises _UnsureError."""
        found = self._commons.get(collection.number)
        if found is None:
            parts = {
                self._part(path, key)
                for path in self._read_before(collection)
                for key in ((ALL, DOC) if self._module_key(path) == MODULE else (BYTES,))
            }
            folders = {path for path in (*self._facts.folders, *collection.record.folders()) if self._ours(path)}
            if not self._facts.elsewhere:
                folders |= {found for found in map(library_folder, collection.modules.files()) if found}
            parts.update(self._part(path.rstrip("/") + "/", LISTING) for path in folders)
            parts.update(map(self._book.part, environment_parts(self._facts.target, self._facts.environment)))
            found = self._commons[collection.number] = frozenset(parts)
        return found

    def _read_before(self, collection: Collection) -> set[str]:
        """Return the files that were read, or looked for, before any test ran, and that are no modules of tests."""
        paths = {*self._facts.files, *collection.record.files()} - collection.modules.files() - collection.broken
        return {path for path in paths if not is_standard(path) and (self._ours(path) or not self._facts.elsewhere)}

    def _ours(self, path: str) -> bool:
        return path.startswith(self._root)

    # ── parts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _module_key(self, path: str) -> str:
        ours = path.startswith(self._root) and path.endswith(".py") and not is_library(path)
        return MODULE if ours else BYTES

    def _part(self, path: str, key: str) -> int:
        """Return the number of a part as it is now. Raises _UnsureError where it may have been something else."""
        sure = self._sure.get(path)
        if sure is None:
            found = self._view.digest_of(path, BYTES)
            sure = self._sure[path] = (
                path in self._written
                or (path.endswith("/") and path not in self._reshaped)
                or (bool(found) and self._view.unchanged_since(path, self._facts.began_ns))
                or not (found or path in self._later)
            )
        if not sure:
            raise _UnsureError(path)
        return self._book.part(Part(path, key, self._view.digest_of(path, key)))


def _has_doctests(collection: Collection, path: str) -> bool:
    """Tell whether docstrings are among the tests of a file: their names have dots."""
    names = (collection.ids[n].partition("::")[2].partition("[")[0] for n in collection.index.of_file(path))
    return any("." in name for name in names)
