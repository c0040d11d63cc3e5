"""A file that appears whole or not at all. Blocks: in the agent it runs in a thread."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

__all__ = ["exchange", "write"]

_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2


def write(
    path: str,
    text: str,
    before: Callable[[os.stat_result], None] | None = None,
    after: Callable[[os.stat_result], None] | None = None,
) -> None:
    """Put a text in the place of a file, whose permissions stay. Makes its folder. Raises OSError.

    `before` gets what the file is going to be, and may raise: then the file stays as it is. `after` gets what was
    there until now, and may raise, too: then that is put back (where the system can exchange files; elsewhere it is
    not called). What is no file, such as `/dev/stdout`, is written to, and stays what it is.
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
        if after is None or not exchange(draft, place):
            draft.replace(place)
            return
        try:
            after(draft.stat())
        except OSError:
            draft.replace(place)
            raise
    finally:
        draft.unlink(missing_ok=True)


def exchange(one: Path, other: Path) -> bool:
    """Put two files in each other's place, in one step. Returns whether that can be done here. Raises OSError."""
    import ctypes  # few files need it, and it takes a while to load

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL):  # a file system that does not know it
        return False
    raise OSError(number, os.strerror(number), str(other))


def _mode(path: Path) -> int:
    """Return the permissions of a file, or those that a new one has."""
    try:
        return path.stat().st_mode & 0o777
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
