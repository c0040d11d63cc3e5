"""To trace modules by configuration, without a change to their code. Runs in the user's process.

A module that is loaded is looked through at once, any other when its own code has run. The functions stay the objects
that they are, so it makes no difference who has imported them from there, and when.
"""

from __future__ import annotations

import sys
from importlib import import_module

from testd.tracing.decorator import traced_parts
from testd.tracing.failures import step_out
from testd.tracing.names import class_name, message
from testd.tracing.registry import register, subject_of
from testd.tracing.selection import Entry, Selection
from testd.tracing.subjects import Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

__all__ = ["TracedModules", "trace_modules"]


def trace_modules(table: Mapping[str, Any]) -> TracedModules:
    """Trace what `[tool.testd.trace]` selects, in modules that are loaded and in those that will be.

    Raises:
        SelectionError: the table cannot be read.

    """
    traced = TracedModules(Selection(table))
    for name, module in list(sys.modules.items()):
        traced.look_through(name, module)
    traced.install()
    return traced


class TracedModules:
    """A finder that finds nothing of its own: it sees which modules are loaded, and traces what is selected of them."""

    def __init__(self, selection: Selection) -> None:
        """Trace what is selected."""
        self.problems: list[str] = []  #: what is selected and cannot be traced, for people
        self._selection = selection

    def install(self) -> None:
        """See all modules that are loaded from now on.

        What records imports for testd stands in front: it wants to see who asks.
        """
        first = 1 if sys.meta_path and type(sys.meta_path[0]).__module__.startswith("testd.") else 0
        sys.meta_path.insert(first, self)

    def remove(self) -> None:
        """See no more modules. What is traced stays traced."""
        sys.meta_path.remove(self)

    def load(self) -> list[str]:
        """Import the modules that are named; return all problems, those of their import too."""
        for name in self._selection.named:
            self._load(name)
        return self.problems

    def _load(self, name: str) -> None:
        try:
            import_module(name)
        except Exception as error:
            told = f"{class_name(type(error))}: {message(error)}"
            self._tell(f"Could not import module {name}, which tool.testd.trace.modules names ({told})")

    def _tell(self, problem: str) -> None:
        if problem not in self.problems:  # a module may be loaded again, and again in vain
            self.problems.append(problem)

    def look_through(self, name: str, module: ModuleType | None) -> None:
        """Trace what is selected of a module."""
        chosen = self._selection.chosen(name)
        if not chosen or module is None:
            return
        for entry, traceable in self._defined(name, module) if chosen is True else self._entries(name, module, chosen):
            for function, subject in traced_parts(traceable, entry):
                if subject_of(function) is None and self._selection.includes(name, subject.name):
                    register(function, subject)

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return what the finders behind this one find, with a loader that lets the module be looked through."""
        if not self._selection.chosen(name):
            return None
        for finder in sys.meta_path[sys.meta_path.index(self) + 1 :]:
            find = getattr(finder, "find_spec", None)
            spec: ModuleSpec | None = find(name, path, target) if find is not None else None
            if spec is not None:
                if hasattr(spec.loader, "exec_module") and hasattr(spec.loader, "__dict__"):
                    _after(spec.loader, self.look_through)
                return spec
        return None

    def _defined(self, name: str, module: ModuleType) -> Iterator[tuple[Settings, Any]]:
        for value in list(vars(module).values()):
            if getattr(value, "__module__", None) == name and callable(value):
                yield Settings(), value

    def _entries(self, name: str, module: ModuleType, entries: list[Entry]) -> Iterator[tuple[Settings, Any]]:
        for entry in entries:
            found: Any = module
            for part in entry.name.split("."):
                found = getattr(found, part, None)
            if isinstance(found, type) or next(traced_parts(found, entry.settings), None) is not None:
                yield entry.settings, found
            else:
                self._tell(
                    f"Invalid callable ({entry.name}) specified inside module ({name}) in config file: "
                    f"tool.testd.trace.modules names no function or class of it that is written in Python"
                )


def _after(loader: Any, look_through: Callable[[str, ModuleType], None]) -> None:
    """Let a module be looked through once this loader has executed it, the next time that it does."""
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        loader.__dict__.pop("exec_module", None)
        try:
            execute(module)
        except BaseException as error:
            step_out(error)
            raise
        name = module.__name__
        look_through(name, sys.modules.get(name, module))

    loader.__dict__["exec_module"] = exec_module
