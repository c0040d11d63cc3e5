"""Which files a test depends on by imports, and who of them looks at docstrings. Pure but for a look at libraries.

Runs in the agent, in a thread. One object for each collection that a run had.
"""

# Paths as text, not objects: thousands are looked at for each run

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Final

from testd_daemon.agent.affected.state import View
from testd_daemon.agent.modules import LOADERS, ModuleGraph

__all__ = ["Closure", "is_library", "is_standard", "library_folder"]

#: Folders of installed distributions.
_INSTALLED: Final = ("/site-packages/", "/dist-packages/")
_STANDARD: Final = re.compile(r"/lib(?:64)?/(?:python|pypy)3[^/]*/")
#: What imports modules because a case names them: those are its document's imports.
_ON_BEHALF: Final = ("testd.functions.", "testd.tracing.")
#: Text of a library that reads docstrings. To give something one is no reading.
_READS_DOCS: Final = re.compile(rb"\.__doc__\b(?!\s*=[^=])|\bgetdoc\b|\bcleandoc\b|[\"']__doc__[\"']")
#: Libraries that only hand docstrings on, or show them: no verdict comes of it.
_HANDS_ON: Final = frozenset(
    {"_pytest", "attr", "attrs", "decorator", "hypothesis", "mock", "pluggy", "pytest", "testd", "typing_extensions",
     "wrapt"}
)  # fmt: skip


def is_standard(path: str) -> bool:
    """Tell whether a file belongs to the interpreter itself."""
    return _STANDARD.search(path) is not None and not is_library(path)


def is_library(path: str) -> bool:
    """Tell whether a file belongs to an installed distribution."""
    return any(part in path for part in _INSTALLED)


def library_folder(path: str) -> str:
    """Return the folder in which the distribution of a file is installed; empty for any other file."""
    for part in _INSTALLED:
        before, found, _ = path.partition(part)
        if found:
            return before + found
    return ""


class Closure:
    """The modules of one collection, as tests depend on them."""

    def __init__(self, graph: ModuleGraph, view: View, tests: Iterable[str]) -> None:
        """Take what was recorded; `tests` are the files of tests."""
        self._graph = graph
        self._view = view
        self._root = view.root + "/"
        self._tests = frozenset(tests)
        self._own = frozenset(path for path in graph.files() if path.startswith(self._root) and not is_library(path))
        self._reached: dict[frozenset[str], frozenset[str]] = {}
        self._imports: dict[str, frozenset[str]] = {}
        self._readers: dict[str, bool] = {}
        self._named: dict[str, set[str]] = {}  # own modules by the last part of their names
        for path in self._own:
            for module in graph.modules_of(path):
                self._named.setdefault(module.rpartition(".")[2], set()).add(module)
        self._plugins: frozenset[str] | None = None
        self._conftests = [path for path in self._own if os.path.basename(path) == "conftest.py"]

    def plugins(self, loaded: Iterable[str]) -> frozenset[str]:
        """Return the modules that every test depends on: those loaded before collection, and what plugins are."""
        if self._plugins is None:
            files = {path for path in loaded if path in self._own}
            for path in self._own.difference(self._tests, self._conftests):
                importers = {who for module in self._graph.modules_of(path) for who in self._graph.importers_of(module)}
                if any(who.partition(".")[0] in LOADERS and not who.startswith(_ON_BEHALF) for who in importers):
                    files.add(path)
            self._plugins = frozenset(files)
        return self._plugins

    def above(self, test: str) -> list[str]:
        """Return the conftest files that apply to a test file."""
        return [path for path in self._conftests if test.startswith(os.path.dirname(path) + "/")]

    def of(self, files: Iterable[str]) -> frozenset[str]:
        """Return the files of these modules and of all that they import; what is not known reaches everything."""
        modules: set[str] = set()
        for path in files:
            found = self._graph.modules_of(path)
            if not found and path in self._tests:
                return self._own | frozenset(files)
            modules |= found
        wanted = frozenset(modules)
        reached = self._reached.get(wanted)
        if reached is None:
            reached = self._reached[wanted] = self._files(self._walk(wanted))
        return reached

    def _walk(self, modules: Iterable[str], without: frozenset[str] = frozenset()) -> set[str]:
        """Return these modules and all that they import, directly or not, with the packages that these are in.

        `without`: packages at the top whose modules are left out, and what is only reached by way of them.
        """
        found: set[str] = set()
        waiting = list(modules)
        while waiting:
            module = waiting.pop()
            if module in found or module.partition(".")[0] in without:
                continue
            found.add(module)
            waiting += self._imported_by(module)
            package = module.rpartition(".")[0]
            if package:
                waiting.append(package)
        return found

    def _imported_by(self, module: str) -> frozenset[str]:
        """Return what a module imports for itself: who loads tests and plugins does not depend on them."""
        known = self._imports.get(module)
        if known is None:
            known = self._graph.imported_by(module) | self._stated(module)
            if module.partition(".")[0] in LOADERS:
                known = frozenset(name for name in known if self._graph.file_of(name) not in self._own)
            self._imports[module] = known
        return known

    def _stated(self, module: str) -> set[str]:
        """Return the project's modules of names that a module imports anywhere in its source.

        What a test imports itself is recorded only for the one that was the first in its process to do so.
        """
        path = self._graph.file_of(module)
        source = self._view.source_of(path) if path in self._own and path.endswith(".py") else None
        names = source.imports if source is not None else ()
        return {found for name in names for found in self._named.get(name, ())}

    def _files(self, modules: Iterable[str]) -> frozenset[str]:
        files = {path for path in map(self._graph.file_of, modules) if path and not is_standard(path)}
        if any(self._dynamic(path) for path in files & self._own):
            files |= self._own - self._tests
        return frozenset(files)

    def _dynamic(self, path: str) -> bool:
        source = self._view.source_of(path) if path.endswith(".py") else None
        return source is not None and source.dynamic

    def reads_docs(self, files: Iterable[str]) -> bool:
        """Tell whether these modules, or any that they import, look at docstrings."""
        modules = {module for path in files for module in self._graph.modules_of(path)}
        reached = self._walk(modules, _HANDS_ON)
        return any(self._reads(path) for path in map(self._graph.file_of, reached) if path and not is_standard(path))

    def _reads(self, path: str) -> bool:
        known = self._readers.get(path)
        if known is None:
            known = self._readers[path] = self._find_out(path)
        return known

    def _find_out(self, path: str) -> bool:
        if path in self._own:
            source = self._view.source_of(path) if path.endswith(".py") else None
            return source is not None and source.reads_docs
        if not is_library(path) or not path.endswith(".py"):
            return False
        try:
            with open(path, "rb") as file:
                return _READS_DOCS.search(file.read()) is not None
        except OSError:
            return True
