"""Puts the runner's code on a host and starts it there: nothing else has to be installed.

Runs first on a target that does not share the agent's disk. This file comes inside of the bundle that it unpacks, is
taken out of it in memory and executed on its own: it imports the standard library alone, and nothing of this package
before that is in place.
"""

import contextlib
import os
import shutil
import stat
import sys
import tempfile
import time
from typing import Any

__all__ = ["cache_folder", "make_own", "start", "unpack"]

#: Seconds after which a bundle that nobody has started is removed.
_UNUSED = 30 * 24 * 3600.0
_LONG_AGO = 315532800  # a file that is never changed must not look as if it just had been


def start(archive: Any, name: str, configured: str) -> None:
    """Unpack the bundle unless it is there, and be the runner; never returns."""
    cache = cache_folder(configured)
    try:
        make_own(cache)
        folder = unpack(archive, name, os.path.join(cache, "runners"))
    except OSError as error:
        sys.exit(f"testd: the runner's code cannot be put into {cache}: {error}")
    sys.path.insert(0, folder)
    from testd.runner.__main__ import main

    sys.exit(main(["--stdio"]))


def cache_folder(configured: str) -> str:
    """Return the folder of this host's cache: the configured one, or the usual place."""
    if configured:
        return os.path.abspath(os.path.expanduser(configured))
    if os.environ.get("TESTD_CACHE_DIR"):
        return os.path.abspath(os.environ["TESTD_CACHE_DIR"])
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "testd")


def make_own(cache: str) -> None:
    """Make the cache's folder. Code is started from it: raises OSError where others could put something there."""
    os.makedirs(cache, mode=0o700, exist_ok=True)
    found = os.stat(cache)
    if found.st_uid != os.getuid():
        raise PermissionError(f"{cache} belongs to another user")
    if found.st_mode & stat.S_IWOTH:
        raise PermissionError(f"everybody may write to {cache}")


def unpack(archive: Any, name: str, place: str) -> str:
    """Make the bundle's folder below `place` unless it is there, and return its path.

    A folder and not the zip, so that compiled code is kept. It appears whole or not at all: two runners may start at
    the same instant. Raises OSError.
    """
    target = os.path.join(place, name)
    if os.path.exists(os.path.join(target, "__main__.py")):
        with contextlib.suppress(OSError):
            os.utime(target)
        return target
    os.makedirs(place, mode=0o700, exist_ok=True)
    _sweep(place)
    draft = tempfile.mkdtemp(prefix=".draft-", dir=place)
    try:
        archive.extractall(draft)
        for folder, _, files in os.walk(draft):
            for file in files:
                os.utime(os.path.join(folder, file), (_LONG_AGO, _LONG_AGO))
        try:
            os.rename(draft, target)
        except OSError:
            if not os.path.exists(os.path.join(target, "__main__.py")):
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _sweep(place: str) -> None:
    """Remove what was not used for long, drafts of bootstraps that were killed among it."""
    for name in os.listdir(place):
        path = os.path.join(place, name)
        with contextlib.suppress(OSError):
            if os.stat(path).st_mtime < time.time() - _UNUSED:
                shutil.rmtree(path, ignore_errors=True)
