"""A file that appears whole or not at all. Blocks: in the agent it runs in a thread."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["write"]


def write(path: str, text: str, before: Callable[[os.stat_result], None] | None = None) -> None:
    """Put a text in the place of a file, whose permissions stay. Makes its folder. Raises OSError.

    `before` gets what the file is going to be, and may raise: then the file stays as it is. What is no file, such as
    `/dev/stdout`, is written to, and stays what it is.
    """
    place = Path(path)
    if place.exists() and not place.is_file():
        place.write_text(text, encoding="utf-8")
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    # No watch looks at such a name.
    descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", suffix="~", dir=place.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.chmod(_mode(place))
        if before is not None:
            before(draft.stat())
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """Return the permissions of a file, or those that a new one has."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
