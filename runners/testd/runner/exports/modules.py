"""Imports a test file, and finds the tests that it exports. Runs in the stem, at collection."""

from __future__ import annotations

import os
import sys
from types import FunctionType, ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["WrongModuleError", "exported", "line_of", "load", "test_classes"]


#: How many decorators are looked through for the function below them.
_WRAPPED = 50


class WrongModuleError(ImportError):
    """The name that a test file has as a module belongs to another file."""


def load(file: str, root: str) -> ModuleType:
    """Import a test file and return its module.

    The folder that holds the outermost package around the file, or the file itself where there is no package, is put
    first on `sys.path`: the file sees what it would see if it were run by `python FILE`. A file without a package
    whose plain name is taken by another file gets a longer one, so that files of equal names do not clash.

    Raises:
        WrongModuleError: the file lies in a package that was loaded from elsewhere.
        BaseException: whatever the file itself raises.

    """
    folder, name = _place(file)
    if sys.path[:1] != [folder]:
        sys.path[:] = [folder] + [entry for entry in sys.path if entry != folder]
    if "." in name:
        return _load_in_package(file, name)
    loaded = sys.modules.get(name)
    if loaded is not None:
        if _is_from(loaded, file):
            return loaded
        name = _longer_name(file, root)
        if name in sys.modules and _is_from(sys.modules[name], file):
            return sys.modules[name]
    return _load_file(file, name)


def exported(module: ModuleType) -> Iterator[tuple[str, FunctionType]]:
    """Yield the name and function of every test: each public function that the module itself defines.

    `__all__` narrows them, where the module has one. What was imported, classes and `_private` names are no tests.
    """
    names = module.__dict__.get("__all__")
    allowed = None if names is None else set(names)
    for name, value in list(vars(module).items()):
        if (
            isinstance(value, FunctionType)
            and not name.startswith("_")
            and value.__module__ == module.__name__
            and (allowed is None or name in allowed)
        ):
            yield name, value


def test_classes(module: ModuleType) -> list[str]:
    """Return the names of the module's own classes that another framework would take for tests."""
    unittest = getattr(sys.modules.get("unittest.case"), "TestCase", None)
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and ((unittest is not None and issubclass(value, unittest))
             or (name.startswith("Test") and any(member.startswith("test_") for member in vars(value))))
    ]


def line_of(function: FunctionType, file: str) -> int:
    """Return the first line of a test in its file, its decorators included; 0 where it was made elsewhere."""
    line = 0
    inner: object = function
    for _ in range(_WRAPPED):
        if not isinstance(inner, FunctionType):
            break
        if inner.__code__.co_filename == file:
            line = inner.__code__.co_firstlineno
        inner = getattr(inner, "__wrapped__", None)
    return line


def _place(file: str) -> tuple[str, str]:
    """Return the folder to import a file from, and its dotted name there."""
    folder, base = os.path.split(file)
    parts = [base[:-3] if base.endswith(".py") else base]
    while os.path.isfile(os.path.join(folder, "__init__.py")) and os.path.basename(folder).isidentifier():
        folder, package = os.path.split(folder)
        parts.append(package)
    return folder, ".".join(reversed(parts))


def _load_in_package(file: str, name: str) -> ModuleType:
    import importlib

    module = importlib.import_module(name)
    if not _is_from(module, file):
        other = getattr(module, "__file__", None) or "a module without a file"
        raise WrongModuleError(
            f"{file} is the module {name!r}, but {name!r} was already loaded from {other}: "
            "rename one of the packages, or remove the installed copy or the __init__.py that makes them one"
        )
    return module


def _load_file(file: str, name: str) -> ModuleType:
    import importlib.util
    from importlib.machinery import SourceFileLoader

    spec = importlib.util.spec_from_file_location(name, file, loader=SourceFileLoader(name, file))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return sys.modules.get(name, module)


def _longer_name(file: str, root: str) -> str:
    path = os.path.relpath(file, root)[:-3]
    return "__".join(part for part in path.split(os.sep) if part not in ("..", "."))


def _is_from(module: ModuleType, file: str) -> bool:
    path = getattr(module, "__file__", None)
    if not isinstance(path, str):
        return False
    return path == file or os.path.realpath(path) == os.path.realpath(file)
