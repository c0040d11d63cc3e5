"""Packages that a target installs itself, where nothing can be made for it from outside: a folder for each set of them.

Runs in stems; standard library only. The folder is made once, below the cache of whoever runs there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile

from testd.runner.settings import SuiteFault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["installed", "place"]


def place() -> str:
    """Return the folder in which packages are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "testd", "packages")


def installed(requirements: Sequence[str]) -> str:
    """Return a folder with these packages.

    Raises:
        SuiteFault: they cannot be installed.

    """
    wanted = sorted(requirements)
    version = "{}{}.{}".format(sys.implementation.name, *sys.version_info)
    digest = hashlib.sha256("\0".join([version, *wanted]).encode()).hexdigest()[:16]
    folder = os.path.join(place(), digest)
    if os.path.isdir(folder):
        return folder
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        made = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(folder))
    except OSError as error:
        raise SuiteFault("environment", f"packages cannot be kept: {error}", "make room there") from error
    try:
        _install(wanted, made)
        os.rename(made, folder)
    except OSError:
        if not os.path.isdir(folder):  # else somebody else was faster
            raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def _install(requirements: Sequence[str], folder: str) -> None:
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", folder]
    done = subprocess.run(
        [*command, *requirements], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        text = f"pip could not install {', '.join(requirements)} on this target"
        raise SuiteFault("environment", text, "see what pip said, or use a target that has them", done.stdout)
