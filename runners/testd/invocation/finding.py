"""Where a function of a workflow is defined: the first file of a folder, in the order of their names, that has it.

Runs in stems and workers; imports user code. Standard library only. A file that lacks one of its imports is passed
over, with a warning in the function's log; one that cannot be compiled, or raises something else, makes the function
fail. Files are imported as modules of a package that has the folder's name, so that they may import each other.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.util
import os
import sys
import types

from testd.invocation.errors import NotInvoked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

__all__ = ["Finder", "Found", "NotFound"]

_SKIPPED_FOLDERS = ("__pycache__", "node_modules", "site-packages")
_SKIPPED_FILES = ("conftest.py", "setup.py", "test.py")


class NotFound(Exception):
    """A function cannot be had: why."""


class Found:
    """What came of looking for one function."""

    __slots__ = ("error", "file", "function", "warnings")

    def __init__(self, function: Any, file: str, error: BaseException | None, warnings: list[str]) -> None:
        """Keep the function and its file, or the error that is in its place."""
        self.function = function
        self.file = file
        self.error = error
        self.warnings = warnings


class Finder:
    """Looks for functions in one folder or file; `packages` are folders of installed modules that come first."""

    def __init__(self, source: str, packages: Iterable[str] = ()) -> None:
        """Look below `source`, absolute."""
        self.source = source
        self._file = source if source.endswith(".py") else ""
        self._folder = os.path.dirname(source) if self._file else source
        self._packages = list(packages)
        self.deferred = False  # a module uses the API while it is imported: it is to be imported when a function runs

    def find(self, names: Iterable[str]) -> dict[str, Found]:
        """Return what came of each name."""
        self._prepare_path()
        wanted = list(names)
        warnings: list[str] = []
        found: dict[str, Found] = {}
        self.deferred = False
        try:
            files = list(self._files())
            for path in files:
                _compile(path)
            for path in files:
                module = self._load(path, warnings)
                for name in [name for name in wanted if name not in found and callable(getattr(module, name, None))]:
                    found[name] = Found(getattr(module, name), path, None, list(warnings))
                if len(found) == len(wanted):
                    break
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # whatever a file raises is what its functions fail with
            self.deferred = _is_from(error, NotInvoked)
            return {name: found.get(name) or Found(None, "", error, warnings) for name in wanted}
        return {name: found.get(name) or self._missing(name, warnings) for name in wanted}

    def forget(self) -> None:
        """Drop the modules of this folder, so that they are imported anew."""
        name = self._package
        for module in [found for found in sys.modules if found == name or found.startswith(name + ".")]:
            del sys.modules[module]

    # ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _files(self) -> Iterator[str]:
        if self._file:
            yield self._file
            return
        if not os.path.isdir(self._folder):
            raise NotFound(f"the folder of the functions is not there: {self._folder}")
        for folder, folders, files in os.walk(self._folder):
            folders[:] = sorted(name for name in folders if _is_source(os.path.join(folder, name)))
            for name in sorted(files):
                if name.endswith(".py") and name not in _SKIPPED_FILES and not name.startswith("test_"):
                    yield os.path.join(folder, name)

    def _missing(self, name: str, warnings: list[str]) -> Found:
        text = f"there is no function {name} in {self._file or self._folder}"
        if warnings:
            text = "\n".join([text + ". These files were passed over:", *warnings])
        return Found(None, "", NotFound(text), warnings)

    # ── modules ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _package(self) -> str:
        return os.path.basename(self._folder).replace(".", "_") or "functions"

    def _prepare_path(self) -> None:
        for folder in (self._folder, *reversed(self._packages)):
            if folder not in sys.path:
                sys.path.insert(0, folder)

    def _load(self, path: str, warnings: list[str]) -> Any:
        name = os.path.relpath(path, self._folder)[: -len(".py")].replace(os.sep, ".")
        name = name[: -len("__init__")].rstrip(".") if name.endswith("__init__") else name
        self._ensure_package()
        try:
            return importlib.import_module(".".join(filter(None, (self._package, name))))
        except ImportError as error:
            warnings.append(f"Skipping {os.path.relpath(path, self._folder)} due to import error: {error}")
            return None

    def _ensure_package(self) -> None:
        """Make the folder a package of its name, whether or not there is another module of that name."""
        package = sys.modules.get(self._package)
        if package is not None and self._folder in list(getattr(package, "__path__", ())):
            return
        init = os.path.join(self._folder, "__init__.py")
        if os.path.exists(init):
            spec = importlib.util.spec_from_file_location(
                self._package, init, submodule_search_locations=[self._folder]
            )
        else:
            spec = importlib.machinery.ModuleSpec(self._package, None, is_package=True)
            spec.submodule_search_locations = [self._folder]
        assert spec is not None
        module = importlib.util.module_from_spec(spec) if spec.loader is not None else _namespace(spec, self._folder)
        sys.modules[self._package] = module
        if spec.loader is not None:
            try:
                spec.loader.exec_module(module)
            except BaseException:
                sys.modules.pop(self._package, None)
                raise


def _namespace(spec: importlib.machinery.ModuleSpec, folder: str) -> types.ModuleType:
    module = types.ModuleType(spec.name)
    module.__path__ = [folder]
    module.__spec__ = spec
    return module


def _compile(path: str) -> None:
    """See whether a file can be compiled. Raises SyntaxError, ValueError."""
    with open(path, "rb") as file:
        compile(file.read(), path, "exec", dont_inherit=True)


def _is_source(folder: str) -> bool:
    name = os.path.basename(folder)
    return not (
        name.startswith(".") or name in _SKIPPED_FOLDERS or os.path.exists(os.path.join(folder, "pyvenv.cfg"))
    )


def _is_from(error: BaseException | None, kind: type[BaseException]) -> bool:
    """Tell whether an exception is of a kind, or was raised because of one."""
    seen = 0
    while error is not None and seen < 50:
        if isinstance(error, kind):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False
