"""A file that appears whole or not at all. Blocks; runs in a thread of the agent."""

from __future__ import annotations

import contextlib
import os
import tempfile

__all__ = ["write"]


def write(path: str, text: str) -> None:
    """Put a text in the place of a file, whose permissions stay. Makes its folder. Raises OSError."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    name = os.path.basename(path)
    descriptor, draft = tempfile.mkstemp(prefix=f".{name}.", suffix="~", dir=folder)  # no watch looks at such a name
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(draft, _mode(path))
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise


def _mode(path: str) -> int:
    """Return the permissions of a file, or those that a new one has."""
    try:
        return os.stat(path).st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
