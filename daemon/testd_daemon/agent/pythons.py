"""Where Python interpreters are on this machine. Runs in the agent and in `testd targets`; starts none of them.

The places are those that findpython knows, looked at for whoever asked: with the caller's PATH and folders, not the
daemon's own.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from findpython.providers.base import BaseProvider

__all__ = ["everywhere", "name_of", "of_version"]

#: Looked at last, for a PATH that somebody has cut short.
_USUAL: Final = ("/usr/local/bin", "/usr/bin", "/opt/homebrew/bin", "/opt/local/bin")
#: Folders of scripts that start an interpreter of the version manager's choice, or none.
_SHIMS: Final = re.compile(r"(^|/)(shims|\.?asdf/bin)/?$")
#: A folder's name that says that its interpreter is free-threaded: cpython-3.13.0+freethreaded-linux…, 3.13.0t.
_FREE_THREADED: Final = re.compile(r"freethreaded|\d+\.\d+\.\d+\w*t(-|$)")


def of_version(version: str, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the interpreters that are called by this version, such as 3.12, 3.13t or pypy3.10, the preferred first.

    Those on PATH come first, in its order, then those of version managers, the newest first. None is asked: one may be
    broken, or of another version than its name.
    """
    name = name_of(version)
    seen: set[str] = set()
    for folder in _on_path(environment):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK) and not os.path.isdir(path):
            seen.add(os.path.realpath(path))
            yield path
    free = version.endswith("t")
    for provider in _providers(environment):
        folders = {os.path.dirname(str(found.executable)) for found in provider.find_pythons()}
        for folder in sorted(folders, key=_natural, reverse=True):
            path = os.path.join(folder, name)
            if not os.access(path, os.X_OK) or os.path.realpath(path) in seen or _is_environment(path):
                continue
            if _SHIMS.search(folder) or (not free and _FREE_THREADED.search(os.path.dirname(folder))):
                continue
            seen.add(os.path.realpath(path))
            yield path


def name_of(version: str) -> str:
    """Return what an interpreter of a version is called: `python3.13t`, `pypy3.10`."""
    return version if version.startswith("pypy") else f"python{version}"


def everywhere(environment: Mapping[str, str]) -> list[str]:
    """Return one path of every interpreter and every environment that can be found."""
    from findpython.providers.path import PathProvider

    found: dict[tuple[str, int, int], str] = {}
    on_path = PathProvider([Path(folder) for folder in _on_path(environment)])
    for provider in (on_path, *_providers(environment)):
        for path in sorted((str(each.executable) for each in provider.find_pythons()), key=_speaking):
            folder = os.path.dirname(path)
            if _SHIMS.search(folder):
                continue
            place = os.path.realpath(folder) if _is_environment(path) else ""  # one interpreter may have many
            status = os.stat(path)
            found.setdefault((place, 0, 0) if place else ("", status.st_dev, status.st_ino), path)
    return sorted(found.values(), key=_natural)


def _providers(environment: Mapping[str, str]) -> Iterator[BaseProvider]:
    """Yield what knows the places of one version manager each, for this caller."""
    from findpython.providers.asdf import AsdfProvider
    from findpython.providers.macos import MacOSProvider
    from findpython.providers.path import PathProvider
    from findpython.providers.pyenv import PyenvProvider
    from findpython.providers.rye import RyeProvider
    from findpython.providers.uv import UvProvider

    home = Path(environment.get("HOME") or os.path.expanduser("~"))
    data = Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share")

    def folder(variable: str, otherwise: Path) -> Path:
        return Path(environment.get(variable) or otherwise)

    yield PyenvProvider(folder("PYENV_ROOT", home / ".pyenv"))
    yield UvProvider(folder("UV_PYTHON_INSTALL_DIR", data / "uv" / "python"))
    yield AsdfProvider(folder("ASDF_DATA_DIR", home / ".asdf"))
    yield AsdfProvider(folder("MISE_DATA_DIR", data / "mise"))  # of the same shape
    yield RyeProvider(folder("RYE_PY_ROOT", home / ".rye" / "py"))
    if MacOSProvider.INSTALL_BASE.exists():
        yield MacOSProvider()
    yield PathProvider([Path(usual) for usual in _USUAL])


def _on_path(environment: Mapping[str, str]) -> Iterator[str]:
    for folder in environment.get("PATH", "").split(os.pathsep):
        if os.path.isabs(folder) and not _SHIMS.search(folder):
            yield folder


def _is_environment(path: str) -> bool:
    return os.path.exists(os.path.join(os.path.dirname(os.path.dirname(path)), "pyvenv.cfg"))


def _speaking(path: str) -> tuple[bool, bool, int, str]:
    """Sort the names of one interpreter: `python3.12` says more than `python3`, `/usr/bin` more than a link to it."""
    folder, name = os.path.split(path)
    return os.path.realpath(folder) != folder, not re.fullmatch(r"\D+\d+\.\d+t?", name), len(name), path


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
