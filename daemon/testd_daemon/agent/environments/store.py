"""The environments that are kept: which are whole, which could not be made, which nobody needs any more.

Runs in the agent, partly on a thread. An environment is a folder; it is whole when a file in it says so, which is
written last. Beside it stand its lock and, where making it failed, why.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from typing import Final, TypeVar

import msgspec

from testd_daemon.agent.environments.builder import python_of
from testd_daemon.agent.environments.lock import try_lock

__all__ = ["Failure", "Made", "Place", "sweep"]

_MARK: Final = "testd.json"
#: Seconds after which an environment goes that nobody has used.
KEEP_UNUSED: Final = 14 * 86400.0
#: The same where the same target has a newer one, or its workspace is gone.
KEEP_REPLACED: Final = 86400.0

_T = TypeVar("_T", bound=msgspec.Struct)


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What an environment is, as the file in it says."""

    workspace: str
    target: str
    python: str
    version: str
    installed: tuple[str, ...]
    by: str
    made: float


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an environment could not be made. `surroundings`: what else than the declaration it may have been due to."""

    message: str
    hint: str
    detail: str
    surroundings: str
    at: float
    passing: bool  # the network's fault: worth another try soon


class Place:
    """One environment's folder and what stands beside it."""

    def __init__(self, cache: str, name: str) -> None:
        """Name it; nothing is created."""
        self.home = os.path.join(cache, "environments")
        self.folder = os.path.join(self.home, name)
        self.lock = f"{self.folder}.lock"
        self._failure = f"{self.folder}.failed"
        self._mark = os.path.join(self.folder, _MARK)

    @property
    def python(self) -> str:
        """The path of its interpreter."""
        return python_of(self.folder)

    def whole(self) -> Made | None:
        """Return what it is if it is whole and its interpreter is still there, and note that it is used."""
        made = _read(self._mark, Made)
        if made is None or not os.access(self.python, os.X_OK):
            return None
        with contextlib.suppress(OSError):
            os.utime(self._mark)
        return made

    def finish(self, made: Made) -> None:
        """Say that it is whole. Raises OSError."""
        _write(self._mark, made)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._failure)

    def fail(self, failure: Failure) -> None:
        """Keep why it could not be made, as far as that is possible."""
        with contextlib.suppress(OSError):
            _write(self._failure, failure)

    def failure(self) -> Failure | None:
        """Return why it could not be made."""
        return _read(self._failure, Failure)

    def clear(self) -> None:
        """Remove what is there. It stops being whole first."""
        with contextlib.suppress(OSError):
            os.unlink(self._mark)
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove(self) -> bool:
        """Remove it with all that stands beside it, unless somebody works on it; tell whether it is gone."""
        lock = try_lock(self.lock)
        if lock is None:
            return False
        try:
            self.clear()
            for path in (self._failure, self.lock):
                with contextlib.suppress(OSError):
                    os.unlink(path)
        finally:
            lock.release()
        return True

    def last_used(self) -> tuple[float, Made | None]:
        """Return when it was last used, and what it is; what is not whole was used when it was begun."""
        for path in (self._mark, self._failure, self.folder, self.lock):
            with contextlib.suppress(OSError):
                return os.stat(path).st_mtime, _read(self._mark, Made)
        return 0.0, None


def sweep(cache: str, *, now: float | None = None) -> list[str]:
    """Remove the environments that nobody needs any more; return their names.

    One that a living process builds is left alone, and so is one that is used now and then.
    """
    now = time.time() if now is None else now
    used = {name: Place(cache, name).last_used() for name in _names(cache)}
    newest: dict[tuple[str, str], float] = {}
    for at, made in used.values():
        if made is not None:
            key = (made.workspace, made.target)
            newest[key] = max(newest.get(key, 0.0), at)
    gone = []
    for name, (at, made) in used.items():
        replaced = made is None or at < newest[made.workspace, made.target] or not os.path.isdir(made.workspace)
        if now - at > (KEEP_REPLACED if replaced else KEEP_UNUSED) and Place(cache, name).remove():
            gone.append(name)
    return sorted(gone)


def _names(cache: str) -> Iterator[str]:
    with contextlib.suppress(OSError):
        yield from {
            name.removesuffix(".lock").removesuffix(".failed")
            for name in os.listdir(os.path.join(cache, "environments"))
            if name.startswith("py")
        }


def _read(path: str, kind: type[_T]) -> _T | None:
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _write(path: str, content: msgspec.Struct) -> None:
    """Write a file that is there as a whole or not at all."""
    draft = f"{path}.{os.getpid()}"
    try:
        with open(draft, "wb") as file:
            file.write(msgspec.json.encode(content))
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
