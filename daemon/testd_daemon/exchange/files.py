"""A new file where there was none. In the client."""

from __future__ import annotations

from pathlib import Path

from testd_daemon.errors import UsageError
from testd_daemon.writing import write

__all__ = ["put"]


def put(path: Path, text: str, *, force: bool) -> None:
    """Write a file, and its folder. Raises UsageError where there is one already, unless `force`."""
    if path.exists() and not force:
        raise UsageError(f"{path} is there already", hint="Give another folder with --to, or --force to replace it.")
    write(str(path), text)
