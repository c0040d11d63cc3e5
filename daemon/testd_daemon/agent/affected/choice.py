"""Which tests are affected by what is there now, and why. Pure; runs in the agent, in a thread.

What is unknown counts as affected: a test without a record, and any change of a file of which nobody knows what reads
it. What does not count is documentation, and what tests themselves write.
"""

# Paths as text, not objects: as in the record

from __future__ import annotations

import fnmatch
import os
import sys
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Final, Literal, NamedTuple

from testd_daemon.agent.affected.book import Book, Entry, Shelf
from testd_daemon.agent.affected.closure import is_library
from testd_daemon.agent.affected.fingerprint import BYTES, read
from testd_daemon.agent.affected.since import Difference
from testd_daemon.agent.affected.state import MISSING, State

__all__ = ["Changes", "Reason", "affected", "differing", "is_documentation"]

#: Names of files on which no verdict depends unless a test is known to read them: those for people, and suites.
_DOCUMENTATION: Final = (
    "*.adoc", "*.md", "*.rst", "AUTHORS*", "CHANGELOG*", "CHANGES*", "CONTRIBUTING*", "COPYING*", "LICENCE*",
    "LICENSE*", "NOTICE*", "README*", "CODEOWNERS", ".git*", ".editorconfig", ".pre-commit-config.yaml", ".mailmap",
    "*.suite.json",
)  # fmt: skip
#: What can be imported.
_MODULES: Final = (".py", ".so", ".pyd")


class Reason(NamedTuple):
    """Why a test is affected."""

    kind: Literal["new", "part", "unknown", "everything", "shadow", "failed", "owed"]
    path: str = ""  # absolute
    key: str = ""  # of a part


class Changes(NamedTuple):
    """What differs, beyond what the records show by themselves."""

    stale: AbstractSet[int]  # numbers of parts that are not what they were
    files: AbstractSet[str] = frozenset()  # of the workspace, changed whatever the generation
    added: AbstractSet[str] = frozenset()  # those of them that were not there
    products: AbstractSet[str] = frozenset()  # what runs write beside tests


def is_documentation(path: str) -> bool:
    """Tell whether a file is there for people, or for tests of another kind."""
    name = os.path.basename(path)
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in _DOCUMENTATION)


def affected(book: Book, state: State, target: str, changes: Changes) -> dict[str, Reason]:
    """Return the tests of a target that are affected, of those that have a record."""
    return _Choice(book, state, book.shelf(target), changes).affected()


def differing(book: Book, state: State, changes: Changes, differences: Iterable[Difference]) -> Changes:
    """Return these changes together with what differs from another state of the workspace."""
    stale, files, added = set(changes.stale), set(changes.files), set(changes.added)
    for path, before, gone in differences:
        files.add(path)
        if before is None or gone:
            added.add(path)
            stale.update(book.by_path.get(os.path.dirname(path) + "/", ()))
        numbers = book.by_path.get(path, ())
        if not path.endswith(".py") or before is None or gone:
            stale.update(numbers)
            continue
        source, was = state.source_of(path), read(before).parts
        now = source.parts if source is not None else {}
        stale.update(n for n in numbers if now.get(book.parts[n].key) != was.get(book.parts[n].key))
    return changes._replace(stale=stale, files=files, added=added)


class _Choice:
    def __init__(self, book: Book, state: State, shelf: Shelf, changes: Changes) -> None:
        self._book = book
        self._state = state
        self._shelf = shelf
        self._changes = changes
        self._sets = shelf.sets()
        self._general: dict[int, tuple[Reason | None, Reason | None, dict[str, Reason], dict[int, Reason]]] = {}

    def affected(self) -> dict[str, Reason]:
        holding: dict[int, int] = {}
        for part in self._changes.stale:
            for held in self._book.holders(part):
                holding.setdefault(held, part)
        found: dict[str, Reason] = {}
        for test, entry in self._shelf.tests.items():
            stale = holding.get(entry.own) or holding.get(entry.base)
            if stale is not None:
                found[test] = self._because(stale)
            else:
                reason = self._of_files(test, entry)
                if reason is not None:
                    found[test] = reason
        return found

    def _because(self, number: int) -> Reason:
        part = self._book.parts[number]
        return Reason("part", part.path, part.key)

    def _of_files(self, test: str, entry: Entry) -> Reason | None:
        """Return why a change of files that are in no record of the test may affect it."""
        general = self._general.get(entry.generation)
        if general is None:
            general = self._general[entry.generation] = self._look(entry.generation)
        unknown, anything, conftests, shadowed = general
        if unknown is not None:
            return unknown
        if entry.everything and anything is not None:
            return anything
        for folder, reason in conftests.items():
            if os.path.normpath(os.path.join(self._shelf.root, test)).startswith(folder):
                return reason
        if shadowed:
            return shadowed.get(entry.base) or shadowed.get(entry.own)
        return None

    def _look(self, generation: int) -> tuple[Reason | None, Reason | None, dict[str, Reason], dict[int, Reason]]:
        """Return what of the changes since a generation affects all, those that may use anything, folders, and sets."""
        unknown: Reason | None = None
        anything: Reason | None = None
        conftests: dict[str, Reason] = {}
        shadowed: dict[int, Reason] = {}
        added = set(self._changes.added)
        changed = self._state.changed_since(generation)
        added |= {path for path in changed if self._state.at(path, generation) == MISSING}
        for path in sorted(changed | self._changes.files):
            if path in self._shelf.written or is_library(path):
                continue
            known = self._known(path)
            if not known and (is_documentation(path) or path in self._changes.products):
                continue
            anything = anything or Reason("everything", path)
            if path.endswith(_MODULES):
                if path in added:
                    unknown = unknown or self._new_module(path, conftests, shadowed)
            elif not known:
                unknown = unknown or Reason("unknown", path)
        return unknown, anything, conftests, shadowed

    def _known(self, path: str) -> bool:
        """Tell whether some test of this target, or its start, is known to read a file or to list its folder."""
        return self._held(path) or self._held(os.path.dirname(path) + "/")

    def _held(self, path: str) -> bool:
        numbers = self._book.by_path.get(path, ())
        return any(held in self._sets for number in numbers for held in self._book.holders(number))

    def _new_module(self, path: str, conftests: dict[str, Reason], shadowed: dict[int, Reason]) -> Reason | None:
        """Note whom a module affects that was not there: those who import something of its name."""
        folder, name = os.path.split(path)
        reason = Reason("shadow", path)
        if name == "conftest.py":
            conftests[folder + "/"] = reason
            return None
        stem = name.partition(".")[0]
        if stem == "__init__":
            folder, stem = os.path.split(folder)
        if not os.path.exists(os.path.join(folder, "__init__.py")) and self._elsewhere(stem):
            return reason
        for other, numbers in self._book.by_path.items():
            source = self._state.source_of(other) if other.endswith(".py") and not is_library(other) else None
            if source is not None and stem in source.imports:
                for number in numbers:
                    if self._book.parts[number].key != BYTES:
                        shadowed.update((held, reason) for held in self._book.holders(number) if held not in shadowed)
        return None

    def _elsewhere(self, name: str) -> bool:
        """Tell whether a module of the standard library or of a distribution has this name."""
        if name in sys.stdlib_module_names:
            return True
        ends = (f"-packages/{name}.py", f"-packages/{name}/__init__.py")
        return any(path.endswith(ends) for path in self._book.by_path)
