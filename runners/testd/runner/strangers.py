"""Modules from outside of the project and of its environment: elsewhere they may be missing.

Runs in stems and workers: a cheap check of isolation, that loads nothing. Standard library only. Inside are the
project, the standard library, what is installed in the interpreter's environment, and what is installed there by
reference (editable: a `.pth` file, or a finder of setuptools), because the environment brings that along.
"""

import contextlib
import os
import site
import sys
from typing import Any, Dict, Iterable, Iterator, List, Tuple

__all__ = ["Strangers"]

#: Where others than the standard library live below its folder.
_INSTALLED = ("site-packages", "dist-packages")


class Strangers:
    """Knows what is inside, and names the rest."""

    def __init__(self, root: str) -> None:
        """Look around when it is first asked: by then user code has changed `sys.path` as it does."""
        self._root = root
        self._inside: Tuple[str, ...] = ()
        self._path: List[str] = []

    def settle(self) -> None:
        """Take `sys.path` and the environment as they are now: what a test puts there later is its own doing."""
        folders = [self._root, _runner(), *_environment()]
        real = [os.path.realpath(folder) for folder in folders]
        self._inside = (*{folder.rstrip("/") + "/" for folder in (*folders, *real)}, *_mapped())
        self._path = sorted(set(_absolute(sys.path)), key=len, reverse=True)

    def among(self, files: "Dict[str, str]", *, of_tests: bool = False) -> "List[List[Any]]":
        """Return `[folder, how it got into reach, names]` of each folder outside from which modules were loaded.

        `files` is module → file. `of_tests`: only folders that were on `sys.path` before tests ran; what these make and
        load in folders of their own is part of them.
        """
        found: Dict[str, Dict[str, None]] = {}
        for module, file in files.items():
            if module == "__main__" or not file.startswith("/") or self._is_inside(file):
                continue
            folder = next((entry for entry in self._path if file.startswith(entry.rstrip("/") + "/")), "")
            if folder or not of_tests:
                found.setdefault(folder or os.path.dirname(file), {})[module.partition(".")[0]] = None
        return [[folder, self._way(folder), sorted(names)] for folder, names in sorted(found.items())]

    def _is_inside(self, file: str) -> bool:
        return self._has(file) or self._has(os.path.realpath(file))

    def _has(self, file: str) -> bool:
        return file.startswith(self._inside) or _is_standard(file)

    def _way(self, folder: str) -> str:
        """Say how a folder got into reach, empty where that is not known."""
        if folder in _absolute(os.environ.get("PYTHONPATH", "").split(os.pathsep)):
            return "PYTHONPATH"
        if folder == getattr(site, "USER_SITE", None):
            return "the user's own packages"
        return "a folder above the project" if self._root.startswith(folder.rstrip("/") + "/") else ""


def _absolute(entries: "Iterable[str]") -> "List[str]":
    """Return the paths that are meant; without those that count from a working directory that is gone."""
    found = []
    for entry in filter(None, entries):
        with contextlib.suppress(OSError):
            found.append(os.path.abspath(entry))
    return found


def _runner() -> str:
    """Return where testd's own code is."""
    return os.path.dirname(os.path.dirname(os.path.abspath(sys.modules["testd"].__file__ or "")))


def _is_standard(file: str) -> bool:
    library = os.path.dirname(os.__file__) + "/"
    return file.startswith(library) and file[len(library) :].partition("/")[0] not in _INSTALLED


def _environment() -> "Iterator[str]":
    """Yield the folders of what is installed, and those that it refers to."""
    if sys.prefix != sys.base_prefix:
        yield sys.prefix
    installed = _site_packages()
    yield from installed
    for folder in installed:
        yield from _referred(folder)


def _mapped() -> "Iterator[str]":
    """Yield how the paths begin of what setuptools' finders refer to: packages, and modules of one file."""
    for name, module in list(sys.modules.items()):
        mapping = getattr(module, "MAPPING", None) if name.startswith("__editable___") else None
        for place in mapping.values() if isinstance(mapping, dict) else ():
            if isinstance(place, str):
                yield place + "/"
                yield os.path.splitext(place)[0] + "."


def _site_packages() -> "List[str]":
    try:
        return site.getsitepackages()
    except AttributeError:  # virtualenv's own `site` of long ago
        return [os.path.join(sys.prefix, "lib", "python{}.{}".format(*sys.version_info), "site-packages")]


def _referred(folder: str) -> "Iterator[str]":
    """Yield the folders that the `.pth` files of a folder name."""
    for name in _names(folder):
        if name.endswith(".pth"):
            try:
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                    lines = file.read().splitlines()
            except OSError:
                continue
            for line in lines:
                if line.strip() and not line.startswith(("#", "import ", "import\t")):
                    yield os.path.join(folder, line.strip())


def _names(folder: str) -> "Iterable[str]":
    try:
        return os.listdir(folder)
    except OSError:
        return ()
