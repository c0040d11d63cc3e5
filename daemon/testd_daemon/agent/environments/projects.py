"""Which files of a local project decide what its installation is. Runs in the agent; reads files.

A project that is used where it is (`-e`) is installed anew when its metadata or its native sources change, not when its
Python files do. Of one that is copied, every file counts.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from testd_daemon.errors import EnvironmentFault

__all__ = ["copied", "editable", "pyproject"]

#: Tables below [tool] that steer neither a build nor an installation. One that is not known here counts.
_WITHOUT_EFFECT: Final = frozenset(
    (
        "bandit", "basedpyright", "black", "bumpversion", "check-wheel-contents", "codespell", "commitizen", "coverage",
        "doc8", "docformatter", "flake8", "importlinter", "interrogate", "isort", "mutmut", "mypy", "nox", "pydocstyle",
        "pydoclint", "pylint", "pyright", "pytest", "pytest-enabler", "repo-review", "ruff", "semantic_release",
        "testd", "towncrier", "tox", "ty", "typos", "vulture", "yapf",
    )
)  # fmt: skip
#: Files that say what a project is, beside pyproject.toml.
_METADATA: Final = ("setup.py", "setup.cfg", "MANIFEST.in", "hatch_build.py", "hatch.toml", "uv.toml")
#: Files at the root of a project that has something to compile, and words of a setup.py that has.
_NATIVE_FILES: Final = ("Cargo.toml", "CMakeLists.txt", "meson.build", "build.rs")
_NATIVE_WORDS: Final = (b"ext_modules", b"Extension(", b"cythonize", b"rust_extensions", b"cffi_modules")
_NATIVE_BACKENDS: Final = ("maturin", "scikit_build_core", "mesonpy", "setuptools_rust", "sipbuild", "py_build_cmake")
_NATIVE_SOURCES: Final = (
    ".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".pyx", ".pxd", ".pxi", ".rs", ".f", ".f90", ".f95",
    ".cu", ".cmake", "CMakeLists.txt", "meson.build", "meson.options", "meson_options.txt", "Cargo.toml", "Cargo.lock",
)  # fmt: skip
#: Bytes from which on a file's time counts in place of what it holds: data that lies in a project.
_LARGE: Final = 4 * 1024 * 1024
#: Folders that a build writes or does not look into.
_NOT_ENTERED: Final = frozenset(("__pycache__", "build", "dist", "node_modules", "target", "venv", "site-packages"))


def pyproject(folder: str) -> dict[str, Any]:
    """Return the project file of a folder, empty where there is none. Raises EnvironmentFault where it is not TOML."""
    path = os.path.join(folder, "pyproject.toml")
    try:
        with open(path, "rb") as file:
            table: dict[str, Any] = msgspec.toml.decode(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise EnvironmentFault(f"{path}: {error.strerror}", hint="make it readable") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EnvironmentFault(f"{path}: not valid TOML: {error}", hint="see https://toml.io for the format") from error
    return table


def editable(folder: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of what decides how a project is installed in place."""
    table = pyproject(folder)
    tools = table.get("tool")
    tools = {name: tools[name] for name in tools if name not in _WITHOUT_EFFECT} if isinstance(tools, Mapping) else {}
    relevant = {"build-system": table.get("build-system"), "project": table.get("project"), "tool": tools}
    yield "pyproject.toml", msgspec.json.encode(relevant, order="deterministic")
    for name in (*_METADATA, *_named_files(tools)):
        data = _content(os.path.join(folder, name))
        if data is not None:
            yield name, data
    if _is_native(folder, table):
        for path in _files(folder):
            if path.endswith(_NATIVE_SOURCES) and not _is_generated(path):
                yield os.path.relpath(path, folder), _content(path) or b""


def copied(path: str) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the content of all that an installed copy is made of: a folder's files, or an archive."""
    if os.path.isfile(path):
        yield os.path.basename(path), _content(path) or b""
        return
    for found in _files(path):
        yield os.path.relpath(found, path), _content(found) or b""


def _named_files(tools: Mapping[str, Any]) -> Iterator[str]:
    """Yield the files that a build backend reads dependencies and versions from, as far as the project file says so."""
    dynamic = _table(_table(tools, "setuptools"), "dynamic")
    hooks = _table(_table(_table(tools, "hatch"), "metadata"), "hooks")
    for table, key in [*((each, "file") for each in dynamic.values()), (_table(hooks, "requirements_txt"), "files")]:
        named = table.get(key) if isinstance(table, Mapping) else None
        if isinstance(named, str):
            yield named
        elif isinstance(named, list):
            yield from (name for name in named if isinstance(name, str))


def _table(table: Any, name: str) -> Mapping[str, Any]:
    found = table.get(name) if isinstance(table, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _is_native(folder: str, table: Mapping[str, Any]) -> bool:
    if any(os.path.exists(os.path.join(folder, name)) for name in _NATIVE_FILES):
        return True
    backend = str(_table(table, "build-system").get("build-backend", ""))
    if backend.startswith(_NATIVE_BACKENDS) or "ext-modules" in _table(_table(table, "tool"), "setuptools"):
        return True
    script = _content(os.path.join(folder, "setup.py")) or b""
    return any(word in script for word in _NATIVE_WORDS)


def _files(folder: str) -> Iterator[str]:
    """Yield every file below a folder, in a fixed order, without what is hidden, installed or built."""
    for current, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _NOT_ENTERED
            and not name.endswith(".egg-info")
            and not os.path.exists(os.path.join(current, name, "pyvenv.cfg"))
        )
        yield from (os.path.join(current, name) for name in sorted(names) if not name.endswith((".pyc", ".so", ".o")))


def _is_generated(path: str) -> bool:
    """Tell whether Cython has written a file, from a source that counts: the first build would ask for a second."""
    name, ending = os.path.splitext(path)
    return ending in (".c", ".cpp") and os.path.exists(f"{name}.pyx")


def _content(path: str) -> bytes | None:
    """Return what a file holds, of a large one when it was written; None for what is no file or cannot be read."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):  # to open a pipe would wait for its other end
            return None
        if status.st_size > _LARGE:
            return f"{status.st_size} {status.st_mtime_ns}".encode()
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None
