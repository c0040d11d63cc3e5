"""A command that is carried out before it is asked for, up to its first test, and waits there.

It is the process that `command.py` makes, paused between the end of pytest's collection and the first test. Its
descriptors are placeholders. When the same command comes, with the same words, folder, variables, terminal size and all
else that a process has from its caller, and nothing that the start read has changed, it gets the caller's descriptors,
writes what it has written so far, and goes on. It is used once.

A first such process only finds out whether the start leaves the world outside alone; it ends at the first effect,
before that happens. What is kept runs without that watch.
"""

import contextlib
import os
import threading
import time
from typing import Any, Dict, Iterator, List, Tuple

from testd.runner import effects, garbage, processes
from testd.runner.channel import Channel, ChannelClosed
from testd.runner.clocks import who_looks_at_clock
from testd.runner.command import Command
from testd.runner.dependencies import GRANULARITY_NS, Dependencies
from testd.runner.outside import changed_directory, changed_file
from testd.runner.placeholders import MARK, put_in_place
from testd.runner.pytest_suite import sought

__all__ = ["Rehearsal"]

#: Seconds after which what a start found out may be out of date in ways that no file tells.
_OLDEST = 3600.0
_CHANGED = -2  # the time of a file that changed while it was being loaded
#: Attributes in which pytest keeps when the session began.
_BEGINNINGS = ("_session_start", "_sessionstarttime", "suite_start", "suite_start_time")
_File = Tuple[str, int, int, int]


class Rehearsal(Command):
    """One such process. The stem hears `Rehearsed` with what speaks against it, and `Resumed` or `Stale` after `Go`."""

    def __init__(self, order: "Dict[str, Any]", placeholders: "List[int]", channel: Channel, scout: bool) -> None:
        """Take the order. A `scout` only tells what its start would do to the outside."""
        super().__init__(order, placeholders)
        self._channel = channel
        self._scout = scout
        self._dependencies = Dependencies(order["caller"]["cwd"])
        self._files: List[_File] = []
        self._directories: List[List[Any]] = []
        self._cache: Dict[str, Tuple[int, bytes]] = {}
        self._began = 0
        self._waits = False

    def _prepare(self) -> None:
        import _pytest.main

        original = _pytest.main._main

        def paused(config: Any, session: Any) -> Any:
            _pytest.main._main = original
            config.pluginmanager.register(_Pause(self, config, session))
            return original(config, session)

        _pytest.main._main = paused
        self._began = time.time_ns()
        if self._scout:
            effects.watch(self._refuse)
        else:
            self._dependencies.start()

    def _refuse(self, reason: str) -> None:
        """End here and now."""
        if not self._waits:
            self._waits = True
            self._say("Rehearsed", reason=reason, scout=self._scout)
            os._exit(0)

    def _say(self, kind: str, **more: Any) -> None:
        try:
            self._channel.send(dict(more, type=kind))
        except ChannelClosed:
            os._exit(0)

    # ── the pause ────────────────────────────────────────────────────────────────────────────────────────────────────

    def pause(self, config: Any, session: Any) -> None:
        """Wait here until the command is asked for. Does not return where it never is, or is another one by then."""
        self._dependencies.stop()
        reason = _unkept(config) or ("" if self._scout else self._note(config))
        if self._scout or reason:
            self._refuse(reason)
        self._leaver.look()
        failed = garbage.freeze_live()
        if failed:
            self._refuse(f"what it leaves behind cannot be cleared away: {failed}")
        for item in session.items:
            with contextlib.suppress(Exception):  # it is raised again when the test runs, and reported there
                item.location  # noqa: B018  (pytest keeps it at the item, and looks it up for each)
        for number in {os.fstat(number).st_rdev: number for number in range(3) if _is_terminal(number)}.values():
            os.write(number, MARK)
        self._say("Rehearsed", reason="", scout=False)
        try:
            message, stdio = self._channel.receive()
        except ChannelClosed:
            os._exit(0)
        changed = self._changed()
        if changed:
            self._say("Stale", path=changed)
            os._exit(0)
        self._say("Resumed")
        self._channel.close()
        self._resume(message, stdio, config)

    def _note(self, config: Any) -> str:
        """Keep what the start has read; return what was being written at that moment, nothing where nothing was."""
        self._dependencies.note_sought(sought(config, config.args))
        files, directories = self._dependencies.drain(last=True)
        self._files, self._directories = files, [list(directory) for directory in directories]
        self._cache = dict(_cached(config))
        for path, mtime, _, _ in files:
            if mtime == _CHANGED or mtime >= self._began - GRANULARITY_NS:
                return f"{path} has just been written"
        return ""

    def _changed(self) -> str:
        """Return what is not as the start found it, nothing where all is."""
        if time.time() - self._began / 1e9 > _OLDEST:
            return "it is old"
        for path, (mtime, content) in self._cache.items():
            if _mtime(path) != mtime and _content(path) != content:
                return path
        return changed_file(self._files) or changed_directory(self._directories)

    def _resume(self, message: "Dict[str, Any]", stdio: "List[int]", config: Any) -> None:
        put_in_place(stdio, self._caller["closed"])
        self._order = dict(self._order, verbose=message["verbose"])
        self._tell("everything up to the first test was done in advance")
        for number, data in message["recorded"]:
            _write(number, data)
        for plugin in config.pluginmanager.get_plugins():
            for name in _BEGINNINGS:
                began = plugin.__dict__.get(name) if hasattr(plugin, "__dict__") else None
                if began is not None:
                    setattr(plugin, name, type(began)() if not isinstance(began, float) else time.time())


class _Pause:
    """Our part in pytest's hooks: around its collection, outermost, for the one time that it is called."""

    def __init__(self, rehearsal: Rehearsal, config: Any, session: Any) -> None:
        import pytest

        def around() -> "Iterator[None]":
            yield
            config.pluginmanager.unregister(self)
            rehearsal.pause(config, session)

        self.pytest_collection = pytest.hookimpl(hookwrapper=True, tryfirst=True)(around)


def _unkept(config: Any) -> str:
    """Return what a paused process must not have, nothing where it has none of that."""
    if len(threading.enumerate()) > 1 or processes.native_threads() > 1:
        return "threads run when the tests have been collected"
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
        return "processes run when the tests have been collected"
    name = who_looks_at_clock(config)
    return f"{name} looks at the clock" if name else ""


def _cached(config: Any) -> "Iterator[Tuple[str, Tuple[int, bytes]]]":
    """Yield the files of pytest's cache, which it reads at its start; they are compared by what is in them."""
    folder = getattr(getattr(config, "cache", None), "_cachedir", None)
    for place, _, names in os.walk(os.path.join(str(folder), "v")) if folder else ():
        for name in names:
            path = os.path.join(place, name)
            yield path, (_mtime(path), _content(path))


def _mtime(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _is_terminal(number: int) -> bool:
    with contextlib.suppress(OSError):
        return os.isatty(number)
    return False


def _write(number: int, data: bytes) -> None:
    """Write all of it; whoever reads it no more will be noticed where it is next written to."""
    view = memoryview(data)
    with contextlib.suppress(OSError):
        while view:
            view = view[os.write(number, view) :]


