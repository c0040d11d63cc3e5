"""Which module came from which file, and who imported whom. Pure; runs in the agent, one graph for each collection.

The stem tells what it loaded, each worker what it loaded beyond that. Together they say which modules a change of some
files may reach: those that are made of them, and whatever imports these, directly or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from testd_protocol.messages import Modules

__all__ = ["LOADERS", "ModuleGraph"]

#: Packages that load tests and plugins on a project's behalf: they do not depend on what they load.
LOADERS: Final = ("_pytest", "pluggy", "testd")


class ModuleGraph:
    """What is known of the modules of one collection. Only ever grows: a collection that is stale is dropped whole."""

    __slots__ = ("_files", "_importers", "_imports", "_modules")

    def __init__(self) -> None:
        """Know nothing yet."""
        self._files: dict[str, str] = {}
        self._modules: dict[str, set[str]] = {}  # file → its modules: one may be loaded under two names
        self._imports: dict[str, set[str]] = {}
        self._importers: dict[str, set[str]] = {}

    def __len__(self) -> int:
        """How many modules have a file."""
        return len(self._files)

    def add(self, message: Modules) -> None:
        """Take what a stem or a worker loaded."""
        for module, file in message.files.items():
            self._files.setdefault(module, file)  # a worker that loads another file under a known name does not rename
            self._modules.setdefault(file, set()).add(module)
        for importer, imported in message.imports.items():
            self._imports.setdefault(importer, set()).update(imported)
            for module in imported:
                self._importers.setdefault(module, set()).add(importer)

    def update(self, other: ModuleGraph) -> None:
        """Take what another graph knows."""
        for module, file in other._files.items():
            self._files.setdefault(module, file)
        for mine, theirs in (
            (self._modules, other._modules), (self._imports, other._imports), (self._importers, other._importers),
        ):  # fmt: skip
            for key, found in theirs.items():
                mine.setdefault(key, set()).update(found)

    def file_of(self, module: str) -> str:
        """Return where a module came from, nothing where that is not known."""
        return self._files.get(module, "")

    def modules_of(self, file: str) -> frozenset[str]:
        """Return the modules that were made of a file."""
        return frozenset(self._modules.get(file, ()))

    def imported_by(self, module: str) -> frozenset[str]:
        """Return what a module imports itself."""
        return frozenset(self._imports.get(module, ()))

    def importers_of(self, module: str) -> frozenset[str]:
        """Return who imports a module itself."""
        return frozenset(self._importers.get(module, ()))

    def affected(self, files: Iterable[str]) -> frozenset[str]:
        """Return the modules that a change of these files may reach.

        A package is reached by a change of a module in it only where it imports that module, as any importer is;
        modules in a package are reached by a change of the package, whose code runs before theirs.
        """
        found: set[str] = set()
        waiting = [module for file in files for module in self._modules.get(file, ())]
        while waiting:
            module = waiting.pop()
            if module in found:
                continue
            found.add(module)
            waiting += [who for who in self._importers.get(module, ()) if who.partition(".")[0] not in LOADERS]
            waiting += self._inside(module)
        return frozenset(found)

    def files(self) -> frozenset[str]:
        """Return the files of all modules."""
        return frozenset(self._modules)

    def _inside(self, package: str) -> list[str]:
        """Return the modules in a package; none for a plain module."""
        prefix = package + "."
        return [module for module in self._files if module.startswith(prefix)]
